"""A worker that keeps users and groups in line with a real OpenLDAP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select, update

from ovcadmin.directories import Directories
from ovcadmin.models import Group, Membership, Operation, Realm, User
from ovcadmin.services import people as accounts
from ovcadmin.services import realm_sync, realms, sessions
from tests.rig import people
from tests.rig.base import wait_until
from tests.rig.console import Console, console
from tests.rig.slapd import Slapd, slapd

PEOPLE = f"ou=people,{people.EXAMPLE}"
GROUPS = f"ou=groups,{people.EXAMPLE}"
CROWD = 20_000
ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""The database has no part in it."""


@dataclass
class Company:
    console: Console
    server: Slapd

    def realm(self, **changes: object) -> int:
        doors = Directories(self.console.settings.data_dir, threads=8)
        settings = {
            "servers": f"localhost:{self.server.port}",
            "authority": self.server.ca_file.read_text(),
            "base": people.EXAMPLE,
            "bind_dn": f"cn=console,ou=services,{people.EXAMPLE}",
            "writable": True,
            "sync_minutes": 0,
            **changes,
        }
        draft = realms.Draft(label="Example Ltd", settings=settings, password=people.PASSWORD)
        with self.console.work(write=True) as work:
            made = realms.create(work, doors, name="example", kind="openldap", draft=draft)
            realms.set_enabled(work, made, enabled=True)
            return made.id

    def change(self, realm_id: int, **settings: object) -> None:
        with self.console.work(write=True) as work:
            realm = realms.get(work, realm_id)
            realm.settings = {**realm.settings, **settings}
            realm.version += 1

    def sync(self, realm_id: int, seconds: float = 60, **more: bool) -> Operation:
        with self.console.work(write=True) as work:
            realm = realms.get(work, realm_id)
            asked = realm_sync.submit(work, realm, dry=more.pop("dry", False), **more)
        return self.console.ended(asked.id, seconds)

    def make_due(self) -> None:
        """Let everybody's last check be long ago."""
        with self.console.work(write=True) as work:
            work.db.execute(update(User).values(checked_at=None))

    def users(self) -> dict[str, User]:
        with self.console.work() as work:
            rows = work.db.scalars(select(User).where(User.directory_key.is_not(None)))
            return {row.name: row for row in rows}

    def groups_of(self, name: str) -> set[str]:
        with self.console.work() as work:
            statement = (
                select(Group.name)
                .join(Membership, Membership.group_id == Group.id)
                .join(User, User.id == Membership.user_id)
                .where(User.name == name)
            )
            return set(work.db.scalars(statement))

    def realm_row(self, realm_id: int) -> Realm:
        with self.console.work() as work:
            return realms.get(work, realm_id)

    def log(self, operation: Operation) -> str:
        return " ".join(line.text for line in operation.log)


@pytest.fixture(scope="module")
def crowded() -> Iterator[Slapd]:
    with slapd(people.crowd(CROWD)) as running:
        yield running


@pytest.fixture
def company(tmp_path: Path, database_url: str) -> Iterator[Company]:
    with slapd() as server, console(tmp_path, database_url) as made:
        made.worker()
        yield Company(made, server)


@pytest.mark.requirement("PEER-01")
def test_users_and_groups_come_in_leave_and_come_back(company):
    realm_id = company.realm()
    trial = company.sync(realm_id, dry=True)
    assert trial.state == "done"
    assert company.users() == {}
    told = realm_sync.tally(trial)
    assert {"ann", "bob", "gone"} <= set(told.names["added"])
    assert "It would change" in company.log(trial)

    assert company.sync(realm_id).state == "done"
    users = company.users()
    assert {"ann", "bob", "gone", "new", "old"} == set(users)
    assert users["ann"].email == "ann@example.org"
    assert users["gone"].disabled_by == "directory"
    assert company.groups_of("ann") == {"dev", "engineering", "everybody", "many"}
    assert company.groups_of("bob") == {"engineering", "everybody", "many", "round", "about"}
    assert company.realm_row(realm_id).synced_at is not None

    company.server.modify(f"cn=engineering,{GROUPS}", "delete: member", f"member: uid=bob,{PEOPLE}")
    company.server.rename(f"uid=old,{PEOPLE}", "uid=older")
    company.server.delete(f"uid=new,{PEOPLE}")
    second = company.sync(realm_id)
    assert realm_sync.tally(second).counts == {"changed": 1, "groups": 1, "vanished": 1}
    assert company.groups_of("bob") == {"round", "about"}
    after = company.users()
    assert after["older"].id == users["old"].id
    assert after["new"].disabled_by == "directory"
    assert after["ann"].disabled_at is None

    again = company.sync(realm_id)
    assert realm_sync.tally(again).counts == {}

    # Whom a filter leaves out is out, and comes back with another one.
    company.change(realm_id, people_filter="(&(objectClass=inetOrgPerson)(!(uid=bob)))")
    company.sync(realm_id)
    assert company.users()["bob"].disabled_by == "directory"
    company.change(realm_id, people_filter="")
    assert realm_sync.tally(company.sync(realm_id)).counts["returned"] == 1
    assert company.users()["bob"].disabled_at is None


@pytest.mark.requirement("PEER-01")
@ONE
def test_fault_18_and_20_an_empty_partial_or_no_answer_changes_nothing_and_says_so(company):
    realm_id = company.realm()
    company.sync(realm_id)
    before = {name: row.disabled_at for name, row in company.users().items()}
    for wrong in (
        {"people_base": f"ou=services,{people.EXAMPLE}"},
        {"people_base": PEOPLE, "people_filter": "(uid=nobody-at-all)"},
        {"people_filter": "", "groups_base": f"ou=services,{people.EXAMPLE}"},
    ):
        company.change(realm_id, **wrong)
        failed = company.sync(realm_id)
        assert (failed.state, failed.error_code) == ("failed", "directory.partial")
        assert "Nothing was changed" in company.realm_row(realm_id).sync_error
        assert {name: row.disabled_at for name, row in company.users().items()} == before
    company.change(realm_id, groups_base="")
    with company.console.work(write=True) as work:
        sessions.begin(work, accounts.get(work, company.users()["bob"].id))
    company.server.freeze()
    company.make_due()
    silent = company.sync(realm_id)
    company.console.processes[0].said("realm.not_checked", 60)
    company.server.thaw()
    assert (silent.state, silent.error_code) == ("failed", "directory.unreachable")
    assert {name: row.disabled_at for name, row in company.users().items()} == before
    # A server that fell silent is left alone for some seconds.
    wait_until(lambda: company.sync(realm_id).state == "done", "a server that is asked again", 60)
    assert company.realm_row(realm_id).sync_error is None
    # What it says when it answers again counts at once, without a synchronisation.
    company.server.delete(f"uid=bob,{PEOPLE}")
    company.make_due()
    wait_until(lambda: company.users()["bob"].disabled_by == "directory", "bob to be out", 60)


@pytest.mark.requirement("PEER-01")
@ONE
def test_a_realm_is_synchronised_by_itself_when_its_time_has_come(company):
    company.realm(sync_minutes=60)
    wait_until(lambda: "ann" in company.users(), "the first synchronisation", 60)
    with company.console.work() as work:
        asked = work.db.scalars(select(Operation).where(Operation.type == "realm.sync")).all()
    assert [row.user_id for row in asked] == [None]


def test_twenty_thousand_users_are_taken_in(tmp_path, postgres_url, crowded):
    with console(tmp_path, postgres_url) as made:
        worker = made.worker()
        company = Company(made, crowded)
        realm_id = company.realm(people_base=people.CROWD)
        before = memory(worker.pid)
        first = company.sync(realm_id, 300)
        assert first.state == "done", first.error_text
        assert realm_sync.tally(first).counts["added"] == CROWD
        again = company.sync(realm_id, 300)
        assert realm_sync.tally(again).counts == {}
        assert memory(worker.pid) - before < 80 * 1024


def memory(pid: int) -> int:
    """Highest resident memory of a process so far, KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


@ONE
def test_fault_20_most_users_do_not_vanish_unless_that_is_meant(tmp_path, database_url):
    with slapd(people.crowd(40)) as server, console(tmp_path, database_url) as made:
        made.worker()
        company = Company(made, server)
        realm_id = company.realm(people_base=people.CROWD)
        company.sync(realm_id)
        company.change(realm_id, people_filter="(uid=u0000*)")
        failed = company.sync(realm_id)
        assert failed.error_code == "directory.partial"
        assert "lost 30 of 40 users" in failed.error_text
        assert all(row.disabled_at is None for row in company.users().values())

        trial = company.sync(realm_id, dry=True, even_many=True)
        assert realm_sync.tally(trial).counts == {"vanished": 30}
        assert all(row.disabled_at is None for row in company.users().values())
        assert company.sync(realm_id, even_many=True).state == "done"
        assert sum(row.disabled_by == "directory" for row in company.users().values()) == 30
