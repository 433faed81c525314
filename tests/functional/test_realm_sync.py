"""What a synchronisation tells and keeps: interrupted, and of those who are Super Admin by it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from ovcadmin.config import Settings
from ovcadmin.engine import reaper
from ovcadmin.models import Audit, Grant, Group, Operation, Pool, Role, User
from ovcadmin.models.database import Database
from ovcadmin.services import people as accounts
from ovcadmin.services import pools, realm_checks, realm_sync, realms, setup
from ovcadmin.worker.realms import Realms
from tests.functional.directory import Company
from tests.functional.dying import killed_at
from tests.functional.outside import run_next
from tests.functional.world import PASSWORD as INTERNAL
from tests.rig import people
from tests.rig.slapd import slapd

PEOPLE = f"ou=people,{people.EXAMPLE}"
GROUPS = f"ou=groups,{people.EXAMPLE}"
LOCKED = ("replace: pwdAccountLockedTime", "pwdAccountLockedTime: 000001010000Z")
CROWD = 600
"""More than two batches."""


class Outside:
    """The directories as a worker reaches them."""

    def __init__(self, settings: Settings) -> None:
        self.directory = Realms(Database(settings.database_url), settings).directory


@pytest.fixture(scope="module")
def crowded():
    with slapd(people.crowd(CROWD)) as running:
        running.add(people.teams(6, CROWD // 6))
        yield running


@pytest.fixture
def company(sqlite_world):
    with slapd() as server:
        made = Company(sqlite_world, server)
        made.make_realm()
        yield made


def ask(company: Company, **more: bool) -> int:
    with company.world.work() as work:
        realm = realms.get(work, company.realm_id)
        return realm_sync.submit(work, realm, dry=more.pop("dry", False), **more).id


def sync(company: Company, **more: bool) -> Operation:
    """Ask for a synchronisation and run it as a worker does."""
    ask(company, **more)
    return run(company)


def run(company: Company) -> Operation:
    """Run what waits; return it with its steps and its log."""
    ended = run_next(company.world, Outside(company.world.settings))
    with company.world.work() as work:
        done = work.db.get(Operation, ended.id)
        assert done.state == "done", done.error_text
        assert done.steps
        assert done.log
        return done


def give_to_group(company: Company, name: str, role: str, pool: str) -> None:
    with company.world.work() as work:
        held = work.db.scalars(select(Group).where(Group.name == name)).one()
        kind = work.db.scalars(select(Role).where(Role.name == role)).one()
        place = pools.create(work, pools.root(work), name=pool)
        work.db.add(Grant(group_id=held.id, role_id=kind.id, pool_id=place.id))


def test_fault_07_a_worker_killed_while_half_vanishes_loses_nothing_of_what_it_told(
    sqlite_world, crowded
):
    company = Company(sqlite_world, crowded)
    company.make_realm(people_base=people.CROWD)
    sync(company)
    give_to_group(company, "team000", "User", "Lab")
    with sqlite_world.work() as work:
        realm = realms.get(work, company.realm_id)
        realm.settings = {**realm.settings, "people_filter": "(uid=u003*)"}
        realm.version += 1
    number = ask(company, even_many=True)
    settings = sqlite_world.settings
    gone = []
    # First while people are compared, then in the middle of those who vanished.
    for point in (14, 20):
        assert killed_at(settings, Outside, (settings,), point)
        with sqlite_world.work() as work:
            out = select(func.count(User.id)).where(User.disabled_by == "directory")
            gone.append(work.db.scalar(out))
            work.db.get(Operation, number).lease_until = work.now() - timedelta(minutes=1)
        with sqlite_world.work() as work:
            assert reaper.reap(work) == 1
    assert gone[0] < gone[1], "the second one died in the middle of those who vanished"
    done = run(company)
    assert done.attempt == 3
    told = realm_sync.tally(done)
    assert told.counts == {"vanished": 500}
    assert [(line["verb"], line["role"], line["count"]) for line in told.rights] == [
        ("loses", "User", 100)
    ]
    page = sqlite_world.signed_in(sqlite_world.admin()).get(f"/realms/{company.realm_id}/changes")
    assert "500 vanished and disabled" in page
    assert f"{CROWD - 500} users" in page
    with sqlite_world.work() as work:
        rows = select(func.count(Audit.id)).where(Audit.action == "user.disable")
        assert work.db.scalar(rows) == 500, "each of them once"


@pytest.fixture
def led(company):
    """Only Ann and Bob are Super Admins of the cloud, by their group."""
    sync(company)
    company.grant_to_group("engineering", "Super Admin")
    with company.world.work() as work:
        accounts.set_disabled(work, accounts.find(work, "admin"), disabled=True)
    return company


def enabled(company: Company, name: str) -> bool:
    return company.user(name).disabled_at is None


def changes(company: Company, browser: object) -> str:
    page = browser.get(f"/realms/{company.realm_id}/changes")
    return " ".join(page.lxml.xpath("string(//main)").split())


def test_the_directory_does_not_put_the_last_super_admin_out(led):
    server = led.server
    server.modify(f"cn=engineering,{GROUPS}", "delete: member", f"member: uid=bob,{PEOPLE}")
    server.modify(f"uid=ann,{PEOPLE}", *LOCKED)
    ann, api = led.world.signed_in(led.user("ann")), led.world.api(led.user("ann"))
    for dry in (True, False):
        assert api("GET", "/session").status_int == 200
        done = sync(led, dry=dry)
        assert realm_sync.tally(done).names["kept_out"] == ["ann"]
        assert "grant.last_super_admin" in " ".join(line.text for line in done.log)
    assert led.groups_of("bob") == {"round", "about"}, "he goes: Ann is left"
    # She stays what she is; nothing of hers stays open, and the directory lets her in no more.
    assert enabled(led, "ann")
    assert led.groups_of("ann") >= {"engineering"}
    assert ann.fetch("/realms").status_int == 303
    assert api("GET", "/session").status_int == 401
    assert led.browser("ann")[1].status_int == 422
    with led.world.work() as work:
        row = work.db.scalars(select(Audit).where(Audit.action == "user.keep")).one()
        assert (row.object_name, row.outcome) == ("ann", "grant.last_super_admin")
        setup.rescue(work, "admin", INTERNAL)
    admin = led.world.signed_in(led.world.admin())
    told = changes(led, admin)
    assert "1 kept as the last Super Admin, and signed out ann" in told
    assert "He cannot sign in any more" in told
    article = admin.get(f"/realms/{led.realm_id}/changes").click("make somebody else Super Admin")
    assert "A directory cannot be refused" in article
    sync(led)
    assert not enabled(led, "ann")


def ask_about_all(company: Company) -> None:
    """What a worker does every 20 seconds, and so long after the last time."""
    outside = Outside(company.world.settings)
    with company.world.work() as work:
        work.db.execute(update(User).values(checked_at=None))
        waiting = realm_checks.due(work)
    for contact, users in waiting:
        directory = outside.directory(contact.realm_id, {})
        answers = [realm_checks.ask(directory, user) for user in users]
        for answer in realm_checks.believed(directory, answers):
            with company.world.work() as work:
                realm_checks.settle(work, contact.realm_id, answer)


@pytest.mark.parametrize("how", ["disabled", "lost"])
def test_the_last_super_admin_is_out_within_the_minute_like_everybody(led, how):
    server = led.server
    server.modify(f"cn=engineering,{GROUPS}", "delete: member", f"member: uid=bob,{PEOPLE}")
    sync(led)
    ann, api = led.browser("ann")[0], led.world.api(led.user("ann"))
    ask_about_all(led)
    assert (ann.get("/realms").status_int, api("GET", "/session").status_int) == (200, 200)
    if how == "disabled":
        server.modify(f"uid=ann,{PEOPLE}", *LOCKED)
    else:
        server.delete(f"uid=ann,{PEOPLE}")
    ask_about_all(led)
    assert (ann.fetch("/realms").status_int, api("GET", "/session").status_int) == (303, 401)
    assert enabled(led, "ann"), "she stays Super Admin, as the last one"
    assert led.browser("ann")[1].status_int == 422
    if how == "disabled":
        server.modify(f"uid=ann,{PEOPLE}", "delete: pwdAccountLockedTime")
        assert led.browser("ann")[0].get("/realms").status_int == 200


def test_the_last_super_admin_who_vanished_or_lost_his_group_stays(led):
    server = led.server
    server.delete(f"uid=ann,{PEOPLE}")
    server.modify(f"cn=everybody,{GROUPS}", "replace: member", f"member: uid=old,{PEOPLE}")
    server.delete(f"cn=engineering,{GROUPS}")
    for dry in (True, False):
        told = realm_sync.tally(sync(led, dry=dry))
        assert told.names["group_kept"] == ["engineering"]
        assert told.names["kept"] == ["bob"], "he can sign in, and Ann cannot"
    assert not enabled(led, "ann")
    assert led.groups_of("bob") == {"engineering", "round", "about"}
    bob = led.world.signed_in(led.user("bob"))
    assert bob.get("/realms").status_int == 200
    # Nor does a sign-in take it from him, nor the question after him while he is in.
    assert led.browser("bob")[1].status_int == 303
    assert bob.get("/realms").status_int == 200
    with led.world.work() as work:
        accounts.set_disabled(work, accounts.find(work, "admin"), disabled=False)
    assert realm_sync.tally(sync(led)).names["group_vanished"] == ["engineering"]
    assert led.groups_of("bob") == {"round", "about"}
    assert bob.fetch("/realms").status_int == 404


@pytest.mark.requirement("PEER-02")
def test_fault_14_a_group_that_is_deleted_gives_nothing_any_more(company):
    sync(company)
    give_to_group(company, "engineering", "User", "Lab")
    with company.world.work() as work:
        lab = work.db.scalars(select(Pool.id).where(Pool.name == "Lab")).one()
    server = company.server
    bob = company.world.signed_in(company.user("bob"))
    assert bob.get(f"/pools/{lab}").status_int == 200
    server.delete(f"cn=engineering,{GROUPS}")
    told = realm_sync.tally(sync(company))
    assert told.names["group_vanished"] == ["engineering"]
    assert [(line["verb"], sorted(line["names"])) for line in told.rights] == [
        ("loses", ["ann", "bob"])
    ]
    assert bob.fetch(f"/pools/{lab}").status_int == 404
    admin = company.world.signed_in(company.world.admin())
    assert "vanished from the directory" in admin.get(f"/pools/{lab}/grants")
    assert "bob" in admin.get("/audit?action=group.leave")


def test_who_follows_in_the_same_group_lets_the_last_one_go(led):
    """Ann is in by way of `dev`; it is Bob's group afterwards."""
    server = led.server
    server.modify(f"cn=engineering,{GROUPS}", "delete: member", f"member: cn=dev,{GROUPS}")
    assert realm_sync.tally(sync(led)).counts == {"groups": 1}
    server.modify(f"cn=engineering,{GROUPS}", "add: member", f"member: uid=old,{PEOPLE}")
    server.modify(f"cn=engineering,{GROUPS}", "delete: member", f"member: uid=bob,{PEOPLE}")
    assert "kept" not in realm_sync.tally(sync(led)).counts
    assert led.groups_of("bob") == {"round", "about"}


@pytest.mark.requirement("OVT-55", "PEER-02")
def test_rights_that_come_and_go_with_a_group_stand_in_the_audit_log(company):
    sync(company)
    give_to_group(company, "engineering", "User", "Lab")
    server = company.server
    server.modify(f"cn=engineering,{GROUPS}", "delete: member", f"member: uid=bob,{PEOPLE}")
    server.modify(f"cn=engineering,{GROUPS}", "add: member", f"member: uid=new,{PEOPLE}")
    server.modify(f"cn=bystanders,{GROUPS}", "add: member", f"member: uid=new,{PEOPLE}")
    with company.world.work() as work:
        lab = work.db.scalars(select(Pool.id).where(Pool.name == "Lab")).one()
    browsers = {name: company.world.signed_in(company.user(name)) for name in ("bob", "new")}
    seen = [one.fetch(f"/pools/{lab}").status_int for one in browsers.values()]
    sync(company)
    assert seen == [200, 404]
    assert [one.fetch(f"/pools/{lab}").status_int for one in browsers.values()] == [404, 200]
    admin = company.world.signed_in(company.world.admin())
    for action, name in (("group.leave", "bob"), ("group.join", "new")):
        page = admin.get(f"/audit?action={action}")
        rows = [" ".join(row.text_content().split()) for row in page.lxml.xpath("//tbody/tr")]
        assert len(rows) == 1, rows
        for part in (name, "console", "role: User", "group: engineering@example", "Lab"):
            assert part in rows[0]
    # A sign-in tells the same as a synchronisation does.
    server.modify(f"cn=engineering,{GROUPS}", "add: member", f"member: uid=bob,{PEOPLE}")
    assert company.browser("bob")[1].status_int == 303
    assert "bob" in admin.get("/audit?action=group.join")
    assert browsers["bob"].fetch(f"/pools/{lab}").status_int == 200
    server.modify(f"cn=engineering,{GROUPS}", "delete: member", f"member: uid=bob,{PEOPLE}")
    assert company.browser("bob")[1].status_int == 303
    assert browsers["bob"].fetch(f"/pools/{lab}").status_int == 404
