"""A company directory over LDAP."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TypeVar

import structlog
from ldap3.utils.dn import escape_rdn

from ovcadmin.drivers.directory import checking, entries, nesting, passwords, results, writing
from ovcadmin.drivers.directory.base import Bar, Finding, Group, NewPerson, Person
from ovcadmin.drivers.directory.connection import Entry, LdapConnection
from ovcadmin.drivers.directory.network import EncryptionRefused
from ovcadmin.drivers.directory.servers import Servers
from ovcadmin.drivers.directory.settings import DirectorySettings
from ovcadmin.errors import (
    DirectoryRefused,
    DirectoryUnreachable,
    DomainError,
    Forbidden,
    NotFound,
    SignInFailed,
)

log = structlog.get_logger(__name__)
T = TypeVar("T")


class LdapDirectory:
    """One realm; meets `base.Directory`.  Keep one in a process: it remembers dead servers.

    May be used by many threads or greenlets at once: each call has a connection of its own.
    """

    def __init__(self, settings: DirectorySettings) -> None:
        self.settings = settings
        self.shape = settings.shape
        self._servers = Servers(settings.servers, probe=settings.timeout * 2)

    # --- signing in ---
    def authenticate(self, name: str, password: str) -> Person:
        name = passwords.typed_name(name)
        if not passwords.sendable(password):
            raise passwords.refused()
        if self.settings.user_bind:
            return self._read(lambda c: self._bind_directly(c, name, password), service=False)
        return self._read(lambda c: self._find_and_bind(c, name, password))

    def _find_and_bind(self, connection: LdapConnection, name: str, password: str) -> Person:
        found = self._find_one(connection, entries.equals(self.shape.name, name))
        person = self._person(found) if found else None
        # The same work is done for names that nobody has.
        dn = person.dn if person else f"{self.shape.rdn}=-,{self.shape.people_base}"
        passwords.prove(connection, dn, password)
        return self._let_in(person)

    def _bind_directly(self, connection: LdapConnection, name: str, password: str) -> Person:
        """Bind as the name, then read whom that was.

        In Active Directory ann@example may well be somebody whose account name is another.
        """
        form = self.settings.user_bind
        if "=" in form:
            dn = form.replace("{name}", escape_rdn(name))
            passwords.prove(connection, dn, password)
            found = connection.read(dn, self.shape.people_filter, self._wanted)
        else:
            passwords.prove(connection, form.replace("{name}", name), password)
            sids = connection.own_sids()
            query = entries.either(*(entries.equals("objectSid", sid) for sid in sids))
            found = self._find_one(connection, query) if sids else None
        return self._let_in(self._person(found) if found else None)

    def _let_in(self, person: Person | None) -> Person:
        if person is None:
            raise passwords.refused()
        if person.disabled:
            raise passwords.barred(Bar.DISABLED)
        return person

    # --- reading ---
    def person(self, name: str) -> Person | None:
        try:
            name = passwords.typed_name(name)
        except SignInFailed:
            return None
        return self._look_up(entries.equals(self.shape.name, name))

    def person_by_key(self, key: str) -> Person | None:
        query = entries.by_key(self.shape, key)
        return self._look_up(query) if query else None

    def person_by_principal(self, principal: str) -> Person | None:
        if self.shape.principal:
            return self._look_up(entries.equals(self.shape.principal, principal))
        return self.person(principal.rpartition("@")[0])

    def people(self) -> Iterator[Person]:
        with self._connection() as connection:
            base, query = self.shape.people_base, self.shape.people_filter
            for entry in connection.pages(base, query, self._wanted):
                person = self._person(entry)
                if person is not None:
                    yield person

    def groups(self) -> Iterator[Group]:
        with self._connection() as connection:
            attributes = entries.group_attributes(self.shape, members=True)
            base, query = self.shape.groups_base, self.shape.groups_filter
            for entry in connection.pages(base, query, attributes):
                group = entries.group(entry, self.shape, members=True)
                if group is not None:
                    yield group

    def groups_of(self, person: Person) -> list[Group]:
        return self._read(lambda c: nesting.groups_of(c, self.settings, person))

    # --- writing ---
    def create_person(self, new: NewPerson) -> Person:
        passwords.must_be_sendable(new.password)
        with self._writing() as connection:
            dn = writing.create(connection, self.settings, new)
            return self._read_again(connection, dn)

    def edit_person(self, key: str, *, display_name: str, email: str) -> Person:
        with self._writing() as connection:
            dn = self._known(connection, key)["dn"]
            writing.edit(connection, self.shape, dn, display_name=display_name, email=email)
            return self._read_again(connection, dn)

    def set_disabled(self, key: str, *, disabled: bool) -> Person:
        with self._writing() as connection:
            entry = self._known(connection, key)
            writing.set_disabled(connection, self.shape, entry, disabled=disabled)
            return self._read_again(connection, entry["dn"])

    def delete_person(self, key: str) -> None:
        with self._writing() as connection:
            try:
                writing.delete(connection, self._known(connection, key)["dn"])
            except NotFound:
                return

    def set_password(self, key: str, new: str) -> None:
        passwords.must_be_sendable(new)
        with self._writing() as connection:
            dn = self._known(connection, key)["dn"]
            passwords.set_new(connection, self.shape, dn, new)

    def change_password(self, name: str, *, old: str, new: str) -> None:
        passwords.must_be_sendable(new)
        if not passwords.sendable(old):
            raise results.wrong_old()
        with self._writing() as connection:
            query = entries.equals(self.shape.name, passwords.typed_name(name))
            found = self._find_one(connection, query)
            if found is None:
                raise results.wrong_old()
            passwords.change(connection, self.shape, found["dn"], old=old, new=new)

    # --- connection test ---
    def check(self) -> Sequence[Finding]:
        return checking.check(self.settings)

    # --- connections ---
    @contextmanager
    def _connection(self, *, service: bool = True) -> Iterator[LdapConnection]:
        """Give a connection to the first server that answers, bound as the service account."""
        connection = self._open(service=service)
        started = time.monotonic()
        try:
            yield connection
        except DirectoryUnreachable as silence:
            seconds = time.monotonic() - started
            self._servers.failed(connection.address, seconds=seconds, trouble=silence.text)
            raise
        finally:
            connection.close()

    def _open(self, *, service: bool) -> LdapConnection:
        trouble: DomainError | None = None
        for address in self._servers.candidates():
            started = time.monotonic()
            try:
                connection = LdapConnection(self.settings, address, service=service)
            except (DirectoryUnreachable, EncryptionRefused) as error:
                seconds = time.monotonic() - started
                self._servers.failed(address, seconds=seconds, trouble=error.text)
                log.warning("directory.server_failed", server=str(address), why=error.text)
                trouble = error
            except DomainError:
                self._servers.answered(address)
                raise
            else:
                self._servers.answered(address)
                return connection
        if isinstance(trouble, EncryptionRefused):
            raise trouble
        raise self._silence()

    def _silence(self) -> DirectoryUnreachable:
        troubles = self._servers.troubles()
        seconds = round(self._servers.next_try())
        again = f" They are asked again in {seconds} s." if seconds else ""
        return DirectoryUnreachable(
            f"No server of the directory answers: {' '.join(troubles.values())}{again}",
            servers=troubles,
            retry_after=seconds,
        )

    @contextmanager
    def _writing(self) -> Iterator[LdapConnection]:
        if not self.settings.writable:
            raise Forbidden("This realm is read-only: change its people in the directory itself.")
        with self._connection() as connection:
            yield connection

    def _read(self, work: Callable[[LdapConnection], T], *, service: bool = True) -> T:
        """Do what may be done twice: when a server falls silent in the middle, ask another."""
        for _ in self.settings.servers[1:]:
            try:
                with self._connection(service=service) as connection:
                    return work(connection)
            except DirectoryUnreachable:
                continue
        with self._connection(service=service) as connection:
            return work(connection)

    # --- entries ---
    @property
    def _wanted(self) -> list[str]:
        return entries.person_attributes(self.shape)

    def _person(self, entry: Entry) -> Person | None:
        return entries.person(entry, self.shape, datetime.now(UTC))

    def _look_up(self, query: str) -> Person | None:
        found = self._read(lambda connection: self._find_one(connection, query))
        return self._person(found) if found else None

    def _find_one(self, connection: LdapConnection, query: str) -> Entry | None:
        """Return the one entry of a person; None when there is none, or more than one."""
        query = entries.both(self.shape.people_filter, query)
        found = connection.find(self.shape.people_base, query, self._wanted)
        if len(found) > 1:
            log.warning("directory.ambiguous", query=query, dns=[entry["dn"] for entry in found])
        return found[0] if len(found) == 1 else None

    def _known(self, connection: LdapConnection, key: str) -> Entry:
        query = entries.by_key(self.shape, key)
        found = self._find_one(connection, query) if query else None
        if found is None:
            raise NotFound("The directory does not know this person any more.", key=key)
        return found

    def _read_again(self, connection: LdapConnection, dn: str) -> Person:
        entry = connection.read(dn, self.shape.people_filter, self._wanted)
        person = self._person(entry) if entry else None
        if person is None:
            raise DirectoryRefused(
                f"{dn} was written, but is not among the people of the realm: do its base and "
                "filter fit?",
                dn=dn,
            )
        return person
