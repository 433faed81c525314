"""The groups of a person, groups within groups included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ovcadmin.drivers.directory import entries
from ovcadmin.drivers.directory.base import Group, Person
from ovcadmin.drivers.directory.connection import LdapConnection
from ovcadmin.drivers.directory.settings import DirectorySettings
from ovcadmin.drivers.directory.shapes import Nesting, Shape

IN_CHAIN = "1.2.840.113556.1.4.1941"
"""Active Directory's matching rule.  Other directories answer it with nothing, and no error."""
BATCH = 50
"""Members asked about in one search."""


def groups_of(
    connection: LdapConnection, settings: DirectorySettings, person: Person
) -> list[Group]:
    """Return the groups that hold the person, each once, those that hold him directly first."""
    shape = settings.shape
    match shape.nesting:
        case Nesting.MATCHING_RULE:
            query = entries.equals(f"{shape.member}:{IN_CHAIN}:", person.dn)
            return list(_groups(connection, settings, query))
        case Nesting.MEMBER_OF:
            return _listed(connection, shape, person)
        case Nesting.WALK:
            return _walked(connection, settings, person)


def _groups(connection: LdapConnection, settings: DirectorySettings, query: str) -> Iterator[Group]:
    shape = settings.shape
    query = entries.both(shape.groups_filter, query)
    attributes = entries.group_attributes(shape)
    # Somebody waits at the sign-in page: a short list gets the time of one answer.
    seconds = settings.timeout
    for entry in connection.pages(shape.groups_base, query, attributes, seconds=seconds):
        group = entries.group(entry, shape)
        if group is not None:
            yield group


def _listed(connection: LdapConnection, shape: Shape, person: Person) -> list[Group]:
    """Read the list again that the directory keeps on the person, and each group of it."""
    found = connection.read(person.dn, "(objectClass=*)", [shape.member_of])
    base = entries.dn_key(shape.groups_base)
    # FreeIPA lists host access rules, roles and permissions there as well.
    listed = (dn for dn in entries.texts(found, shape.member_of)) if found else ()
    wanted = [dn for dn in listed if entries.below(entries.dn_key(dn), base)]
    attributes = entries.group_attributes(shape)
    read = (connection.read(dn, shape.groups_filter, attributes) for dn in wanted)
    groups = (entries.group(entry, shape) for entry in read if entry is not None)
    return [group for group in groups if group is not None]


def _walked(connection: LdapConnection, settings: DirectorySettings, person: Person) -> list[Group]:
    """Go from the person outwards; a group met before is not entered again, so cycles end."""
    shape = settings.shape
    found: dict[str, Group] = {}
    edge = [person.dn]
    for _ in range(settings.nesting_depth):
        holders: dict[str, Group] = {}
        for batch in _batches(edge):
            query = entries.either(*(entries.equals(shape.member, dn) for dn in batch))
            holders |= {group.dn_key: group for group in _groups(connection, settings, query)}
        fresh = {key: group for key, group in holders.items() if key not in found}
        if not fresh:
            break
        found |= fresh
        edge = [group.dn for group in fresh.values()]
    return list(found.values())


def _batches(dns: list[str]) -> Iterable[list[str]]:
    return (dns[start : start + BATCH] for start in range(0, len(dns), BATCH))
