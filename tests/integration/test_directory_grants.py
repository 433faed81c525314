"""Roles for the people and groups of a real OpenLDAP, kept in line by a real worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import ovcadmin
from ovcadmin.models import Machine, Pool, User
from ovcadmin.security.headers import SESSION_COOKIE
from ovcadmin.services import people as accounts
from ovcadmin.services import pools, sessions
from tests.functional.world import Browser, form
from tests.integration.test_realms import GROUPS, PEOPLE, Company
from tests.rig.base import wait_until
from tests.rig.console import console
from tests.rig.slapd import slapd


class Pages:
    """The console's pages on the company's database."""

    def __init__(self, of: Company) -> None:
        settings = of.console.settings
        self.company = of
        self.app = ovcadmin.main(
            {},
            **{
                "ovc.database_url": settings.database_url,
                "ovc.data_dir": str(settings.data_dir),
                "ovc.log_level": "warning",
            },
        )

    def signed_in(self, name: str | None = None) -> Browser:
        """The browser of a user of the directory; of the administrator when none is named."""
        browser = Browser(self.app)
        with self.company.console.work(write=True) as work:
            found = accounts.find(work, "admin") if name is None else None
            user = found or work.db.get(User, self.company.users()[name].id)
            key = sessions.begin(work, user)
            browser.csrf_token = sessions.by_key(work, key).csrf_token
        browser.set_cookie(SESSION_COOKIE, key)
        return browser

    def pool(self, name: str) -> Pool:
        with self.company.console.work(write=True) as work:
            return pools.create(work, pools.root(work), name=name)


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Iterator[Pages]:
    """One company for all: each test has a pool of its own, and leaves the directory as it was."""
    directory = tmp_path_factory.mktemp("company")
    url = f"sqlite:///{directory}/ovcadmin.db"
    with slapd() as server, console(directory, url) as made:
        made.worker()
        company = Company(made, server)
        company.sync(company.realm())
        shown = Pages(company)
        yield shown
        shown.app.registry["database"].dispose()


def give(admin: Browser, pool: Pool, name: str) -> None:
    """Pick somebody from the list of the directory and give him the usual role."""
    found = admin.get(f"/pools/{pool.id}/grants/search?q={name}")
    assert "example" in found
    form(found.click("Choose", index=0)).submit()


@pytest.mark.requirement("OVT-40")
def test_two_users_of_the_directory_are_picked_from_its_list(pages):
    pool, admin = pages.pool("Two"), pages.signed_in()
    everybody = admin.get(f"/pools/{pool.id}/grants/search")
    assert all(name in everybody for name in ("ann", "bob", "engineering"))
    for name in ("ann", "bob"):
        give(admin, pool, name)
    listed = admin.get(f"/pools/{pool.id}/grants")
    assert "ann@example" in listed
    assert "bob@example" in listed
    left = admin.get(f"/pools/{pool.id}/grants/search")
    for name in ("ann", "bob"):
        assert f'who=user-{pages.company.users()[name].id}"' not in left
        assert pages.signed_in(name).fetch(f"/pools/{pool.id}").status_int == 200


@pytest.mark.requirement("PEER-02")
def test_a_group_s_role_reaches_nested_members_and_leaves_with_the_membership(pages):
    pool, admin = pages.pool("Nested"), pages.signed_in()
    give(admin, pool, "everybody")  # it holds Bob by way of engineering
    bob = pages.signed_in("bob")
    assert bob.fetch(f"/pools/{pool.id}").status_int == 200
    number = pages.company.users()["bob"].id
    why = admin.get(f"/users/{number}/rights?pool={pool.id}")
    assert "because group everybody@example holds User on /Cloud/Nested" in why

    server = pages.company.server
    server.modify(f"cn=engineering,{GROUPS}", "delete: member", f"member: uid=bob,{PEOPLE}")
    try:
        pages.company.make_due()  # which comes every 20 seconds
        wait_until(lambda: bob.fetch(f"/pools/{pool.id}").status_int == 404, "its end", 60)
        assert "No grant reaches" in admin.get(f"/users/{number}/rights?pool={pool.id}")
    finally:
        server.modify(f"cn=engineering,{GROUPS}", "add: member", f"member: uid=bob,{PEOPLE}")
        pages.company.sync(pages.company.users()["bob"].realm_id)


def told(page, pool: Pool) -> list[str]:
    """The lines of the table of rights about a pool, as they are read."""
    rows = page.lxml.xpath("//*[@id='rights']//tbody/tr")
    lines = [" ".join(row.text_content().split()) for row in rows]
    return sorted(line for line in lines if f"/{pool.name} " in line)


def machine_of(pages: Pages, name: str, pool: Pool) -> None:
    with pages.company.console.work(write=True) as work:
        machine = Machine(uuid=name, name=name, name_key=name, pool_id=pool.id, size_name="tiny")
        machine.owner_id = pages.company.users()[name].id
        machine.vcpus = machine.memory = machine.storage = 1
        work.db.add(machine)


@pytest.mark.requirement("NEW-03", "PEER-01")
def test_a_trial_tells_first_whose_rights_change(pages):
    company, admin = pages.company, pages.signed_in()
    pool = pages.pool("Engineering")
    give(admin, pool, "engineering")
    give(admin, pool, "ann")
    for name in ("ann", "bob"):
        machine_of(pages, name, pool)
    realm_id = next(iter(company.users().values())).realm_id
    company.server.modify(f"cn=bystanders,{GROUPS}", "add: member", f"member: uid=ann,{PEOPLE}")
    company.server.modify(f"cn=engineering,{GROUPS}", "delete: member", f"member: uid=bob,{PEOPLE}")
    company.server.modify(f"cn=engineering,{GROUPS}", "add: member", f"member: uid=new,{PEOPLE}")
    company.sync(realm_id, dry=True)
    page = admin.get(f"/realms/{realm_id}/changes")
    assert told(page, pool) == [
        "gains User /Cloud/Engineering 1 new",
        "loses User /Cloud/Engineering 1 bob",
    ]
    assert "1 machine could not be controlled by the very owner any more: bob" in page
    assert pages.signed_in("bob").fetch(f"/pools/{pool.id}").status_int == 200

    # Another filter of groups is tried before it is saved: Ann keeps what is her own.
    tried = form(admin.get(f"/realms/{realm_id}").click("Try other people and groups"))
    tried["groups_filter"] = "(&(objectClass=groupOfNames)(cn=dev))"
    answer = tried.submit().follow()
    assert "nothing is changed" in answer
    path = f"/realms/{realm_id}/changes"
    wait_until(lambda: "Tried" in admin.get(path), "the trial to be over", 60)
    page = admin.get(path)
    assert told(page, pool) == ["loses User /Cloud/Engineering 1 bob"]
    edited = form(page.click("Edit the realm with these"))
    assert edited["groups_filter"].value == "(&(objectClass=groupOfNames)(cn=dev))"
    assert company.realm_row(realm_id).settings["groups_filter"] == ""

    # Whoever vanishes loses all of it, also what is his own.
    company.server.delete(f"uid=ann,{PEOPLE}")
    company.sync(realm_id)
    assert "loses User /Cloud/Engineering 2 bob, ann" in told(admin.get(path), pool)
    assert pages.company.users()["ann"].disabled_by == "directory"
