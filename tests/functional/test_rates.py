"""Rates that the running machines of a pool share: set, divided, shown, told."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ovcadmin.domain.states import State
from ovcadmin.models import Audit, Machine, MachineRates, Volume
from ovcadmin.services import devices, machine_states, rate_parts
from tests.functional.world import form

WRONG = (-1, 0, 2**63, 1.5, "1e9", "100", True, float("nan"))
TYPED = ("-1", "0", "NaN", str(2**63), "1e9", "1.5", "٣", "lots")


@pytest.fixture
def cloud(world):
    """Sales over Shop; two machines run in Shop, one in Sales, one is stopped."""
    store = world.store(world.host())
    world.image()
    world.sales = world.pool("Sales")
    world.shop = world.pool("Shop", world.sales)
    for name, pool, state in (
        ("web01", world.shop, State.RUNNING),
        ("web02", world.shop, State.RUNNING),
        ("db01", world.sales, State.RUNNING),
        ("old01", world.shop, State.STOPPED),
    ):
        setattr(world, name, world.machine(name, pool, state=state, size="large"))
    with world.work() as work:
        for machine in work.db.query(Machine):
            machine.vcpus = 4
            name = f"disk-{machine.name}"
            work.db.add(
                Volume(
                    storage_pool_id=store.id, machine_id=machine.id, name=name, key=name, size=2**30
                )
            )
    return world


def divide(world):
    """What the chore of a worker does."""
    with world.work() as work:
        news = rate_parts.outdated(work)
        rate_parts.write(work, news)
    return {one.machine_id for one in news}


def tell(world, *refused):
    """What the watcher of the host does; returns what guests were told."""
    with world.work() as work:
        found = rate_parts.waiting(work, work.db.get(Machine, world.web01.id).host_id)
        for one in found:
            rate_parts.told(work, one, refused)
    return {one.machine_id: one.rates for one in found}


def words(page):
    return page.html.find("main").get_text(" ", strip=True)


def set_rates(browser, pool, **typed):
    page = form(browser.get(f"/pools/{pool.id}/rates/set"))
    for name, value in typed.items():
        page[name] = value
    return page.submit(expect_errors=True)


def test_two_machines_share_and_one_alone_has_it_all(cloud):
    admin = cloud.signed_in(cloud.admin())
    done = set_rates(admin, cloud.shop, cpu="100", iops="90", byte_rate="10 MB")
    assert "The shared rates of Shop are set." in words(done.follow())
    assert divide(cloud) == {cloud.web01.id, cloud.web02.id}
    told = tell(cloud)
    assert set(told) == {cloud.web01.id, cloud.web02.id}
    assert told[cloud.web01.id].cpu == 50
    assert told[cloud.web01.id].drives == {"vda": (5 * 10**6, 45)}
    page = words(admin.get(f"/pools/{cloud.shop.id}"))
    assert "CPU 100 % of one CPU 2 running machines 50 % of one CPU" in page
    assert "Drive operations 90 a second 2 running machines 45 a second" in page
    with cloud.work() as work:
        machine = work.db.get(Machine, cloud.web02.id)
        machine_states.enter(work, machine, State.STOPPED)
    assert divide(cloud) == {cloud.web01.id}
    assert tell(cloud)[cloud.web01.id].cpu == 100
    listed = words(admin.get(f"/pools/{cloud.shop.id}/rates"))
    assert "web01 100 % of one CPU , by Shop" in listed
    assert "web02" not in listed
    assert divide(cloud) == set()
    assert tell(cloud) == {}


def test_limits_of_pools_above_count_and_the_page_says_which_one_binds(cloud):
    api = cloud.api(cloud.admin())
    assert api("PUT", f"/pools/{cloud.shop.id}/rates", {"cpu": 100}).status_int == 200
    assert api("PUT", f"/pools/{cloud.sales.id}/rates", {"cpu": 300}).status_int == 200
    divide(cloud)
    seen = api("GET", f"/pools/{cloud.sales.id}/rates").json
    assert {
        one["machine"]["name"]: (rate["amount"], rate["pool"]["name"])
        for one in seen["machines"]
        for rate in one["rates"]
        if rate["rate"] == "cpu"
    } == {"web01": (50, "Shop"), "web02": (50, "Shop"), "db01": (200, "Sales")}
    found = api("GET", f"/machines/{cloud.web01.id}/devices").json["shared"]
    shop = {"id": cloud.shop.id, "name": "Shop"}
    assert found == [{"rate": "cpu", "amount": 50, "shared": True, "pool": shop}]
    admin = cloud.signed_in(cloud.admin())
    page = words(admin.get(f"/machines/{cloud.db01.id}/devices"))
    assert "CPU 200 % of one CPU, its part of the limit of Sales" in page
    assert "Sales CPU 300 % of one CPU" in words(admin.get(f"/pools/{cloud.shop.id}/rates"))


def test_who_does_not_see_the_pool_above_is_not_told_its_name(cloud):
    assert (
        cloud.api(cloud.admin())("PUT", f"/pools/{cloud.sales.id}/rates", {"cpu": 30}).status_int
        == 200
    )
    divide(cloud)
    owner = cloud.user("anna", "Administrator", cloud.shop)
    page = words(cloud.signed_in(owner).get(f"/machines/{cloud.web01.id}/devices"))
    assert "10 % of one CPU, its part of the limit of a pool above" in page
    assert "Sales" not in words(cloud.signed_in(owner).get(f"/pools/{cloud.shop.id}/rates"))
    seen = cloud.api(owner)("GET", f"/pools/{cloud.shop.id}/rates").json
    assert seen["above"] == []
    assert {one["pool"] for machine in seen["machines"] for one in machine["rates"]} == {None}


def test_bad_numbers_are_refused_with_words(cloud):
    api, admin = cloud.api(cloud.admin()), cloud.signed_in(cloud.admin())
    for wrong in WRONG:
        answer = api("PUT", f"/pools/{cloud.shop.id}/rates", {"cpu": wrong})
        assert answer.status_int in (400, 422), wrong
        assert answer.json["code"] in ("input.invalid", "request.invalid", "request.malformed")
    for wrong in TYPED:
        answer = set_rates(admin, cloud.shop, iops=wrong)
        assert answer.status_int == 422, wrong
        assert "error" in answer.text
        assert "are set" not in words(answer)
    assert "1024 or more" in words(set_rates(admin, cloud.shop, send="1000 B"))
    assert api("GET", f"/pools/{cloud.shop.id}/rates").json["limits"]["cpu"] is None


def test_less_than_the_least_of_what_runs_is_refused(cloud):
    admin = cloud.signed_in(cloud.admin())
    told = words(set_rates(admin, cloud.shop, cpu="1"))
    assert "2 machines run that share it" in told
    assert "write 2 or more" in told
    with cloud.work() as work:
        machine_states.enter(work, work.db.get(Machine, cloud.web02.id), State.STOPPED)
    set_rates(admin, cloud.shop, cpu="1")
    with cloud.work() as work:
        machine_states.enter(work, work.db.get(Machine, cloud.web02.id), State.RUNNING)
    divide(cloud)
    page = words(admin.get(f"/pools/{cloud.shop.id}"))
    assert "Too many run for a limit" in page
    assert {one.cpu for one in tell(cloud).values()} == {1}


def test_the_right_is_that_of_the_quota_and_it_is_written_down(cloud):
    owner, above = (
        cloud.user("olga", "Administrator", cloud.shop),
        cloud.user("abel", "Administrator", cloud.sales),
    )
    stranger = cloud.user("stan")
    path = f"/pools/{cloud.shop.id}/rates"
    assert cloud.api(stranger)("GET", path).status_int == 404
    assert cloud.api(owner)("PUT", path, {"cpu": 100}).status_int == 403
    assert "/rates/set" not in cloud.signed_in(owner).get(path).text
    assert cloud.signed_in(owner).get(f"{path}/set", expect_errors=True).status_int == 403
    assert cloud.api(above)("PUT", path, {"cpu": 100, "send": 10**6}).status_int == 200
    with cloud.work() as work:
        row = work.db.query(Audit).filter_by(action="rates.set").one()
        assert row.after["cpu"] == 100
        assert row.before["cpu"] is None
        assert row.object_name == "Shop"


def test_a_lower_limit_of_its_own_stays_and_leaves_the_rest_to_others(cloud):
    with cloud.work() as work:
        work.db.get(Machine, cloud.web01.id).cpu_limit = 20
    cloud.api(cloud.admin())("PUT", f"/pools/{cloud.shop.id}/rates", {"cpu": 100})
    assert divide(cloud) == {cloud.web02.id}
    assert tell(cloud)[cloud.web02.id].cpu == 80


def test_who_starts_again_is_told_again_and_a_limit_that_went_is_taken_back(cloud):
    api = cloud.api(cloud.admin())
    api("PUT", f"/pools/{cloud.shop.id}/rates", {"cpu": 100})
    divide(cloud)
    tell(cloud)
    with cloud.work() as work:
        machine = work.db.get(Machine, cloud.web01.id)
        machine.state_since = work.now() + timedelta(seconds=5)
    assert divide(cloud) == {cloud.web01.id}
    assert tell(cloud)[cloud.web01.id].cpu == 50
    api("PUT", f"/pools/{cloud.shop.id}/rates", {})
    assert divide(cloud) == {cloud.web01.id, cloud.web02.id}
    assert {one.cpu for one in tell(cloud).values()} == {None}
    with cloud.work() as work:
        assert work.db.query(MachineRates).count() == 0


def test_what_a_host_refuses_is_shown_and_tried_again_later(cloud):
    cloud.api(cloud.admin())("PUT", f"/pools/{cloud.shop.id}/rates", {"cpu": 100})
    divide(cloud)
    assert len(tell(cloud, "no control groups here")) == 2
    assert tell(cloud) == {}
    admin = cloud.signed_in(cloud.admin())
    page = words(admin.get(f"/machines/{cloud.web01.id}/devices"))
    assert "Its host does not limit it : no control groups here" in page
    assert "not limited" in words(admin.get(f"/pools/{cloud.shop.id}/rates"))
    with cloud.work() as work:
        for row in work.db.query(MachineRates):
            row.tried_at -= rate_parts.AGAIN
    assert len(tell(cloud)) == 2
    assert "does not limit" not in words(admin.get(f"/machines/{cloud.web01.id}/devices"))


def test_nobody_is_told_while_an_operation_works_on_the_machine(cloud):
    cloud.api(cloud.admin())("PUT", f"/pools/{cloud.shop.id}/rates", {"cpu": 100})
    divide(cloud)
    with cloud.work() as work:
        operation = devices.limit_cpu(work, work.db.get(Machine, cloud.web01.id), 30).id
    assert set(tell(cloud)) == {cloud.web02.id}
    cloud.finish(operation)
    with cloud.work() as work:
        work.db.get(Machine, cloud.web01.id).tail_id = None
    assert set(tell(cloud)) == {cloud.web01.id}
