"""A console on a real OpenLDAP: realms made by the page, people who sign in by its passwords."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from ovcadmin.models import Grant, Group, Membership, Pool, Realm, Role, User
from ovcadmin.services import pools
from tests.functional.world import Browser, World, form
from tests.rig import people
from tests.rig.slapd import Slapd


@dataclass
class Company:
    """A world whose people come from a directory."""

    world: World
    server: Slapd
    realm_id: int = 0

    def make_realm(self, name: str = "example", **changes: str) -> int:
        """Make and enable a realm as an administrator does; remember its id."""
        self.realm_id = self.make_realm_named(name, **changes)
        return self.realm_id

    def make_realm_named(self, name: str, **changes: str) -> int:
        admin = self.world.signed_in(self.world.admin())
        page = form(admin.get("/realms/new"))
        for field, value in {**self.settings(), "name": name, **changes}.items():
            page[field] = value
        answer = page.submit()
        assert answer.status_int == 303, answer
        shown = answer.follow()
        form(shown, f"{shown.request.path}/enabled").submit("enabled")
        return int(shown.request.path.rpartition("/")[2])

    def settings(self) -> dict[str, str]:
        return {
            "label": "Example Ltd",
            "kind": "openldap",
            "servers": f"localhost:{getattr(self.server, 'port', 389)}",
            "authority": self.server.ca_file.read_text(),
            "base": people.EXAMPLE,
            "bind_dn": f"cn=console,ou=services,{people.EXAMPLE}",
            "bind_password": people.PASSWORD,
            "writable": "yes",
            "sync_minutes": "0",
        }

    def browser(self, name: str, password: str = people.PASSWORD) -> tuple[Browser, object]:
        """Somebody who tries to sign in; his browser, and the answer."""
        browser = self.world.anonymous()
        answer = self.sign_in(browser, name, password)
        return browser, answer

    def sign_in(
        self, browser: Browser, name: str, password: str = people.PASSWORD, realm: str = "example"
    ) -> object:
        entry = form(browser.get("/signin"), "/signin")
        entry["name"], entry["password"], entry["realm"] = name, password, realm
        return entry.submit(expect_errors=True)

    def user(self, name: str) -> User | None:
        with self.world.work() as work:
            return work.db.scalar(
                select(User).join(Realm).where(Realm.name == "example", User.name == name)
            )

    def grant_to_group(self, group: str, role: str, pool: Pool | None = None) -> None:
        with self.world.work() as work:
            held = work.db.scalars(select(Group).where(Group.name == group)).one()
            kind = work.db.scalars(select(Role).where(Role.name == role)).one()
            where = pool.id if pool else pools.root(work).id
            work.db.add(Grant(group_id=held.id, role_id=kind.id, pool_id=where))

    def groups_of(self, name: str) -> set[str]:
        with self.world.work() as work:
            return set(
                work.db.scalars(
                    select(Group.name)
                    .join(Membership, Membership.group_id == Group.id)
                    .join(User, User.id == Membership.user_id)
                    .where(User.name == name, Group.vanished_at.is_(None))
                )
            )
