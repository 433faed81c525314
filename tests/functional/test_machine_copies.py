"""Clones and templates by the doors that people use, and as doors of the quota."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from ovcadmin.domain.states import State
from ovcadmin.engine import store, types
from ovcadmin.models import Image, Machine, Operation, OperationState, Volume
from ovcadmin.services import machine_states
from tests.functional.world import form

GB = 10**9


@pytest.fixture
def web(world):
    """A pool with room for three disks of 1 GB, and a stopped machine with one."""
    pool = world.pool("Web", storage=3 * GB)
    host = world.host()
    world.image()
    world.anna = world.user("anna", "User", pool)
    world.machine_id = world.machine("web01", pool, owner=world.anna).id
    kept = world.store(host).id
    with world.work() as work:
        work.db.add(
            Volume(storage_pool_id=kept, name="d", key="d", size=GB, machine_id=world.machine_id)
        )
    return pool


def end(world, number, state=OperationState.DONE):
    with world.work() as work:
        operation = work.db.get(Operation, number)
        kind = types.get(operation.type)
        (kind.succeed if state is OperationState.DONE else kind.fail)(work, operation)
        store.end(work.db, operation, state, work.now())


def test_a_clone_is_asked_for_on_its_page_and_counts(world, web):
    browser = world.signed_in(world.anna)
    page = browser.get(f"/machines/{world.machine_id}")
    entry = form(page.click("Clone…"))
    entry["name"] = "web02"
    made = entry.submit().follow()
    assert made.html.find("h1").get_text() == "web02"
    with world.work() as work:
        clone = work.db.query(Machine).filter_by(name="web02").one()
        number, first = clone.tail_id, work.db.get(Machine, world.machine_id)
        assert first.tail_id == number
        assert clone.nics[0].mac != first.nics[0].mac
    end(world, number)
    api = world.api(world.anna)
    assert [row["state"] for row in api("GET", "/machines").json["items"]] == ["stopped"] * 2
    with world.work() as work:
        assert machine_states.reservation_differences(work) == []


def test_fault_02_clones_cannot_pass_the_quota(world, web):
    api = world.api(world.anna)
    path = f"/machines/{world.machine_id}/clones"
    for number in (2, 3):
        end(world, api("POST", path, {"name": f"web0{number}"}).json["operation"]["id"])
    refused = api("POST", path, {"name": "web04"})
    assert refused.json["code"] == "quota.exceeded"
    assert api("GET", "/machines").json["total"] == 3


def test_fault_02_of_many_clones_at_once_as_many_win_as_there_is_room(world, web):
    api = world.api(world.anna)
    path = f"/machines/{world.machine_id}/clones"

    def ask(number):
        return api("POST", path, {"name": f"new{number}"})

    with ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(ask, range(8)))
    accepted = [one for one in answers if one.status_int == 202]
    refused = {one.json["code"] for one in answers if one.status_int != 202}
    assert 1 <= len(accepted) <= 2
    assert refused <= {"quota.exceeded", "machine.busy"}


def test_a_clone_that_failed_takes_nothing_and_can_be_removed(world, web):
    api = world.api(world.anna)
    asked = api("POST", f"/machines/{world.machine_id}/clones", {"name": "web02"}).json
    end(world, asked["operation"]["id"], OperationState.FAILED)
    clone = asked["machine"]["id"]
    assert api("GET", f"/machines/{clone}").json["state"] == "create_failed"
    with world.work() as work:
        assert machine_states.reservation_differences(work) == []
    assert api("DELETE", f"/machines/{clone}").status_int == 202


def test_what_runs_is_not_copied_and_nothing_goes_where_one_may_not_create(world, web):
    api = world.api(world.anna)
    path = f"/machines/{world.machine_id}/clones"
    other = world.pool("Other")
    hidden = api("POST", path, {"name": "x", "pool_id": other.id})
    assert hidden.status_int == 404
    world.grant(world.anna, "Monitor", other)
    assert api("POST", path, {"name": "x", "pool_id": other.id}).status_int == 403
    with world.work() as work:
        work.db.get(Machine, world.machine_id).state = State.RUNNING.value
    assert api("POST", path, {"name": "x"}).json["code"] == "machine.state"


def test_fault_16_a_copy_carries_nothing_that_its_maker_may_not_set(world, web):
    """What an administrator gave stays with the one machine; what he limited is not shed."""
    with world.work() as work:
        source = work.db.get(Machine, world.machine_id)
        source.protected = source.keep_running = True
        source.cpu_limit = 50
    api = world.api(world.anna)
    path = f"/machines/{world.machine_id}/clones"
    for wanted in ({"protected": True}, {"cpu_limit": None}, {"host_id": 1}, {"owner": "boss"}):
        assert api("POST", path, {"name": "web02", **wanted}).status_int in (400, 422)
    world.grant(world.anna, "User", elsewhere := world.pool("Elsewhere"))
    with world.work() as work:
        source = work.db.get(Machine, world.machine_id)
        source.volumes[0].storage_pool.pool_id = web.id
    refused = api("POST", path, {"name": "web02", "pool_id": elsewhere.id})
    assert refused.json["code"] == "placement.no_host", "its storage does not serve that pool"
    assert api("POST", path, {"name": "web02"}).status_int == 202
    with world.work() as work:
        clone = work.db.query(Machine).filter_by(name="web02").one()
        assert (clone.protected, clone.keep_running, clone.cpu_limit) == (False, False, 50)
        assert (clone.owner_id, clone.pool_id) == (world.anna.id, web.id)


def test_a_template_is_an_image_where_the_disk_lies_and_fails_without_a_trace(world, web):
    boss = world.api(world.user("olga", "Administrator", web))
    path = f"/machines/{world.machine_id}/templates"
    assert world.api(world.anna)("POST", path, {"name": "Shop"}).status_int == 403
    asked = boss("POST", path, {"name": "Shop"})
    end(world, asked.json["operation"]["id"], OperationState.FAILED)
    with world.work() as work:
        assert work.db.query(Image).filter_by(name="Shop").count() == 0
    asked = boss("POST", path, {"name": "Shop"})
    with world.work() as work:
        image = work.db.query(Image).filter_by(name="Shop").one()
        image.volumes[0].key = "copied"
    end(world, asked.json["operation"]["id"])
    body = {"name": "web05", "image_id": image.id, "size": "tiny"}
    assert boss("POST", f"/pools/{web.id}/machines", body).status_int == 202
