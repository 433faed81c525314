"""Giving, changing and revoking roles, as the people of a pool do it."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import func, select

from ovcadmin.errors import Conflict, DomainError, LastSuperAdmin
from ovcadmin.models import Audit, Change, Grant, Group, Membership, Pool, Role, User
from ovcadmin.models.database import latest_change
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import grants, people, pools, realms, roles, super_admins
from ovcadmin.work import Actor, Work
from tests.functional.world import Browser, World, form


def group(world: World, name: str, *members: User) -> Group:
    """A group as a directory's synchronisation leaves it."""
    with world.work() as work:
        made = Group(
            realm_id=realms.listing(work)[0].id,
            directory_key=name,
            dn=f"cn={name}",
            name=name,
            name_key=name,
        )
        work.db.add(made)
        work.db.flush()
        work.db.add_all(Membership(user_id=user.id, group_id=made.id) for user in members)
        work.db.refresh(made, ["realm"])
    return made


def role(world: World, name: str) -> Role:
    with world.work() as work:
        return work.db.scalars(select(Role).where(Role.name == name)).one()


def owner_of(world: World, pool: Pool, name: str = "olga") -> User:
    """Somebody who may give roles on the pool, but not all of them."""
    with world.work() as work:
        made = roles.create(
            work,
            name=f"Owner {name}",
            description="",
            privileges=[
                Privilege.VIEW,
                Privilege.CONTROL,
                Privilege.CREATE,
                Privilege.SEE_GRANTS,
                Privilege.SET_GRANTS,
            ],
        )
    owner = world.user(name)
    world.grant(owner, made.name, pool)
    return owner


def give(browser: Browser, pool: Pool, who: str, name: str):
    """Find somebody, choose a role, look at what it changes, give it."""
    found = browser.get(f"/pools/{pool.id}/grants/search?q={who}")
    page = found.click("Choose")
    if name != "User":
        look = page.forms[_form_of(page, "Show what it changes")]
        look["role"].select(text=name)
        page = look.submit()
    return page, form(page).submit()


def _form_of(page, button: str) -> int:
    return next(number for number, one in page.forms.items() if f">{button}<" in one.text)


@pytest.mark.requirement("OVT-57")
def test_a_role_is_given_changed_and_revoked(world):
    pool = world.pool("Engineering")
    anna, admin = world.user("anna"), world.signed_in(world.admin())
    page, done = give(admin, pool, "ann", "User")
    assert "gains" in page
    listed = done.follow()
    assert "anna@internal is User on Engineering." in listed
    assert "inherited from" in listed  # the administrator, from the root
    assert world.signed_in(anna).fetch(f"/pools/{pool.id}").status_int == 200

    for asked in ("ANN", "user"):
        assert "anna@internal" in admin.get(f"/pools/{pool.id}/grants?q={asked}")
    none = admin.get(f"/pools/{pool.id}/grants?q=nobody")
    assert "No grant here is of somebody" in none
    shown = admin.get(f"/users/{anna.id}").lxml.xpath("string(//*[@id='roles'])")
    assert "Engineering User a grant of one's own" in " ".join(shown.split())

    # Already granted here: not offered any more.
    assert "Nobody is called like this" in admin.get(f"/pools/{pool.id}/grants/search?q=anna")

    change = listed.click("Change…")
    look = change.forms[_form_of(change, "Show what it changes")]
    look["role"].select(text="Monitor")
    shown = look.submit()
    assert "loses" in shown
    assert "control machines, create machines" in shown
    assert "is Monitor on Engineering now" in form(shown).submit().follow()

    gone = admin.get(f"/pools/{pool.id}/grants").click("Revoke…", index=0)
    assert "loses" in gone
    assert "is not Monitor on Engineering any more" in form(gone).submit().follow()
    assert world.signed_in(anna).fetch(f"/pools/{pool.id}").status_int == 404
    with world.work() as work:
        told = [
            (row.action, row.actor, row.object_name, row.before, row.after)
            for row in work.db.scalars(
                select(Audit)
                .where(Audit.action.like("grant.%"), Audit.pool_id == pool.id)
                .order_by(Audit.id)
            )
        ]
    assert told == [
        ("grant.give", "admin@internal", "anna@internal", {}, {"role": "User"}),
        ("grant.change", "admin@internal", "anna@internal", {"role": "User"}, {"role": "Monitor"}),
        ("grant.revoke", "admin@internal", "anna@internal", {"role": "Monitor"}, {}),
    ]


def test_a_group_holds_a_role(world):
    pool = world.pool("Engineering")
    anna = world.user("anna")
    dev = group(world, "dev", anna)
    admin = world.signed_in(world.admin())
    page, done = give(admin, pool, "dev", "User")
    assert "anna" in page
    assert "group dev@internal is User on Engineering." in done.follow()
    browser = world.signed_in(anna)
    assert browser.fetch(f"/pools/{pool.id}").status_int == 200
    explained = admin.get(f"/users/{anna.id}/rights?pool={pool.id}")
    assert (
        "User on /Cloud/Engineering because group dev@internal holds User on /Cloud/Engineering"
        in explained
    )
    with world.work() as work:
        work.db.delete(work.db.get(Membership, (anna.id, dev.id)))
    assert browser.fetch(f"/pools/{pool.id}").status_int == 404
    explained = admin.get(f"/users/{anna.id}/rights?pool={pool.id}")
    assert "No grant reaches" in explained


def test_fault_13_open_pages_and_consoles_of_everybody_concerned_are_told(world):
    pool = world.pool("Engineering")
    anna, ben = world.user("anna"), world.user("ben")
    dev = group(world, "dev", anna, ben)
    admin = world.signed_in(world.admin())
    give(admin, pool, "dev", "User")
    with world.work() as work:
        seen = latest_change(work.db)
        grant = work.db.scalars(select(Grant).where(Grant.group_id == dev.id)).one()
    assert admin.send(f"/grants/{grant.id}/revoke").status_int == 303
    with world.work() as work:
        told = work.db.execute(
            select(Change.kind, Change.object_id).where(Change.sequence > seen)
        ).all()
    assert {("user", anna.id), ("user", ben.id)} <= {tuple(row) for row in told}


@pytest.mark.requirement("OVT-35")
def test_fault_10_nobody_grants_what_he_lacks(world):
    pool, beside = world.pool("Engineering"), world.pool("Beside")
    below = world.pool("Web", pool)
    olga, anna = owner_of(world, pool), world.user("anna")
    browser = world.signed_in(olga)
    page = browser.get(f"/pools/{below.id}/grants/new?who=user-{anna.id}")
    offered = [
        text for _, _, text in page.forms[_form_of(page, "Show what it changes")]["role"].options
    ]
    assert offered == ["User", "Monitor", "Owner olga"]
    assert "are not offered" in page

    # Whoever posts it all the same is refused, and nothing is changed.
    administrator = role(world, "Administrator")
    before = world.fingerprint()
    fields = {"who": f"user-{anna.id}", "role": administrator.id}
    assert browser.send(f"/pools/{below.id}/grants/new", fields).status_int == 422
    assert browser.send(f"/pools/{beside.id}/grants/new", fields).status_int == 404
    api = world.api(olga)
    body = {"user_id": anna.id, "role_id": administrator.id}
    answer = api("POST", f"/pools/{below.id}/grants", body)
    assert (answer.status_int, answer.json["code"]) == (403, "grant.beyond")
    assert api("POST", f"/pools/{beside.id}/grants", body).status_int == 404
    assert api("POST", f"/pools/{world.root().id}/grants", body).status_int == 404
    assert {k: v for k, v in world.fingerprint().items() if k == "grant_row"} == {
        "grant_row": before["grant_row"]
    }

    # In her own subtree she hands on what she has.
    fields["role"] = role(world, "User").id
    assert browser.send(f"/pools/{below.id}/grants/new", fields).status_int == 303
    assert world.api(anna)("GET", f"/pools/{below.id}").status_int == 200
    assert world.api(anna)("GET", f"/pools/{pool.id}").status_int == 404


def test_fault_10_nobody_makes_his_own_role_hold_more(world):
    pool = world.pool("Engineering")
    olga = owner_of(world, world.root())
    browser = world.signed_in(olga)
    own = role(world, "Owner olga")
    page = browser.get(f"/roles/{own.id}/edit")
    edit = form(page)
    edit["may_modify"] = "yes"
    refused = edit.submit(expect_errors=True)
    assert refused.status_int == 403
    assert "grant.beyond" in refused
    assert world.api(olga)("POST", f"/pools/{pool.id}/pools", {"name": "x"}).status_int == 403


def test_everybody_is_told_what_he_may_do_himself_and_why(world):
    hidden = world.pool("Zanzibar")
    pool = world.pool("Engineering", hidden)
    anna = world.user("anna")
    dev = group(world, "dev", anna)
    give(world.signed_in(world.admin()), pool, "dev", "User")
    browser = world.signed_in(anna)
    page = browser.get("/profile").click("what you may do, and why")
    assert f"group {dev.name}" in page
    told = page.click("Explain")
    assert "User on /Engineering because group dev@internal holds User on /Engineering" in told
    assert "Zanzibar" not in told
    assert browser.fetch(f"/profile/rights?pool={hidden.id}").status_int == 404
    assert browser.fetch(f"/users/{anna.id}/rights").status_int == 404


def test_an_inherited_grant_tells_its_source_only_to_who_may_see_it(world):
    hidden = world.pool("Zanzibar")
    pool = world.pool("Engineering", hidden)
    olga = owner_of(world, pool)
    world.user("boss", "Administrator", hidden)
    listed = world.signed_in(olga).get(f"/pools/{pool.id}/grants")
    assert "boss@internal" in listed
    assert "inherited from a pool above" in listed
    assert "Zanzibar" not in listed
    assert "Zanzibar" in world.signed_in(world.admin()).get(f"/pools/{pool.id}/grants")


def test_the_last_super_admin_stays(world):
    admin = world.admin()
    browser = world.signed_in(admin)
    with world.work() as work:
        grant = work.db.scalars(select(Grant).where(Grant.user_id == admin.id)).one()
    refused = browser.send(f"/grants/{grant.id}/revoke")
    assert refused.status_int == 409
    assert "grant.last_super_admin" in refused
    lowered = browser.send(f"/grants/{grant.id}", {"role": role(world, "User").id})
    assert lowered.status_int == 409
    with world.work() as work, pytest.raises(LastSuperAdmin):
        super_admins.ensure_remain(work, without_user_id=admin.id)

    # A disabled Super Admin does not count, nor one in a vanished group; an enabled one does.
    other = world.user("other", "Super Admin")
    chief = world.user("chief")
    chiefs = group(world, "chiefs", chief)
    top = role(world, "Super Admin")
    with world.work() as work:
        people.set_disabled(work, work.db.get(User, other.id), disabled=True)
        gone = work.db.get(Group, chiefs.id)
        gone.vanished_at = work.now()
        grants.write(work, pools.root(work), gone, roles.get(work, top.id))
    assert browser.send(f"/grants/{grant.id}/revoke").status_int == 409
    with world.work() as work:
        work.db.get(Group, chiefs.id).vanished_at = None
    assert browser.send(f"/grants/{grant.id}/revoke").status_int == 303


def test_two_administrators_who_remove_each_other_at_once_do_not_both_win(world):
    one, two = world.user("one", "Super Admin"), world.user("two", "Super Admin")
    start, outcomes = threading.Barrier(2), []

    def remove(actor: User, other: User) -> None:
        named = Actor(user_id=actor.id, name=actor.name, door="page")
        start.wait()
        try:
            with world.database.writing() as db:
                work = Work(db=db, actor=named, settings=world.settings)
                grant = db.scalars(select(Grant).where(Grant.user_id == other.id)).one()
                grants.revoke(work, grant)
        except DomainError as error:
            outcomes.append(error.code)
        else:
            outcomes.append("done")

    for _ in range(5):
        outcomes.clear()
        threads = [threading.Thread(target=remove, args=pair) for pair in ((one, two), (two, one))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["done", "object.not_found"]
        with world.work() as work:
            left = work.db.scalar(
                select(func.count(Grant.id)).where(Grant.user_id.in_([one.id, two.id]))
            )
            assert left == 1
            held = select(Grant.user_id).where(Grant.user_id.in_([one.id, two.id]))
            gone = two if work.db.scalar(held) == one.id else one
        world.grant(gone, "Super Admin", world.root())


@pytest.mark.requirement("NEW-03")
def test_what_a_revoke_would_do_is_told_before(world):
    pool = world.pool("Engineering")
    anna, ben = world.user("anna"), world.user("ben", "User", pool)
    dev = group(world, "dev", anna, ben)
    world.host()
    image = world.image()
    admin = world.signed_in(world.admin())
    give(admin, pool, "dev", "User")
    world.machine("web01", pool, owner=anna, image=image)
    with world.work() as work:
        grant = work.db.scalars(select(Grant).where(Grant.group_id == dev.id)).one()
    page = admin.get(f"/grants/{grant.id}/revoke")
    assert "anna" in page
    assert "1 machine: web01" in page
    assert "could not be controlled by the very owner" in page
    assert "Nothing changes for 1 person" in page  # Ben holds it by a grant of his own


@pytest.mark.requirement("PEER-03")
def test_a_role_of_one_s_own_is_made_given_and_kept_while_it_is_held(world):
    pool, admin = world.pool("Engineering"), world.signed_in(world.admin())
    new = form(admin.get("/roles/new"))
    new["name"], new["may_control"] = "Operator", "yes"
    made = new.submit().follow()
    assert "Role Operator is created." in made
    anna = world.user("anna")
    _, done = give(admin, pool, "anna", "Operator")
    assert done.status_int == 303
    assert set(world.api(anna)("GET", f"/pools/{pool.id}").json["privileges"]) == {
        "control",
        "view",
    }
    operator = role(world, "Operator")
    assert "held by 1 grants" in admin.send(f"/roles/{operator.id}/delete")
    edit = form(admin.get(f"/roles/{operator.id}/edit"))
    edit["may_control"] = None
    assert edit.submit().status_int == 303
    assert world.api(anna)("GET", f"/pools/{pool.id}").json["privileges"] == ["view"]
    # What is shipped keeps its privileges; a second factor may be asked for.
    top = role(world, "Super Admin")
    shipped = form(admin.get(f"/roles/{top.id}/edit"))
    assert "may_modify" not in shipped.fields
    assert shipped.submit().status_int == 303
    with world.work() as work, pytest.raises(Conflict):
        roles.edit(
            work, roles.get(work, top.id), name=top.name, description="", second_factor=False,
            privileges=[Privilege.VIEW], version=2,
        )  # fmt: skip
    assert "stays" in admin.send(f"/roles/{top.id}/delete")


def test_grants_by_the_rest_api(world):
    pool, anna = world.pool("Engineering"), world.user("anna")
    api = world.api(world.admin())
    roles_ = {row["name"]: row["id"] for row in api("GET", "/roles").json["items"]}
    body = {"user_id": anna.id, "role_id": roles_["User"]}
    made = api("POST", f"/pools/{pool.id}/grants", body)
    assert made.status_int == 201
    assert made.json["user"] == {"id": anna.id, "name": "anna@internal"}
    path = f"/grants/{made.json['id']}"
    assert made.headers["Location"].endswith(f"/api/v1{path}")
    again = api("POST", f"/pools/{pool.id}/grants", body)
    assert (again.status_int, again.json["code"]) == (409, "grant.exists")
    listed = api("GET", f"/pools/{pool.id}/grants").json["items"]
    assert {(row["role"]["name"], row["inherited"]) for row in listed} == {
        ("User", False),
        ("Super Admin", True),
    }
    changed = api("PATCH", path, {"role_id": roles_["Monitor"]})
    assert changed.json["role"]["name"] == "Monitor"
    assert api("DELETE", path).status_int == 204
    assert api("GET", path).status_int == 404
    assert api("POST", f"/pools/{pool.id}/grants", {"role_id": 1}).status_int == 422
    dev = group(world, "dev", anna)
    assert api("GET", "/groups?q=de").json["items"] == [
        {"id": dev.id, "name": "dev@internal", "vanished": False}
    ]
