"""A realm is deleted: shown first, guarded, and nothing that others need goes with it."""

from __future__ import annotations

from sqlalchemy import select

from ovcadmin.models import Audit, Grant, Group, Machine, Membership, Realm, User
from ovcadmin.services import realms, setup, tokens
from tests.functional.world import World, form

SETTINGS = {**dict.fromkeys(realms.TEXTS, ""), "writable": False, "sync_minutes": 0}


class Corp:
    """A directory realm of two people: anna owns a machine, ben is named nowhere."""

    def __init__(self, world: World) -> None:
        self.world = world
        pool = world.pool("Engineering")
        world.host()
        world.image()
        with world.work() as work:
            realm = Realm(
                name="corp", kind="openldap", label="Corp", settings=SETTINGS, enabled=True
            )
            work.db.add(realm)
            work.db.flush()
            people = [
                User(realm_id=realm.id, name=name, name_key=name, directory_key=name)
                for name in ("anna", "ben")
            ]
            group = Group(
                realm_id=realm.id, directory_key="dev", dn="cn=dev", name="dev", name_key="dev"
            )
            work.db.add_all([*people, group])
            work.db.flush()
            work.db.add(Membership(user_id=people[0].id, group_id=group.id))
            setup.grant(work, people[0], "User", pool)
            setup.grant(work, people[1], "Monitor", pool)
            work.db.add(
                Grant(
                    group_id=group.id,
                    pool_id=pool.id,
                    role_id=work.db.scalar(select(Grant.role_id).limit(1)),
                )
            )
            tokens.create(work, people[1].id, name="backup", days=1)
        self.realm_id, (self.anna, self.ben) = realm.id, people
        self.machine = world.machine("web01", pool, owner=self.anna)
        self.path = f"/realms/{self.realm_id}"

    def disable(self, browser) -> None:
        form(browser.get(self.path), f"{self.path}/enabled").submit("enabled")


def test_a_realm_is_deleted_after_a_look_and_by_its_name(world):
    corp = Corp(world)
    admin = world.signed_in(world.admin())
    assert "Delete…" not in admin.get(corp.path)
    corp.disable(admin)
    page = admin.get(corp.path).click("Delete…")
    told = " ".join(page.lxml.xpath("string(//*[@class='lost'])").split())
    assert "2 users and 1 group" in told
    assert "3 grants of these users and groups, and 1 token" in told
    assert "the owner of 1 machine" in told

    shown = form(page)
    shown["name"] = "corpse"
    refused = shown.submit(expect_errors=True)
    assert refused.status_int == 422
    assert "Type corp to delete it." in refused
    shown["name"] = "corp"
    assert "Corp is deleted." in shown.submit().follow()

    assert "Corp" not in admin.get("/realms").lxml.xpath("string(//main//table)")
    assert admin.fetch(corp.path).status_int == 404
    assert "anna" not in admin.get("/users").lxml.xpath("string(//main//table)")
    with world.work() as work:
        assert work.db.get(User, corp.ben.id) is None
        assert work.db.get(Machine, corp.machine.id).owner.name == "anna"
        assert work.db.scalars(select(Group)).all() == []
        gone = {corp.anna.id, corp.ben.id}
        assert not work.db.scalars(select(Grant).where(Grant.user_id.in_(gone))).all()
        row = work.db.scalars(select(Audit).where(Audit.action == "realm.delete")).one()
        assert row.before["users"] == 2
    # The name is free again, and so are its users' names.
    with world.work() as work:
        work.db.add(Realm(name="corp", kind="openldap", label="Corp", settings=SETTINGS))


def test_an_enabled_realm_and_the_last_super_admin_stay(world):
    corp = Corp(world)
    admin = world.signed_in(world.admin())
    assert "Disable it first" in admin.get(f"{corp.path}/delete")
    refused = admin.send(f"{corp.path}/delete", {"name": "corp"})
    assert refused.status_int == 409
    assert "Disable it first" in refused

    world.grant(corp.anna, "Super Admin", world.root())
    with world.work() as work:
        mine = Grant.user_id == world.admin().id
        work.db.delete(work.db.scalars(select(Grant).where(mine)).one())
    anna = world.signed_in(corp.anna)
    answer = anna.send(f"{corp.path}/enabled", {"enabled": "no"})
    assert answer.status_int == 409
    assert "Super Admin" in answer
    assert anna.fetch("/realms").status_int == 200


def test_a_realm_whom_nothing_names_leaves_no_trace(world):
    with world.work() as work:
        realm = Realm(name="corp", kind="openldap", label="Corp", settings=SETTINGS, enabled=False)
        work.db.add(realm)
        work.db.flush()
        work.db.add(User(realm_id=realm.id, name="anna", name_key="anna"))
    admin = world.signed_in(world.admin())
    shown = form(admin.get(f"/realms/{realm.id}/delete"))
    shown["name"] = "corp"
    assert shown.submit().status_int == 303
    with world.work() as work:
        assert work.db.get(Realm, realm.id) is None
        assert not work.db.scalars(select(User).where(User.name == "anna")).all()
