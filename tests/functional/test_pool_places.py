"""Moving pools and machines, freezing and retiring: what a person sees, and what is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from ovcadmin.domain.consumption import Month
from ovcadmin.domain.states import State
from ovcadmin.models import Lineage, Machine, MachineEvent, Pool
from ovcadmin.services import consumption, machine_states, pool_moves, quotas
from tests.functional.world import form


@pytest.fixture
def two(world):
    """Two accounts with a space each; Blue has room for one running machine more."""
    red, blue = world.pool("Red"), world.pool("Blue", machines=2)
    rose = world.pool("Rose", red)
    world.host()
    world.image()
    world.machine("blue01", blue, state=State.RUNNING)
    return {"red": red, "blue": blue, "rose": rose, "admin": world.signed_in(world.admin())}


def _lineage_is_right(world):
    """The lineage table against the parent pointers."""
    with world.work() as work:
        parents = dict(work.db.execute(select(Pool.id, Pool.parent_id)).all())
        rows = {
            (row.ancestor_id, row.pool_id): row.distance for row in work.db.scalars(select(Lineage))
        }
        wanted = {}
        for pool_id in parents:
            step, distance = pool_id, 0
            while step is not None:
                wanted[step, pool_id] = distance
                step, distance = parents[step], distance + 1
        assert rows == wanted
        assert machine_states.reservation_differences(work) == []


def _taken(world, pool):
    with world.work() as work:
        used, pending = quotas.usage(work, [pool.id])[pool.id]
    return (used + pending).machines


def _move(browser, pool, target, kind="pools"):
    path = f"/{kind}/{pool.id}/move"
    seen = form(browser.get(path))
    seen["to"] = str(target.id)
    return path, seen.submit()


@pytest.mark.requirement("NEW-03")
def test_a_move_shows_first_who_loses_and_what_could_not_start(world, two):
    world.user("rudi", "User", two["red"])
    world.user("bela", "Administrator", two["blue"])
    world.machine("rose01", two["rose"], state=State.RUNNING)
    world.machine("rose02", two["rose"])
    world.host("red-host", two["red"])
    path, page = _move(two["admin"], two["rose"], two["blue"])
    told = page.html.find("section", class_="impact").get_text(" ", strip=True)
    assert "rudi loses control, create, view" in told
    assert "bela gains" in told
    assert "Could not be started any more: rose02" in told.replace(" :", ":")
    assert "host red-host" in told
    assert "storage pool red-host-local" in told

    done = form(page, path).submit("confirmed").follow()
    assert "Rose is in Blue now." in done
    assert [crumb.get_text() for crumb in done.html.find("nav", class_="crumbs").find_all("a")] == [
        "Cloud", "Blue",
    ]  # fmt: skip
    _lineage_is_right(world)
    assert _taken(world, two["blue"]) == 2
    assert _taken(world, two["red"]) == 0
    assert (
        world.signed_in(world.user("rita", "User", two["blue"]))
        .fetch(f"/pools/{two['rose'].id}")
        .status_int
        == 200
    )


def test_a_pool_that_does_not_fit_its_new_chain_stays(world, two):
    for name in ("rose01", "rose02"):
        world.machine(name, two["rose"], state=State.RUNNING)
    path, page = _move(two["admin"], two["rose"], two["blue"])
    assert "Refused: it does not fit there." in page
    assert "confirmed" not in page.text
    forced = two["admin"].send(path, {"to": str(two["blue"].id), "confirmed": "yes"})
    assert forced.status_int == 409
    assert "Rose does not fit the quota" in forced
    assert _taken(world, two["blue"]) == 1
    _lineage_is_right(world)


def test_common_levels_count_nothing_twice(world, two):
    """The cloud is full; a move within it changes nothing for it."""
    world.machine("rose01", two["rose"], state=State.RUNNING)
    admin = two["admin"]
    root = world.root().id
    limits = {"machines": "2", "confirmed": "yes"}
    assert admin.send(f"/pools/{root}/quota", limits).status_int == 303
    path, page = _move(admin, two["rose"], two["blue"])
    assert form(page, path).submit("confirmed").status_int == 303
    assert _taken(world, world.root()) == 2


def test_fault_10_no_pool_becomes_a_part_of_itself(world, two):
    bud = world.pool("Bud", two["rose"])
    admin = two["admin"]
    offered = [value for value, *_ in form(admin.get(f"/pools/{two['red'].id}/move"))["to"].options]
    assert not {str(two["red"].id), str(two["rose"].id), str(bud.id)} & set(offered)
    for target in (two["red"], two["rose"], bud):
        sent = {"to": str(target.id), "confirmed": "yes"}
        assert admin.send(f"/pools/{two['red'].id}/move", sent).status_int == 422
    _lineage_is_right(world)


def test_fault_10_two_moves_into_each_other_make_no_ring(world, two):
    """Red under Blue and Blue under Red in the same moment: one of them wins."""
    browsers = [world.signed_in(world.admin()) for _ in range(2)]
    pairs = [(two["red"], two["blue"]), (two["blue"], two["red"])]

    def move(number):
        pool, target = pairs[number]
        sent = {"to": str(target.id), "confirmed": "yes"}
        return browsers[number].send(f"/pools/{pool.id}/move", sent).status_int

    with ThreadPoolExecutor(2) as crowd:
        assert sorted(crowd.map(move, range(2))) == [303, 422]
    _lineage_is_right(world)


def test_fault_10_nobody_moves_a_pool_to_where_he_has_no_say(world, two):
    rosa = world.signed_in(world.user("rosa", "Administrator", two["red"]))
    sent = {"to": str(two["blue"].id), "confirmed": "yes"}
    assert rosa.send(f"/pools/{two['rose'].id}/move", sent).status_int == 422
    assert rosa.fetch(f"/pools/{two['red'].id}/move").status_int == 403
    _lineage_is_right(world)


def test_fault_09_nothing_moves_while_something_is_done_in_it(world, two):
    machine = world.machine("rose01", two["rose"])
    admin = two["admin"]
    assert admin.send(f"/machines/{machine.id}/actions/start").status_int == 303
    sent = {"to": str(two["blue"].id), "confirmed": "yes"}
    for path in (f"/pools/{two['rose'].id}/move", f"/machines/{machine.id}/move"):
        _, page = _move(admin, *(
            (two["rose"], two["blue"], "pools") if "pools" in path
            else (machine, two["blue"], "machines")
        ))  # fmt: skip
        assert "Start rose01" in page.html.find("section", class_="impact").get_text()
        refused = admin.send(path, sent)
        assert refused.status_int == 409
        assert "pool.busy" in refused
    assert _taken(world, two["blue"]) == 1
    _lineage_is_right(world)


def test_a_machine_moves_with_what_it_holds(world, two):
    running = world.machine("rose01", two["rose"], state=State.RUNNING)
    path, page = _move(two["admin"], running, two["blue"], "machines")
    assert "rose01 is in Blue now." in form(page, path).submit("confirmed").follow()
    assert (_taken(world, two["red"]), _taken(world, two["blue"])) == (0, 2)
    another = world.machine("rose02", two["rose"], state=State.RUNNING)
    path, page = _move(two["admin"], another, two["blue"], "machines")
    assert "Refused: it does not fit there." in page
    sent = {"to": str(two["blue"].id), "confirmed": "yes"}
    assert two["admin"].send(path, sent).status_int == 409
    _lineage_is_right(world)


def test_what_a_machine_used_stays_with_the_pool_where_it_was(world, two):
    """Its old owner reads it there still, and nothing of where it went."""
    machine = world.machine("rose01", two["rose"])
    olga = world.user("olga", "Monitor", two["red"])
    begun = datetime(2026, 3, 10, 12, tzinfo=UTC)
    with world.work() as work:
        row = work.db.get(Machine, machine.id)
        work.db.query(MachineEvent).filter_by(machine_id=row.id).one().at = begun
        row.created_at = begun
    with world.work(world.admin()) as work:
        later = replace(work, clock=lambda: begun + timedelta(hours=2))
        blue = work.db.get(Pool, two["blue"].id)
        pool_moves.move_machine(later, work.db.get(Machine, machine.id), blue)

    def read(reader) -> dict[str, float]:
        with world.work(reader) as work:
            later = replace(work, clock=lambda: begun + timedelta(hours=5))
            accounts = consumption.report(later, Month(2026, 3))
            spaces = [space for account in accounts for space in account.spaces]
            return {space.pool.name: space.used.storage_gb_hours for space in spaces}

    assert read(olga) == {"Rose": 2}
    assert read(world.admin()) == {"Blue": 3, "Rose": 2}


def test_a_frozen_pool_starts_nothing_new_and_says_so(world, two):
    stopped = world.machine("rose01", two["rose"])
    running = world.machine("rose02", two["rose"], state=State.RUNNING)
    admin = two["admin"]
    state = f"/pools/{two['red'].id}/state"
    page = admin.get(state)
    assert "rose01" in page.html.find("main").get_text()
    assert "done" in admin.send(state, {"action": "freeze"}).follow()
    below = admin.get(f"/pools/{two['rose'].id}").html.find("main").get_text(" ", strip=True)
    assert "Red is frozen" in below
    assert admin.send(f"/machines/{stopped.id}/actions/start").status_int == 409
    assert admin.send(f"/machines/{running.id}/actions/reboot").status_int == 303
    order = {"name": "rose03", "size": "tiny", "image": "1"}
    assert admin.send(f"/machines/new?pool={two['rose'].id}", order).status_int in (409, 422)
    assert admin.send(state, {"action": "freeze"}).status_int == 409
    assert admin.send(state, {"action": "unfreeze"}).status_int == 303
    assert admin.send(f"/machines/{stopped.id}/actions/start").status_int == 303


def test_a_retired_pool_is_out_of_sight_until_it_is_asked_for(world, two):
    running = world.machine("rose01", two["rose"], state=State.RUNNING)
    admin = two["admin"]
    state = f"/pools/{two['red'].id}/state"
    assert "1 machine run in Red" in admin.send(state, {"action": "retire"})
    operation = world.api(world.admin())("POST", f"/machines/{running.id}/actions/power_off")
    assert "pool.busy" in admin.send(state, {"action": "retire"})
    world.finish(operation.json["operation"]["id"])
    assert admin.send(state, {"action": "retire"}).status_int == 303
    listed = admin.get("/pools").html
    assert listed.find("main").find("a", string="Red") is None
    assert listed.find("main").find("a", string="Rose") is None
    assert listed.find("aside").find("a", string="Rose") is None
    shown = admin.get("/pools?retired=yes").html.find("main")
    assert "retired" in shown.find("a", string="Red").parent.get_text()
    assert admin.send(f"/machines/{running.id}/actions/start").status_int == 409
    assert admin.send(state, {"action": "bring_back"}).status_int == 303
    assert admin.get("/pools").html.find("main").find("a", string="Rose")
