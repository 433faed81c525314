"""The connection test: every server, step by step, up to the first step that fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ovcadmin.drivers.directory import entries
from ovcadmin.drivers.directory.base import Finding
from ovcadmin.drivers.directory.connection import LdapConnection
from ovcadmin.drivers.directory.settings import Address, DirectorySettings, Transport
from ovcadmin.errors import DirectoryRefused, DomainError

_SECURED = {
    Transport.STARTTLS: "Encrypted with StartTLS, certificate verified.",
    Transport.LDAPS: "Encrypted, certificate verified.",
    Transport.PLAIN: "Not encrypted: passwords can be read on the way.",
}


def check(settings: DirectorySettings) -> Sequence[Finding]:
    return [finding for address in settings.servers for finding in _server(settings, address)]


def _server(settings: DirectorySettings, address: Address) -> list[Finding]:
    findings: list[Finding] = []
    connections: list[LdapConnection] = []

    def connect() -> str:
        connections.append(LdapConnection(settings, address))
        return f"{address} answers. {_SECURED[settings.transport]}"

    def step(name: str, work: Callable[[], str]) -> bool:
        started = time.monotonic()
        try:
            text, good = work(), True
        except DomainError as error:
            text, good = error.text, False
        seconds = time.monotonic() - started
        findings.append(
            Finding(server=str(address), step=name, good=good, text=text, seconds=seconds)
        )
        return good

    try:
        if step("connection", connect):
            (connection,) = connections
            if step("service account", lambda: _bound(connection, settings)):
                step("people", lambda: _people(connection, settings))
                step("groups", lambda: _groups(connection, settings))
    finally:
        for connection in connections:
            connection.close()
    return findings


def _bound(connection: LdapConnection, settings: DirectorySettings) -> str:
    connection.bind_service()
    if settings.bind_dn:
        return f"Signed in as {settings.bind_dn}."
    return "No service account: searching anonymously."


def _people(connection: LdapConnection, settings: DirectorySettings) -> str:
    shape = settings.shape
    attributes = entries.person_attributes(shape)
    count = 0
    for entry in connection.pages(shape.people_base, shape.people_filter, attributes):
        entries.key_of(entry, shape)
        count += 1
    return _counted(count, "people", shape.people_base, shape.people_filter)


def _groups(connection: LdapConnection, settings: DirectorySettings) -> str:
    shape = settings.shape
    attributes = entries.group_attributes(shape)
    count = 0
    for entry in connection.pages(shape.groups_base, shape.groups_filter, attributes):
        entries.key_of(entry, shape)
        count += 1
    return _counted(count, "groups", shape.groups_base, shape.groups_filter)


def _counted(count: int, what: str, base: str, query: str) -> str:
    if not count:
        raise DirectoryRefused(
            f"No {what} below {base} that fit {query}: is the base right, and may the service "
            "account read them?"
        )
    return f"{count} {what} below {base}."
