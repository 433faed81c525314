"""Quota by the doors that people use: the form, the API, and many requests at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from ovcadmin.domain.states import State
from ovcadmin.services import machine_states, machines
from tests.functional.world import form

AT_ONCE = 20


@pytest.fixture
def web(world):
    """A pool with room for one more machine of 1 GB, and one stopped machine in it."""
    pool = world.pool("Web", storage=2 * 10**9, machines=1)
    world.host()
    world.image()
    world.machine("web01", pool)
    return pool


@pytest.mark.requirement("OVT-46", "OVT-53")
def test_a_form_past_the_quota_is_shown_again_with_the_figures(world, web):
    world.machine("web02", web)
    browser = world.signed_in(world.user("anna", "User", web))
    entry = form(browser.get(f"/machines/new?pool={web.id}"))
    entry["name"], entry["size"] = "web03", "tiny"
    refused = entry.submit(expect_errors=True)
    assert refused.status_int == 409
    told = refused.html.find(attrs={"role": "alert"}).get_text(" ", strip=True)
    for part in ("web03 does not fit the quota", "storage", "2 GB", "1 GB", "quota.exceeded"):
        assert part in told
    assert form(refused)["name"].value == "web03"
    assert form(refused)["size"].value == "tiny"
    assert browser.get("/machines?q=web03").html.find(string="web03") is None


@pytest.mark.requirement("OVT-46")
def test_fault_01_of_many_orders_at_once_as_many_win_as_there_is_room(world, web):
    api = world.api(world.user("anna", "User", web))
    image = api("GET", "/images").json["items"][0]["id"]

    def order(number):
        body = {"name": f"new{number:02}", "image_id": image, "size": "tiny"}
        return api("POST", f"/pools/{web.id}/machines", body)

    with ThreadPoolExecutor(AT_ONCE) as crowd:
        answers = list(crowd.map(order, range(AT_ONCE)))
    codes = [answer.json.get("code") for answer in answers if answer.status_int != 202]
    assert codes == ["quota.exceeded"] * (AT_ONCE - 1)
    assert api("GET", "/machines").json["total"] == 2
    with world.work() as work:
        assert machine_states.reservation_differences(work) == []


@pytest.mark.requirement("OVT-46", "OVT-54")
def test_fault_03_a_start_counts_what_runs_and_not_what_is_there(world, web):
    other = world.machine("web02", web, state=State.RUNNING)
    api = world.api(world.user("anna", "User", web))
    stopped = api("GET", "/machines?q=web01").json["items"][0]["id"]
    assert api("POST", f"/machines/{stopped}/actions/start").json["code"] == "quota.exceeded"
    off = api("POST", f"/machines/{other.id}/actions/power_off").json["operation"]
    assert api("POST", f"/machines/{stopped}/actions/start").json["code"] == "quota.exceeded"
    world.finish(off["id"])
    assert api("POST", f"/machines/{stopped}/actions/start").status_int == 202


@pytest.mark.requirement("TPL-05")
def test_a_machine_is_made_only_by_who_may(world, web):
    monitor = world.user("anna", "Monitor", web)
    browser, api = world.signed_in(monitor), world.api(monitor)
    path, order = f"/machines/new?pool={web.id}", {"name": "web09", "size": "tiny", "image": "1"}
    assert browser.fetch(path).status_int == 403
    assert browser.send(path, order).status_int == 403
    body = {"name": "web09", "size": "tiny", "image_id": 1}
    assert api("POST", f"/pools/{web.id}/machines", body).status_int == 403
    assert [row["name"] for row in api("GET", "/machines").json["items"]] == ["web01"]


def test_a_card_never_gets_a_mac_that_another_one_has(world, web, monkeypatch):
    """Random numbers meet sooner or later; nobody's order fails for it."""
    taken = world.api(world.admin())("GET", "/machines?q=web01").json["items"][0]["mac"][0]
    macs = iter([taken, taken, "52:54:00:00:00:07"])
    monkeypatch.setattr(machines, "new_mac", lambda: next(macs))
    made = world.machine("web02", web)
    found = world.api(world.admin())("GET", f"/machines/{made.id}").json
    assert found["mac"] == ["52:54:00:00:00:07"]
