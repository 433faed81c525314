"""Editing machines, their protection, the bin and leases, by the doors that people use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ovcadmin.domain.resources import Limits
from ovcadmin.domain.states import Action, State
from ovcadmin.engine import store, types
from ovcadmin.models import Audit, Machine, Operation, OperationState
from ovcadmin.services import bins, care, machine_states, machines, person_quotas, pools
from tests.functional.world import form

GB = 10**9


@pytest.fixture
def web(world):
    """A pool with room for one machine of 1 GB, which is there and off."""
    pool = world.pool("Web", storage=GB)
    world.host()
    world.image()
    world.anna = world.user("anna", "User", pool)
    world.machine_id = world.machine("web01", pool, owner=world.anna).id
    return pool


def end(world, answer):
    """What the worker writes when the operation went well."""
    with world.work() as work:
        operation = work.db.get(Operation, answer.json["operation"]["id"])
        types.get(operation.type).succeed(work, operation)
        store.end(work.db, operation, OperationState.DONE, work.now())


def moment():
    return datetime.now(UTC)


def change(world, **values):
    with world.work() as work:
        machine = work.db.get(Machine, world.machine_id)
        for name, value in values.items():
            setattr(machine, name, value)


def test_a_machine_is_renamed_described_and_protected_on_its_page(world, web):
    browser = world.signed_in(world.anna)
    path = f"/machines/{world.machine_id}/edit"
    entry = form(browser.get(path))
    entry["name"], entry["description"] = "shop", "sells"
    entry["locked"] = True
    saved = entry.submit().follow()
    assert saved.html.find("h1").get_text() == "shop"
    assert "protected against deletion" in saved.text
    for action in ("bin", "delete"):
        doomed = form(browser.get(f"/machines/{world.machine_id}/actions/{action}"))
        doomed["confirm"] = "shop"
        refused = doomed.submit(expect_errors=True)
        assert refused.status_int == 409
        assert "machine.protected" in refused.text


def test_two_tabs_do_not_overwrite_each_other(world, web):
    api = world.api(world.anna)
    path = f"/machines/{world.machine_id}"
    tag = api("GET", path).headers["ETag"]
    assert api("PATCH", path, {"name": "a"}).status_int == 428
    assert api("PATCH", path, {"name": "a"}, If_Match=tag).json["name"] == "a"
    assert api("PATCH", path, {"name": "b"}, If_Match=tag).status_int == 412


def test_fault_02_giving_a_machine_away_is_a_door_of_the_new_owners_share(world, web):
    world.user("ben", "User", web)
    boss = world.user("olga", "Administrator", web)
    with world.work(world.admin()) as work:
        person_quotas.set_limits(
            work, pools.get(work, web.id), "ben@internal", Limits(storage=GB - 1)
        )
    path = f"/machines/{world.machine_id}"
    wish = {"owner": "ben@internal"}
    assert world.api(world.anna)("PATCH", path, wish, If_Match="*").status_int == 403
    refused = world.api(boss)("PATCH", path, wish, If_Match="*")
    assert refused.json["code"] == "quota.exceeded"
    with world.work(world.admin()) as work:
        person_quotas.set_limits(work, pools.get(work, web.id), "ben@internal", Limits(storage=GB))
    given = world.api(boss)("PATCH", path, wish, If_Match="*")
    assert given.json["owner"] == "ben@internal"
    nobody = world.api(boss)("PATCH", path, {"owner": "nobody@internal"}, If_Match="*")
    assert nobody.json["fields"][0]["field"] == "owner"


@pytest.mark.requirement("PEER-14")
def test_fault_02_the_bin_counts_and_bringing_back_counts_nothing_twice(world, web):
    api = world.api(world.anna)
    path = f"/machines/{world.machine_id}"
    end(world, api("DELETE", path))
    assert api("GET", path).json["state"] == "binned"
    assert api("GET", "/machines").json["items"] == []
    assert [row["name"] for row in api("GET", "/machines?bin=true").json["items"]] == ["web01"]
    browser = world.signed_in(world.anna)
    assert "web01" in browser.get("/machines/bin").text

    image = api("GET", "/images").json["items"][0]["id"]
    body = {"name": "web01", "image_id": image, "size": "tiny"}
    assert api("POST", f"/pools/{web.id}/machines", body).json["code"] == "quota.exceeded"
    end(world, api("POST", f"{path}/actions/unbin"))
    assert api("GET", path).json["state"] == "stopped"
    with world.work() as work:
        assert machine_states.reservation_differences(work) == []


def test_fault_02_what_comes_back_starts_only_within_the_quota(world, web):
    api = world.api(world.anna)
    path = f"/machines/{world.machine_id}"
    end(world, api("DELETE", path))
    with world.work(world.admin()) as work:
        found = pools.get(work, web.id)
        found.quota.machines = 0
    end(world, api("POST", f"{path}/actions/unbin"))
    assert api("POST", f"{path}/actions/start").json["code"] == "quota.exceeded"


def test_the_name_is_free_while_it_is_in_the_bin(world, web):
    api = world.api(world.anna)
    with world.work(world.admin()) as work:
        pools.get(work, web.id).quota.storage = 5 * GB
    end(world, api("DELETE", f"/machines/{world.machine_id}"))
    image = api("GET", "/images").json["items"][0]["id"]
    body = {"name": "web01", "image_id": image, "size": "tiny"}
    assert api("POST", f"/pools/{web.id}/machines", body).status_int == 202
    back = api("POST", f"/machines/{world.machine_id}/actions/unbin")
    assert back.json["code"] == "name.taken"
    renamed = api("PATCH", f"/machines/{world.machine_id}", {"name": "old"}, If_Match="*")
    assert renamed.status_int == 200
    assert api("POST", f"/machines/{world.machine_id}/actions/unbin").status_int == 202


def test_the_bin_lets_go_after_its_days(world, web):
    api = world.api(world.anna)
    end(world, api("DELETE", f"/machines/{world.machine_id}"))
    with world.work() as work:
        assert bins.due(work) == []
    change(world, purge_at=moment() - timedelta(seconds=1))
    with world.work() as work:
        assert bins.due(work) == [world.machine_id]
        bins.purge(work, world.machine_id)
        assert work.db.get(Machine, world.machine_id).tail.type == "machine.delete"


def test_a_lease_warns_ends_and_is_renewed(world, web):
    browser, api = world.signed_in(world.anna), world.api(world.anna)
    path = f"/machines/{world.machine_id}"
    soon = moment() + timedelta(hours=3)
    entry = form(browser.get(f"{path}/lease"))
    entry["run_until"], entry["run_end"] = soon.strftime("%Y-%m-%d %H:%M"), "save"
    assert "Its lease ends at" in entry.submit().follow().text
    change(world, state=State.RUNNING.value)
    with world.work() as work:
        assert care.ending(work) == [world.machine_id]
        care.attend(work, world.machine_id)
        care.attend(work, world.machine_id)
        assert work.db.query(Audit).filter_by(action="lease.warning").count() == 1

    change(world, run_until=moment() - timedelta(seconds=1))
    with world.work() as work:
        care.attend(work, world.machine_id)
        assert work.db.get(Machine, world.machine_id).tail.type == "machine.save"
    later = (moment() + timedelta(days=30)).isoformat()
    renewed = api("PUT", f"{path}/lease", {"run_until": later, "keep_until": None})
    assert renewed.status_int == 200
    past = api("PUT", f"{path}/lease", {"run_until": "2020-01-01T00:00:00Z", "keep_until": None})
    assert past.json["fields"][0]["field"] == "run_until"


def test_a_lease_on_storage_ends_in_the_bin_but_not_for_a_protected_machine(world, web):
    change(world, keep_until=moment() - timedelta(seconds=1), locked=True)
    with world.work() as work:
        care.attend(work, world.machine_id)
        machine = work.db.get(Machine, world.machine_id)
        assert machine.tail is None
        assert machine.keep_until > work.now()
        assert work.db.query(Audit).filter_by(action="lease.refused").count() == 1
    change(world, keep_until=moment() - timedelta(seconds=1), locked=False)
    with world.work() as work:
        care.attend(work, world.machine_id)
        assert work.db.get(Machine, world.machine_id).tail.type == "machine.bin"


def test_what_is_kept_running_is_left_alone_after_five_times(world, web):
    change(world, keep_running=True, wanted=True)
    for number in range(care.MOST_RESTARTS):
        with world.work() as work:
            assert care.fallen(work) == [world.machine_id], number
            care.start_again(work, world.machine_id)
            operation = work.db.get(Machine, world.machine_id).tail
            types.get(operation.type).fail(work, operation)
            store.end(work.db, operation, OperationState.FAILED, work.now())
    with world.work() as work:
        care.start_again(work, world.machine_id)
        assert care.fallen(work) == []
    page = world.signed_in(world.anna).get(f"/machines/{world.machine_id}")
    assert "It stopped too often" in page.text


def test_a_machine_that_was_stopped_here_stays_so(world, web):
    change(world, keep_running=True, state=State.RUNNING.value, wanted=True)
    with world.work(world.anna) as work:
        operation = machines.act(work, machines.get(work, world.machine_id), Action.SHUTDOWN).id
    world.finish(operation)
    with world.work() as work:
        assert care.fallen(work) == []


@pytest.mark.requirement("PEER-12")
def test_many_at_once_each_gets_its_own_result(world, web):
    with world.work(world.admin()) as work:
        pools.get(work, web.id).quota.storage = 9 * GB
    locked = world.machine("web02", web, owner=world.anna).id
    change(world, locked=False)
    with world.work() as work:
        work.db.get(Machine, locked).locked = True
    browser = world.signed_in(world.anna)
    both = [("machine", str(world.machine_id)), ("machine", str(locked))]
    told = browser.send("/machines/bulk", [*both, ("action", "bin"), ("confirmed", "yes")])
    assert "1 of 2 accepted." in told.text
    assert "machine.protected" in told.text
    with world.work() as work:
        number = work.db.get(Machine, world.machine_id).tail_id
        operation = work.db.get(Operation, number)
        types.get(operation.type).succeed(work, operation)
        store.end(work.db, operation, OperationState.DONE, work.now())
    assert "Bring back" in browser.get("/machines/bin").text
    back = browser.send("/machines/bulk", [*both, ("action", "unbin")])
    assert "1 of 2 accepted." in back.text
    assert "machine.state" in back.text
