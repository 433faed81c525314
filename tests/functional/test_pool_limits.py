"""Limits: warnings before anything is refused, defaults, previews, persons, the largest host."""

from __future__ import annotations

import pytest

from ovcadmin.domain.states import State
from ovcadmin.models import Audit, Host, Pool
from tests.functional.world import form

GB = 10**9


@pytest.fixture
def admin(world):
    world.host()
    world.image()
    return world.signed_in(world.admin())


def _words(page, **where):
    return page.html.find("main", **where).get_text(" ", strip=True)


def _bar(page, label):
    """The text alternative of the page's first bar of this name."""
    bars = [one["aria-label"] for one in page.html.find("main").find_all("svg", role="img")]
    return next(bar for bar in bars if bar.startswith(label))


@pytest.mark.requirement("OVT-58", "OVT-77")
def test_bars_show_used_pending_promised_and_total(world, admin):
    account = world.pool("Account", vcpus=8, memory=8 * 2**20, machines=4, storage=20 * GB)
    world.pool("One", account, machines=3)
    two = world.pool("Two", account, machines=3)
    world.machine("web01", two, state=State.RUNNING)
    waiting = world.machine("web02", two)
    admin.send(f"/machines/{waiting.id}/actions/start")
    page = admin.get(f"/pools/{account.id}")
    assert _bar(page, "Running machines") == (
        "Running machines: 1 used, 1 pending, of 4; 6 promised to sub-pools, more than there is"
    )
    assert "6 over-promised" in _words(page)
    assert _bar(page, "NICs") == "NICs: 1 used, 1 pending, no limit here"
    below = admin.get(f"/pools/{two.id}")
    assert _bar(below, "Running machines") == "Running machines: 1 used, 1 pending, of 3"
    # The level above is there too, with its own figures.
    assert "Pools above, whose limits count too: Account" in _words(below)
    quota = form(admin.get(f"/pools/{account.id}/quota"))
    assert [field for field in quota.fields if field and field not in ("csrf_token", "seen")] == [
        "vcpus", "memory", "nics", "machines", "redundancy", "storage",
    ]  # fmt: skip


@pytest.mark.requirement("PEER-08")
def test_a_limit_warns_before_it_refuses_in_the_page_and_in_the_log(world, admin):
    pool = world.pool("Web", machines=4)
    for number in range(2):
        world.machine(f"up{number}", pool, state=State.RUNNING)
    stopped = [world.machine(f"web{number}", pool) for number in range(3)]
    policy = form(admin.get(f"/pools/{pool.id}/policy"))
    assert policy["warn_machines"].value == "80"
    policy["warn_machines"] = "60"
    policy.submit()
    assert "Near the limit" not in _words(admin.get(f"/pools/{pool.id}"))
    assert admin.send(f"/machines/{stopped[0].id}/actions/start").status_int == 303
    assert "Near the limit: Running machines." in _words(admin.get(f"/pools/{pool.id}"))
    assert "near its limit" in _words(admin.get("/"))
    assert admin.send(f"/machines/{stopped[1].id}/actions/start").status_int == 303
    assert admin.send(f"/machines/{stopped[2].id}/actions/start").status_int == 409
    with world.work() as work:
        rows = work.db.query(Audit).filter_by(action="quota.warning").all()
        # Once, when it was passed.
        assert [row.after for row in rows] == [
            {"machines": {"taken": 3, "limit": 4, "percent": 60}}
        ]
    bad = form(admin.get(f"/pools/{pool.id}/policy"))
    bad["warn_memory"] = "101"
    assert "1 to 100" in bad.submit(expect_errors=True)


def test_new_sub_pools_begin_with_the_defaults(world, admin):
    account = world.pool("Account")
    policy = form(admin.get(f"/pools/{account.id}/policy"))
    policy["new_memory"], policy["new_machines"] = "2 GiB", "5"
    policy.submit()
    made = form(admin.get(f"/pools/new?parent={account.id}"))
    made["name"] = "Fresh"
    page = made.submit().follow()
    assert _bar(page, "Memory").endswith("of 2 GiB")
    assert _bar(page, "Running machines").endswith("of 5")
    assert _bar(page, "Storage").endswith("no limit here")


@pytest.mark.requirement("NEW-03")
def test_a_lower_limit_says_first_what_it_takes_away(world, admin):
    account = world.pool("Account", machines=4)
    world.pool("Space", account, machines=3)
    for number in range(2):
        world.machine(f"up{number}", account, state=State.RUNNING)
    world.machine("down", account)
    page = form(admin.get(f"/pools/{account.id}/quota"))
    page["machines"] = "1"
    preview = page.submit()
    told = preview.html.find("section", class_="impact").get_text(" ", strip=True)
    assert "Nothing is changed yet" in told
    assert "running machines: 2 in use, the limit would be 1" in told
    assert "running machines: 3 promised to sub-pools" in told
    assert "down" in told
    assert _bar(admin.get(f"/pools/{account.id}"), "Running machines").startswith(
        "Running machines: 2 used, of 4"
    )
    done = form(preview).submit("confirmed").follow()
    assert "More than that is used already" in done
    raised = form(admin.get(f"/pools/{account.id}/quota"))
    raised["machines"] = "9"
    assert raised.submit().status_int == 303


@pytest.mark.requirement("OVT-41")
def test_each_person_has_a_share_of_the_pool(world, admin):
    pool = world.pool("Web")
    anna, ben = world.user("anna", "User", pool), world.user("ben", "User", pool)
    for who, machines in (("anna", "1"), ("", "2")):
        shares = form(admin.get(f"/pools/{pool.id}/persons"))
        shares["who"], shares["machines"] = who, machines
        shares.submit()
    listed = _words(admin.get(f"/pools/{pool.id}/persons"))
    assert "anna@internal" in listed
    assert "everybody else" in listed

    def start(user, number):
        machine = world.machine(f"{user.name}{number}", pool, owner=user)
        return world.signed_in(user).send(f"/machines/{machine.id}/actions/start")

    assert start(anna, 1).status_int == 303
    refused = start(anna, 2)
    assert refused.status_int == 409
    assert "Web, share of anna" in refused
    # Her share is her pool owner's own matter: no limit of the pool stands in the way.
    assert "Ask the owner" not in refused
    assert [start(ben, number).status_int for number in range(3)] == [303, 303, 409]
    hers = _words(world.signed_in(anna).get(f"/pools/{pool.id}"))
    assert "Your share of Web" in hers

    cleared = form(admin.get(f"/pools/{pool.id}/persons"))
    cleared["who"] = "anna"
    cleared.submit()
    assert start(anna, 3).status_int == 303  # as everybody: two
    assert start(anna, 4).status_int == 409
    stranger = form(admin.get(f"/pools/{pool.id}/persons"))
    world.user("outsider")
    stranger["who"], stranger["machines"] = "outsider", "1"
    assert "Nobody of this name has a right in Web" in stranger.submit(expect_errors=True)


@pytest.mark.requirement("NEW-03")
def test_a_lower_limit_of_a_person_says_first_what_it_takes_away(world, admin):
    pool = world.pool("Web")
    anna = world.user("anna", "User", pool)
    world.machine("up", pool, owner=anna, state=State.RUNNING)
    world.machine("down", pool, owner=anna)
    page = form(admin.get(f"/pools/{pool.id}/persons"))
    page["who"], page["memory"] = "anna", "100 MiB"
    preview = page.submit()
    told = preview.html.find("section", class_="impact").get_text(" ", strip=True)
    assert "Nothing is changed yet" in told
    assert "anna@internal, memory: 128 MiB in use, the limit would be 100 MiB" in told
    assert "Could not be started any more: down" in told
    assert "Nobody has a limit of his own here." in preview
    again = form(preview)
    again["memory"] = "1 GiB"
    assert again.submit().status_int == 303  # looked again: nothing is taken away
    listed = admin.get(f"/pools/{pool.id}/persons")
    last = form(listed.click("Change"))
    assert (last["who"].value, last["memory"].value) == ("anna@internal", "1 GiB")
    last["memory"] = "100 MiB"
    done = form(last.submit()).submit("confirmed").follow()
    assert "The limits of anna@internal in Web are set." in done
    assert _bar(done, "Memory") == "Memory: 128 MiB used, of 100 MiB"


@pytest.mark.requirement("OVT-30")
def test_no_machine_is_larger_than_the_largest_host(world, admin):
    pool = world.pool("Web", vcpus=1000)
    machine = world.machine("web01", pool)
    with world.work() as work:
        host = work.db.query(Host).one()
        host.cpus, host.memory = 1, 2**20
    with world.work() as work:
        work.db.get(type(machine), machine.id).vcpus = 2
    start = admin.send(f"/machines/{machine.id}/actions/start")
    assert start.status_int == 409
    assert "machine.too_large" in start
    assert "the largest host that serves Web has 1 CPUs" in start
    order = form(admin.get(f"/machines/new?pool={pool.id}"))
    order["name"], order["size"] = "web02", "small"
    refused = order.submit(expect_errors=True)
    assert refused.status_int == 409
    assert "web02 wants 2 vCPUs" in refused
    assert isinstance(pool, Pool)
