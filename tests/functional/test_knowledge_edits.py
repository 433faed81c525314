"""Editing the knowledge base: who may, drafts, versions, two at once, and what a release brings."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select

from ovcadmin.models import Audit
from ovcadmin.services import knowledge
from tests.functional.world import form

PATH = "/knowledge/tutorials/console"


@pytest.fixture
def helga(world):
    return world.signed_in(world.user("helga", "Help Desk"))


@pytest.fixture
def reader(world):
    return world.signed_in(world.user("rita", "Monitor"))


def edit(browser, do, path=PATH, **fields):
    """Open the editor, change fields, press a button."""
    filled = form(browser.get(f"{path}/edit"))
    for name, value in fields.items():
        filled[name] = value
    return filled.submit("do", value=do, expect_errors=True)


def body(browser, path=PATH):
    return browser.get(path).html.select_one("article").text


def publish(browser, text, path=PATH, **fields):
    answer = edit(browser, "publish", path, body=text, **fields)
    assert answer.status_int == 303, answer.text
    return answer.follow()


def test_only_editors_see_the_way_in(world, helga, reader):
    assert "Edit" in helga.get(PATH).html.select_one(".title").text
    assert "Edit" not in reader.get(PATH).html.select_one(".title").text
    assert reader.fetch(f"{PATH}/edit").status_int == 403
    assert reader.fetch("/knowledge/new").status_int == 403
    assert reader.send(f"{PATH}/shipped", {"do": "take", "version": "0"}).status_int == 403
    # Help Desk of a pool only: what stands here is read by the whole cloud.
    local = world.signed_in(world.user("lena", "Help Desk", world.pool("Web")))
    assert "Edit" not in local.get(PATH).html.select_one(".title").text
    assert local.fetch(f"{PATH}/edit").status_int == 404


def test_a_draft_is_for_editors_and_publishing_shows_it(world, helga, reader):
    kept = edit(helga, "draft", body="## Alpha\n\nA new beginning.", note="Anew").follow()
    assert "The draft is kept" in kept.text
    assert "A new beginning." in form(kept)["body"].value
    assert "A new beginning." not in body(reader)
    assert "Anew" in form(kept)["note"].value
    assert "console" in helga.get("/knowledge/care").html.select_one("main").text.lower()

    shown = publish(helga, "## Alpha\n\nA new beginning, published.")
    assert shown.request.path == PATH
    assert "A new beginning, published." in body(reader)
    assert "Written or changed at this site." in body(reader)
    found = reader.get("/knowledge", {"q": "beginning published"})
    assert found.html.select_one(".hits a")["href"] == PATH
    with world.work() as work:
        rows = work.db.scalars(
            select(Audit).where(Audit.object_kind == "article").order_by(Audit.id)
        ).all()
    assert [row.action for row in rows] == ["article.save", "article.publish"]
    assert {row.actor for row in rows} == {"helga@internal"}


def test_a_preview_saves_nothing(world, helga):
    before = world.fingerprint()
    page = edit(helga, "preview", body="## Seen\n\n<script>alert(1)</script> **bold**")
    assert page.status_int == 200
    preview = page.html.select_one(".preview")
    assert preview.select_one("h2").text == "Seen"
    assert preview.select_one("strong").text == "bold"
    assert preview.select_one("script") is None
    assert form(page)["body"].value.startswith("## Seen")
    assert world.fingerprint() == before


def test_what_is_wrong_is_said_beside_the_field_and_what_was_typed_stays(helga):
    page = edit(helga, "publish", title="", body="Kept words")
    assert page.status_int == 422
    assert page.html.select_one("#field-title-error").text
    assert form(page)["body"].value == "Kept words"
    assert "Kept words" not in body(helga)


def test_two_editors_do_not_overwrite_each_other(world, helga):
    other = world.signed_in(world.user("hugo", "Help Desk"))
    slow = form(other.get(f"{PATH}/edit"))
    publish(helga, "The first one.")
    slow["body"] = "The second one."
    refused = slow.submit("do", value="publish", expect_errors=True)
    assert refused.status_int == 412
    assert "object.outdated" in refused.text
    assert form(refused)["body"].value == "The second one."
    assert "The first one." in body(helga)


def test_versions_show_differences_and_can_be_published_again(helga):
    publish(helga, "One line.\nKept line.")
    publish(helga, "Another line.\nKept line.", note="Better")
    page = helga.get(f"{PATH}/versions")
    rows = [[cell.text for cell in row.select("td")] for row in page.html.select("tbody tr")]
    assert [row[:2] for row in rows] == [
        ["Version 3", "read now"],
        ["Version 2", "earlier"],
        ["Version 1", "shipped text"],
    ]
    assert rows[0][4] == "Better"
    shown = helga.get(f"{PATH}/versions/3")
    lines = {
        mark: [one.select("span")[-1].text for one in shown.html.select(f".diff .{mark}")]
        for mark in ("gone", "new", "same")
    }
    assert lines["gone"] == ["One line."]
    assert lines["new"] == ["Another line."]
    assert "Kept line." in lines["same"]
    now = helga.get(f"{PATH}/versions/2?with=now").html
    assert [one.select("span")[-1].text for one in now.select(".diff .new")] == ["One line."]
    assert [one.select("span")[-1].text for one in now.select(".diff .gone")] == ["Another line."]

    back = form(helga.get(f"{PATH}/versions/2")).submit().follow()
    assert "Version 2 can be read again." in back.text
    assert "One line." in body(helga)
    assert helga.fetch(f"{PATH}/versions/99").status_int == 404


def test_a_draft_can_be_thrown_away(helga):
    edit(helga, "draft", body="Rather not.")
    page = helga.get(f"{PATH}/versions")
    form(page, f"{PATH}/discard").submit().follow()
    assert "Rather not." not in form(helga.get(f"{PATH}/edit"))["body"].value


def test_a_new_article_has_its_place_search_and_end(helga, reader):
    blank = form(helga.get("/knowledge/new?section=help-desk"))
    assert blank["section"].value == "help-desk"
    blank["title"], blank["tags"] = "Whom to call at night", "night, Telephone"
    blank["body"] = "Call the porter. [How](/knowledge/help-desk/nowhere)"
    made = blank.submit("do", value="publish").follow()
    path = "/knowledge/help-desk/whom-to-call-at-night"
    assert made.request.path == path
    assert [link.text for link in made.html.select(".tags a")] == ["night", "telephone"]
    listed = reader.get("/knowledge/help-desk").html.select(".articles a")
    assert path in [link["href"] for link in listed]
    assert reader.get("/knowledge", {"q": "porter"}).html.select_one(".hits a")["href"] == path
    publish(helga, "[Gone](/knowledge/help-desk/nowhere), [gone](/knowledge/help-desk/nowhere)")
    care = helga.get("/knowledge/care").html.select("main li")
    broken = [row.a["href"] for row in care if "/help-desk/nowhere" in row.text]
    assert sorted(broken) == [path, PATH]

    twice = form(helga.get("/knowledge/new"))
    twice["section"], twice["title"], twice["body"] = "help-desk", "Whom to call at night", "x"
    assert twice.submit("do", value="draft", expect_errors=True).status_int == 409

    gone = form(helga.get(f"{path}/delete")).submit().follow()
    assert "Whom to call at night is deleted." in gone.text
    assert reader.fetch(path).status_int == 404
    assert reader.get("/knowledge", {"q": "porter"}).html.select(".hits a") == []


def test_a_new_article_as_a_draft_is_not_there_for_readers(helga, reader):
    blank = form(helga.get("/knowledge/new"))
    blank["title"], blank["body"] = "Half done", "To be written."
    kept = blank.submit("do", value="draft").follow()
    assert "To be written." in form(kept)["body"].value
    assert reader.fetch("/knowledge/tutorials/half-done").status_int == 404
    left = form(
        helga.get("/knowledge/tutorials/half-done/versions"),
        "/knowledge/tutorials/half-done/discard",
    ).submit()
    assert left.follow().request.path == "/knowledge"


def test_a_shipped_article_is_not_deleted(helga):
    publish(helga, "Ours.")
    assert "A shipped article stays." in helga.get(f"{PATH}/delete").text
    answer = helga.send(f"{PATH}/delete", {"version": "1"})
    assert answer.status_int == 409
    assert "Ours." in body(helga)


@pytest.fixture
def release(monkeypatch):
    """A release that ships another text of an article."""

    def bring(text, key=("tutorials", "console")):
        found = dict(knowledge.shipped())
        found[key] = replace(found[key], text=replace(found[key].text, body=text))
        monkeypatch.setattr(knowledge, "shipped", lambda: found)

    return bring


def test_a_release_shows_its_text_where_nobody_edited(helga, reader, release):
    release("Shipped anew.\n")
    assert "Shipped anew." in body(reader)
    assert "ships a new text" not in helga.get(PATH).text


def test_a_release_never_overwrites_an_edit_but_offers_its_text(helga, reader, release):
    publish(helga, "Ours.\n")
    assert helga.get("/knowledge/care").html.select('a[href$="console/versions"]') == []
    release("Shipped anew.\n")
    assert "Ours." in body(reader)
    assert "ships a new text" not in reader.get(PATH).text
    assert "ships a new text" in helga.get(PATH).text
    assert helga.get("/knowledge/care").html.select('a[href$="console/versions"]')
    offer = helga.get(f"{PATH}/versions")
    assert [one.select("span")[-1].text for one in offer.html.select(".diff .gone")] == ["Ours."]
    assert [one.select("span")[-1].text for one in offer.html.select(".diff .new")] == [
        "Shipped anew."
    ]

    taken = form(offer, f"{PATH}/shipped").submit("do", value="take").follow()
    assert "Readers see the shipped text." in taken.text
    assert "Shipped anew." in body(reader)
    assert "Written or changed at this site." not in body(reader)
    release("Shipped once more.\n")
    assert "Shipped once more." in body(reader)


def test_an_offer_can_be_declined_and_the_next_one_comes_again(helga, reader, release):
    publish(helga, "Ours.\n")
    release("Shipped anew.\n")
    form(helga.get(f"{PATH}/versions"), f"{PATH}/shipped").submit("do", value="keep").follow()
    assert "ships a new text" not in helga.get(PATH).text
    assert "Ours." in body(reader)
    release("Shipped once more.\n")
    assert "ships a new text" in helga.get(PATH).text
    rows = helga.get(f"{PATH}/versions").html.select("tbody tr")
    assert len(rows) == 3  # the first shipped text, ours, and the one that was declined


def test_the_shipped_text_can_be_taken_again_at_any_time(helga, reader):
    publish(helga, "Ours.\n")
    page = helga.get(f"{PATH}/versions")
    form(page, f"{PATH}/shipped").submit("do", value="take").follow()
    assert "Ours." not in body(reader)
    publish(helga, "Ours again.\n")
    assert "Ours again." in body(reader)


def test_fault_23_what_an_editor_types_reaches_readers_as_text(helga, reader):
    publish(
        helga,
        "<img src=x onerror=alert(1)> [x](javascript:alert(1)) `{{7*7}} ${7*7}`\n\n<svg onload=a>",
        title="<script>alert(1)</script> ${7*7}",
        summary="<b>bold</b>",
        tags='<i>, "onload=x',
    )
    page = reader.get(PATH)
    main = page.html.select_one("main")
    assert main.select("img, svg:not(.icon), script, b, i") == []
    assert page.html.select_one("h1").text == "<script>alert(1)</script> ${7*7}"
    assert "{{7*7}}" in main.text
    assert "49" not in main.select_one("article").text
    assert [link["href"] for link in main.select("article a") if "javascript" in link["href"]] == []
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    found = reader.get("/knowledge", {"q": "onerror"})
    assert found.html.select(".hits img, .hits script") == []
    assert found.html.select_one(".hits a").text == "<script>alert(1)</script> ${7*7}"


def test_an_edit_of_an_error_article_is_for_those_who_are_signed_in(world, helga, reader):
    path = "/knowledge/errors/host.unresponsive"
    publish(helga, "## What to do\n\nCall 4711.", path)
    assert "Call 4711." in reader.get("/help/errors/host.unresponsive").text
    assert "Call 4711." not in world.anonymous().get("/help/errors/host.unresponsive").text
