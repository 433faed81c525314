"""A refusal by quota explains itself, and who sets the quota can be asked on the spot."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from ovcadmin.domain.states import State
from tests.functional.world import form


@pytest.fixture
def nest(world):
    """Account (two may run) over Space; anna uses Space, otto owns Account, rita the root."""
    account = world.pool("Account", machines=2, storage=100 * 10**9)
    space = world.pool("Space", account)
    world.host()
    world.image()
    people = {
        "anna": world.user("anna", "User", space),
        "otto": world.user("otto", "Administrator", account),
        "rita": world.user("rita", "Administrator"),
    }
    world.machine("hidden", account, state=State.RUNNING)
    world.machine("web01", space, state=State.RUNNING, owner=people["anna"])
    stopped = world.machine("web02", space, owner=people["anna"])
    return {"account": account, "space": space, "stopped": stopped, **people}


def _refused(world, nest):
    browser = world.signed_in(nest["anna"])
    page = browser.send(f"/machines/{nest['stopped'].id}/actions/start")
    assert page.status_int == 409
    return browser, page


@pytest.mark.requirement("NEW-01")
def test_a_refusal_shows_the_chain_the_level_and_what_would_free_enough(world, nest):
    _, page = _refused(world, nest)
    told = page.html.find(attrs={"role": "alert"})
    words = told.get_text(" ", strip=True)
    assert "Account blocks" in words
    assert "running machines: nothing left of 2" in words
    steps = [step.get_text(" ", strip=True) for step in told.find("ol").find_all("li")]
    names = [step.split(":")[0].strip() for step in steps]
    assert names == ["Space", "Account blocks", "Cloud"]
    # The machine in the account is not anna's to see; her own would be enough.
    assert "web01 holds 1 running machine" in words
    assert "hidden" not in words
    # What she may not see has no link.
    assert told.find("a", string="Account") is None
    assert told.find("a", string="Space") is not None


@pytest.mark.requirement("NEW-01")
def test_problem_json_carries_the_same_explanation(world, nest):
    api = world.api(nest["anna"])
    answer = api("POST", f"/machines/{nest['stopped'].id}/actions/start")
    assert answer.status_int == 409
    context = answer.json["context"]
    assert [level["pool"] for level in context["levels"]] == ["Space", "Account", "Cloud"]
    (block,) = context["blocks"]
    assert (block["pool"], block["resource"], block["short"]) == ("Account", "machines", 1)
    assert [one["name"] for one in block["machines"]] == ["web01"]
    # The cloud is not hers to see, and does not stop her: no figures of it.
    assert context["levels"][2]["resources"] == []


@pytest.mark.requirement("NEW-01")
def test_asked_with_one_click_approved_with_a_preview_and_told(world, nest):
    anna, page = _refused(world, nest)
    plea = form(page, f"/requests/new?pool={nest['space'].id}")
    plea["note"] = "for the fair"
    assert "Ask the owner of Account for 1 running machine more" in page
    listed = plea.submit().follow()
    assert "for the fair" not in listed  # the list is short
    assert "open" in listed.html.find("main").get_text(" ", strip=True)

    # The account's own administrator does not set its limits: the cloud's does.
    otto = world.signed_in(nest["otto"])
    assert "Nobody asks you for anything." in otto.get("/requests")
    rita = world.signed_in(nest["rita"])
    assert rita.get("/").html.find("b", class_="count").string == "1"
    inbox = rita.get("/requests")
    detail = inbox.click("Decide")
    assert "for the fair" in detail
    assert "anna asks for 1 running machine more" in detail
    answer = form(detail, detail.request.path + "/approve")
    assert answer["machines"].value == "3"
    answer["machines"] = "5"
    preview = answer.submit("check")
    row = preview.html.find("main").find_all("table")[-1].find_all("tr")[1]
    assert [cell.get_text(strip=True) for cell in row.find_all("td")][:6] == [
        "Account", "Running machines", "2", "5", "2", "3",
    ]  # fmt: skip
    answer["reason"] = "good luck"
    assert "is raised" in answer.submit().follow()

    assert anna.get("/").html.find("b", class_="count").string == "1"
    told = anna.get("/requests")
    words = told.html.find("main").get_text(" ", strip=True)
    assert "approved" in words
    assert "now 5 running machines" in words
    assert "good luck" in words
    number = detail.request.path.split("/")[2]
    form(told, f"/requests/{number}/seen").submit()
    assert anna.get("/").html.find("b", class_="count") is None
    assert anna.send(f"/machines/{nest['stopped'].id}/actions/start").status_int == 303


@pytest.mark.requirement("NEW-01")
def test_declined_with_a_reason_and_withdrawn(world, nest):
    anna, page = _refused(world, nest)
    form(page, f"/requests/new?pool={nest['space'].id}").submit()
    again = anna.send(f"/machines/{nest['stopped'].id}/actions/start")
    twice = form(again, f"/requests/new?pool={nest['space'].id}").submit(expect_errors=True)
    assert twice.status_int == 409
    assert "You asked for more in Account already" in twice
    rita = world.signed_in(nest["rita"])
    detail = rita.get("/requests").click("Decide")
    no = form(detail, detail.request.path + "/decline")
    assert no.submit(expect_errors=True).status_int == 422
    no["reason"] = "not this year"
    no.submit()
    assert "not this year" in anna.get("/requests")
    assert rita.send(detail.request.path + "/approve", {"machines": "9"}).status_int == 409

    page = anna.send(f"/machines/{nest['stopped'].id}/actions/start")
    asked = form(page, f"/requests/new?pool={nest['space'].id}").submit().follow()
    back = next(one for one in asked.forms.values() if one.action.endswith("/withdraw"))
    assert rita.send(back.action).status_int == 403
    back.submit()
    assert "Nobody asks you for anything." in rita.get("/requests")


def test_a_request_is_there_for_who_asked_and_who_decides(world, nest):
    _, page = _refused(world, nest)
    form(page, f"/requests/new?pool={nest['space'].id}").submit()
    path = world.signed_in(nest["rita"]).get("/requests").click("Decide").request.path
    assert world.signed_in(nest["anna"]).fetch(path).status_int == 200
    assert world.signed_in(nest["otto"]).fetch(path).status_int == 404
    assert world.signed_in(nest["anna"]).send(f"{path}/approve").status_int == 403
    foreign = {"level": str(world.pool("Other", machines=1).id), "machines": "1"}
    anna = world.signed_in(nest["anna"])
    refused = anna.send(f"/requests/new?pool={nest['space'].id}", foreign)
    assert refused.status_int == 422
    assert "Other" not in refused.html.find("main").get_text()


def test_two_who_decide_at_once_set_the_limit_once(world, nest):
    _, page = _refused(world, nest)
    form(page, f"/requests/new?pool={nest['space'].id}").submit()
    others = [world.user(f"boss{number}", "Administrator") for number in range(4)]
    path = world.signed_in(nest["rita"]).get("/requests").click("Decide").request.path
    browsers = [world.signed_in(one) for one in others]

    def decide(number):
        return browsers[number].send(f"{path}/approve", {"machines": str(10 + number)})

    with ThreadPoolExecutor(len(browsers)) as crowd:
        answers = sorted(answer.status_int for answer in crowd.map(decide, range(len(browsers))))
    assert answers == [303, 409, 409, 409]
