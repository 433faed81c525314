"""A directory's whole answer: everybody, and who is in which group by way of others too.

Nothing may be concluded from a part of it, so it is read to its end before anything is changed.
People wait in a file meanwhile: memory grows with keys and memberships only.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from itertools import islice
from typing import Self

from ovcadmin.drivers.directory.base import Directory, Group, Person
from ovcadmin.errors import DirectoryPartial

NESTING = 10
"""Groups within groups are followed so far, as when the directory is asked about one person."""
TOLD_EVERY = 500


class Roll:
    """Complete, or never made.  Use it as a context: it holds a file."""

    def __init__(
        self, directory: Directory, kind: str, told: Callable[[int], None] = lambda _: None
    ) -> None:
        """Read everything; `told` hears now and then how many people came so far.

        Raises `DirectoryPartial` when there is nobody at all, and whatever the directory raises.
        """
        self._kind = kind
        self.keys: set[str] = set()
        self.groups: list[Group] = []
        self._key_of: dict[str, str] = {}
        self._holders: dict[str, list[str]] = {}
        self._above: dict[str, frozenset[str]] = {}
        self._file = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - __exit__
        try:
            self._read_groups(directory)
            self._read_people(directory, told)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def batches(self, size: int) -> Iterator[list[Person]]:
        """Yield everybody once."""
        self._file.seek(0)
        while lines := list(islice(self._file, size)):
            yield [_person(line) for line in lines]

    def groups_of(self, person: Person) -> frozenset[str]:
        """Return the keys of all groups that hold the person, also by way of other groups.

        The same that the driver's `groups_of` finds by asking: FreeIPA keeps complete lists on its
        people; OpenLDAP's lists may be stale and are not looked at.
        """
        listed = {dn for dn in person.groups if dn in self._key_of}
        if self._kind == "freeipa":
            return frozenset(self._key_of[dn] for dn in listed)
        direct = set(self._holders.get(person.dn_key, ()))
        if self._kind == "active-directory":
            # It shows only the first of very many members, but on each of them the group.
            direct |= listed
        found = direct.union(*(self._groups_above(dn) for dn in direct))
        return frozenset(self._key_of[dn] for dn in found)

    def _read_groups(self, directory: Directory) -> None:
        same: dict[str, str] = {}
        for group in directory.groups():
            self._key_of[group.dn_key] = group.key
            for member in group.members or ():
                # One text for all mentions of a member.
                self._holders.setdefault(same.setdefault(member, member), []).append(group.dn_key)
            self.groups.append(replace(group, members=None))

    def _read_people(self, directory: Directory, told: Callable[[int], None]) -> None:
        for person in directory.people():
            self.keys.add(person.key)
            self._file.write(json.dumps(asdict(person)) + "\n")
            if not len(self.keys) % TOLD_EVERY:
                told(len(self.keys))
        if not self.keys:
            raise DirectoryPartial(
                "The directory showed nobody at all. Nothing was changed: test the connection; "
                "base, filter or the service account's rights may be wrong."
            )

    def _groups_above(self, dn: str) -> frozenset[str]:
        """Return the groups that hold a group; circles end where they began."""
        if dn not in self._above:
            found: set[str] = set()
            edge = {dn}
            for _ in range(NESTING - 1):
                edge = {holder for one in edge for holder in self._holders.get(one, ())} - found
                if not edge:
                    break
                found |= edge
            self._above[dn] = frozenset(found)
        return self._above[dn]


def _person(line: str) -> Person:
    values = json.loads(line)
    return Person(**{**values, "groups": tuple(values["groups"])})
