"""Leases that machines get by themselves from their pool."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ovcadmin.domain.states import Action
from ovcadmin.models import Machine
from ovcadmin.services import care, machines
from tests.functional.world import form


@pytest.fixture
def lab(world):
    account = world.pool("Account")
    lab = world.pool("Lab", account)
    world.host()
    world.image()
    world.olga = world.user("olga", "Administrator", account)
    world.account = account
    return lab


def made(world, pool, name):
    api = world.api(world.olga)
    image = api("GET", "/images").json["items"][0]["id"]
    body = {"name": name, "image_id": image, "size": "tiny"}
    answer = api("POST", f"/pools/{pool.id}/machines", body).json
    world.finish(answer["operation"]["id"])
    return answer["machine"]["id"]


@pytest.mark.requirement("PEER-15")
def test_a_pool_gives_leases_and_a_nearer_pool_says_otherwise(world, lab):
    browser = world.signed_in(world.olga)
    entry = form(browser.get(f"/pools/{world.account.id}").click("^Leases$"))
    entry["run_hours"], entry["run_end"], entry["keep_days"] = "12", "save", "90"
    entry.submit().follow()
    api = world.api(world.olga)
    assert api("GET", f"/pools/{lab.id}/leases").json == {
        "own": False, "pool": {"id": world.account.id, "name": "Account"},
        "run_hours": 12, "run_end": "save", "keep_days": 90,
    }  # fmt: skip

    first = made(world, lab, "web01")
    row = api("GET", f"/machines/{first}").json
    assert row["run_until"] is None, "it does not run yet"
    with world.work(world.olga) as work:
        machine = machines.get(work, first)
        kept = machine.keep_until - machine.created_at - timedelta(days=90)
        assert timedelta(0) <= kept < timedelta(minutes=5)
        machines.act(work, machine, Action.START)
        assert timedelta(hours=11) < machine.run_until - work.now() <= timedelta(hours=12)
        assert machine.run_end == "save"

    body = {"run_hours": 2, "keep_days": None}
    assert api("PUT", f"/pools/{lab.id}/leases", body).json["own"] is True
    second = made(world, lab, "web02")
    assert api("GET", f"/machines/{second}").json["keep_until"] is None
    assert api("GET", f"/machines/{first}").json["keep_until"], "machines keep what they have"
    entry = form(browser.get(f"/pools/{lab.id}/leases"))
    entry.submit("remove", value="yes").follow()
    assert api("GET", f"/pools/{lab.id}/leases").json["own"] is False


@pytest.mark.requirement("PEER-15")
def test_a_lease_of_the_pool_warns_ends_and_is_renewed(world, lab):
    api = world.api(world.olga)
    api("PUT", f"/pools/{lab.id}/leases", {"keep_days": 30})
    machine_id = made(world, lab, "web01")
    with world.work() as work:
        machine = work.db.get_one(Machine, machine_id)
        machine.keep_until = work.now() + timedelta(hours=1)
        assert care.ending(work) == [machine_id]
        care.attend(work, machine_id)
        work.db.commit()
    assert "Its lease ends" in world.signed_in(world.olga).get(f"/machines/{machine_id}").text
    later = "2029-01-31T18:00:00Z"
    body = {"run_until": None, "keep_until": later}
    assert api("PUT", f"/machines/{machine_id}/lease", body).json["keep_until"] == later
    with world.work() as work:
        assert care.ending(work) == []


def test_leases_of_a_pool_take_the_right_and_sound_numbers(world, lab):
    anna = world.user("anna", "User", lab)
    assert world.api(anna)("PUT", f"/pools/{lab.id}/leases", {}).status_int == 403
    answer = world.api(world.olga)("PUT", f"/pools/{lab.id}/leases", {"keep_days": 0})
    assert answer.json["fields"][0]["field"] == "keep_days"
