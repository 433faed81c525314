"""Knowledge base and Getting Started as a browser shows them."""

from __future__ import annotations

import re

import pytest

from ovcadmin.services import knowledge, knowledge_edits, knowledge_search
from tests.browser.test_frame import SCROLLS
from tests.browser.test_look import WEAK
from tests.browser.test_words import BANNED

SECTION, SLUG = "tutorials", "console"


@pytest.fixture
def library(empty_site, page):
    """The knowledge base with its index, one article edited, before a Super Admin."""
    with empty_site.world.work() as work:
        knowledge_search.refresh(work)
        desk = knowledge_edits.desk(work, SECTION, SLUG)
        changed = knowledge.Text(
            title=desk.text.title,
            tags=desk.text.tags,
            summary=desk.text.summary,
            body=desk.text.body.replace("## Keep it", "## Keep it for later"),
        )
        knowledge_edits.publish(work, desk, changed, note="A heading", version=desk.version)
    empty_site.sign_in(page)
    return empty_site


def addresses():
    article = f"/knowledge/{SECTION}/{SLUG}"
    return [
        "/knowledge",
        "/knowledge/pool-owners",
        "/knowledge/errors",
        "/knowledge?q=quota",
        "/knowledge?tag=quota",
        "/knowledge/new",
        "/knowledge/care",
        "/knowledge/pool-owners/quota-rules",
        "/knowledge/administration/certificates",
        "/help/errors/quota.exceeded",
        article,
        f"{article}/edit",
        f"{article}/versions",
        f"{article}/versions/2",
        *(f"/getting-started/{part.slug}" for part in knowledge.tutorial()),
    ]


def test_its_pages_fit_a_small_screen_and_can_be_read(library, page):
    page.set_viewport_size({"width": 360, "height": 740})
    wrong = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for address in addresses():
            page.goto(library.url + address)
            if page.evaluate(SCROLLS):
                wrong.append((address, scheme, "scrolls sideways"))
            if weak := page.evaluate(WEAK):
                wrong.append((address, scheme, weak))
    assert wrong == []


def test_every_article_can_be_read_without_a_complaint_and_without_a_banned_word(library, page):
    paths = [article.path for article in knowledge.shipped().values()]
    for path in [*paths, *addresses()]:
        answer = page.request.get(library.url + path)
        assert answer.status == 200, path
        assert BANNED.findall(answer.text().replace("history</h", "")) == [], path


def test_somebody_finds_an_article_and_follows_its_contents(library, page):
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(library.url)
    page.locator("#nav").get_by_role("link", name="Knowledge base").click()
    search = page.get_by_role("searchbox", name="Search the knowledge base")
    search.fill("over-promised")
    search.press("Enter")
    page.get_by_role("link", name="Quota rules with examples").click()
    contents = page.get_by_role("navigation", name="In this article")
    contents.get_by_role("link", name="A host goes silent").click()
    heading = page.get_by_role("heading", name="A host goes silent")
    assert page.evaluate(
        "box => box.getBoundingClientRect().top < innerHeight", heading.element_handle()
    )
    page.get_by_role("button", name="Yes").click()
    page.get_by_text("Thank you.").wait_for()


def test_an_editor_writes_an_article_from_the_draft_to_its_end(library, page):
    page.goto(f"{library.url}/knowledge/new?section=tutorials")
    page.get_by_label("Title").fill("Reach the printer")
    page.get_by_label("Tags").fill("printer, paper")
    page.get_by_label("Summary").fill("Where it stands and how to reach it.")
    text = "## Where it stands\n\nOn floor two.\n\n## Broken\n\nSee [this](/knowledge/gone/gone)."
    page.get_by_label("Text", exact=True).fill(text)
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("region", name="Preview").get_by_text("On floor two.").wait_for()
    page.get_by_role("button", name="Keep as draft").click()
    page.get_by_text("The draft is kept.").first.wait_for()
    page.goto(f"{library.url}/knowledge/care")
    page.locator("main").get_by_role("link", name="Reach the printer").click()
    page.get_by_role("button", name="Publish").click()
    page.get_by_role("heading", name="Reach the printer").wait_for()

    page.get_by_role("link", name="Edit", exact=True).click()
    page.get_by_label("Text", exact=True).fill(text.replace("floor two", "floor three"))
    page.get_by_label("What you changed").fill("It moved")
    page.get_by_role("button", name="Publish").click()
    page.get_by_text("On floor three.").wait_for()
    page.get_by_role("link", name="Versions").click()
    page.get_by_role("link", name="Version 2").click()
    differences = page.get_by_role("region", name="Differences")
    assert "On floor two." in differences.locator(".gone").inner_text()
    assert "On floor three." in differences.locator(".new").inner_text()
    page.get_by_role("link", name="All versions").click()
    page.get_by_role("link", name="Version 1").click()
    page.get_by_role("button", name="Publish this version again").click()
    page.get_by_text("On floor two.").wait_for()

    page.get_by_role("link", name="paper", exact=True).click()
    page.locator("main").get_by_role("link", name="Reach the printer").click()
    page.get_by_role("button", name="No", exact=True).click()
    page.get_by_text("Thank you.").wait_for()
    page.goto(f"{library.url}/knowledge/care")
    assert page.locator("main").get_by_text("/knowledge/gone/gone").is_visible()
    row = page.locator("tr", has_text="Reach the printer")
    assert row.locator('[data-label="Did not"]').inner_text() == "1"


def test_a_pool_is_handed_over_by_its_guided_tutorial(library, page):
    library.world.user("paula")
    tour = f"{library.url}/tutorials/pool-owners/delegating"
    steps = page.locator(".tour")

    def done(count):
        page.goto(tour)
        assert steps.locator(".tick.done").count() == count

    def follow(label, pool):
        steps.get_by_role("link", name=label, exact=True).click()
        page.locator("main .articles").get_by_role("link", name=pool, exact=True).click()

    page.goto(tour)
    page.get_by_role("button", name="Begin").click()
    steps.get_by_role("link", name="Open the form").click()
    page.get_by_label("Name", exact=True).fill("Shop")
    page.get_by_role("button", name="Create the pool").click()
    page.get_by_text("Pool Shop is created.").first.wait_for()
    done(1)
    follow("Open its quota", "Shop")
    page.get_by_role("textbox", name="vCPUs").fill("4")
    page.get_by_role("button", name="Set the quota").click()
    page.get_by_text("is set.").first.wait_for()
    done(2)
    follow("Open its people", "Shop")
    page.get_by_role("link", name="Give a role…").click()
    page.locator("tr", has_text="paula").get_by_role("link", name="Choose").click()
    page.get_by_role("button", name=re.compile("^Give .+ on Shop$")).click()
    page.locator("tr", has_text="paula").wait_for()
    done(3)
    page.get_by_text("You are through.").wait_for()


def test_an_article_is_printed_without_what_stands_around_it(library, page):
    page.goto(f"{library.url}/knowledge/pool-owners/quota-rules")
    page.evaluate("window.print = () => { document.title = 'asked to print' }")
    page.get_by_role("button", name="Print").click()
    assert page.title() == "asked to print"
    page.emulate_media(media="print")
    assert page.locator("article.article").is_visible()
    for around in ("header.menu", "#tree", "#drawer", ".contents", ".after-article", ".deeds"):
        assert not page.locator(around).is_visible(), around
    page.emulate_media(media="screen")


def test_what_is_read_is_counted_and_shown_as_most_read(library, page):
    page.goto(f"{library.url}/knowledge/pool-owners/forecast")
    with page.expect_response(lambda one: one.url.endswith("/read") and one.ok, timeout=30_000):
        pass
    page.goto(f"{library.url}/knowledge")
    most = page.locator("section.panel", has_text="Most read")
    assert most.get_by_role("listitem").first.inner_text() == "Forecast and warnings 1 reader"


def test_the_sign_beside_a_title_opens_the_article_on_it(library, page):
    page.goto(f"{library.url}/profile")
    page.get_by_role("link", name="Help on this page: Your account").click()
    page.get_by_role("heading", name="Your account", level=1).wait_for()
    page.goto(f"{library.url}/profile")
    page.get_by_role("link", name="Help: Your account, Tokens").first.click()
    heading = page.get_by_role("heading", name="Tokens", exact=True)
    heading.wait_for()
    assert page.evaluate(
        "box => box.getBoundingClientRect().top < innerHeight", heading.element_handle()
    )


def test_the_terminal_stands_beside_a_guided_tutorial(library, page):
    page.set_viewport_size({"width": 1400, "height": 850})
    page.goto(f"{library.url}/tutorials/tutorials/rest-api")
    page.get_by_role("button", name="Terminal beside the text").click()
    terminal = page.locator("#drawer .xterm-rows")
    terminal.filter(has_text="ovc").wait_for(timeout=60_000)
    text = page.locator("article.tour").bounding_box()
    beside = page.locator("#drawer").bounding_box()
    assert beside["x"] >= text["x"] + text["width"]
    assert beside["y"] < 100
    page.keyboard.type("pools list\n")
    terminal.filter(has_text="Cloud").wait_for(timeout=60_000)
    page.goto(f"{library.url}/machines")
    page.locator("#drawer .xterm-rows").wait_for()
    assert page.locator("#drawer").bounding_box()["y"] > 300


def test_the_menu_holds_all_its_entries_in_one_line(library, page):
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{library.url}/knowledge")
    entries = page.locator("#nav a").all()
    assert len({round(entry.bounding_box()["y"]) for entry in entries}) == 1
    assert len({entry.bounding_box()["height"] for entry in entries}) == 1
    search = page.locator("header .search").bounding_box()
    last = entries[-1].bounding_box()
    assert last["x"] + last["width"] <= search["x"] + 1
