"""What the console asks of a company directory: people, groups, and whether a password is right.

A driver object stands for one realm, which may have several servers.  Names are the directory's
own spelling in normal form (`domain.names.clean`); identity is `key`, which outlives a rename or
a move.  Every method may raise `DirectoryUnreachable` (no server answers in time) or
`DirectoryRefused` (certificate, service account, rights).  Every call has a deadline.  Writing
raises `Forbidden` unless the realm allows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Bar(StrEnum):
    """Why the directory does not let in somebody whom it knows."""

    LOCKED = "locked"
    """Too many wrong passwords, or locked by an administrator."""
    DISABLED = "disabled"
    ENDED = "ended"
    """The account is past its end date."""
    PASSWORD_EXPIRED = "password_expired"  # noqa: S105 - a word, no secret
    MUST_CHANGE = "must_change"
    """The password was set by an administrator and must be changed first."""
    NOT_NOW = "not_now"
    """The directory restricts hours or places of sign-in."""


@dataclass(frozen=True, kw_only=True)
class Person:
    key: str
    """Lasting id: the text of entryUUID, ipaUniqueID or objectGUID."""
    dn: str
    dn_key: str
    """The DN in one spelling: what `Group.members` refers to."""
    name: str
    """What is typed at sign-in."""
    display_name: str
    """One line; the name where the directory has none."""
    email: str
    disabled: bool
    """Disabled in the directory, or past its end date."""
    groups: tuple[str, ...]
    """`dn_key` of groups as the person's entry lists them: empty where the directory does not
    keep such a list, and direct or nested as it keeps it.  `groups_of` tells the whole truth."""


@dataclass(frozen=True, kw_only=True)
class Group:
    key: str
    dn: str
    dn_key: str
    name: str
    members: tuple[str, ...] | None
    """`dn_key` of the direct members, people and groups; None where they were not asked for."""


@dataclass(frozen=True, kw_only=True)
class NewPerson:
    name: str
    password: str
    display_name: str = ""
    email: str = ""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One step of the connection test."""

    server: str
    step: str
    good: bool
    text: str
    """What was found; when it is not good, why and what to do."""
    seconds: float


class Directory(Protocol):
    def authenticate(self, name: str, password: str) -> Person:
        """Check a password.

        Raises `SignInFailed` (unknown name, wrong, empty or impossible password: one answer) or
        `SignInBarred` with a `reason` of `Bar`.  Every wrong try counts in the directory and may
        lock the account there: throttle before.
        """
        ...

    def person(self, name: str) -> Person | None: ...

    def person_by_key(self, key: str) -> Person | None:
        """Find somebody again, whatever the name is now; None when the directory lost him."""
        ...

    def person_by_principal(self, principal: str) -> Person | None:
        """Whose Kerberos principal this is."""
        ...

    def people(self) -> Iterator[Person]:
        """Everybody.  The iterator ends only after a complete answer; else it raises.

        `DirectoryPartial` when a limit of the directory cut the answer off,
        `DirectoryUnreachable` when the connection was lost in the middle.  Referrals to other
        directories are not followed and do not make an answer partial.  Entries whose name nobody
        could type (a line break in it) are left out and logged.
        """
        ...

    def groups(self) -> Iterator[Group]:
        """All groups with their direct members; complete or an error, as `people`."""
        ...

    def groups_of(self, person: Person) -> list[Group]:
        """All groups that hold the person, also by way of other groups, without their members.

        Active Directory's primary group (Domain Users) counts neither here nor in `groups`.
        """
        ...

    def create_person(self, new: NewPerson) -> Person:
        """Raises `NameTaken`, or `InvalidInput` when the directory refuses the password."""
        ...

    def edit_person(self, key: str, *, display_name: str, email: str) -> Person:
        """Raises `NotFound` when the person is gone."""
        ...

    def set_disabled(self, key: str, *, disabled: bool) -> Person: ...

    def delete_person(self, key: str) -> None:
        """Absent is success."""
        ...

    def set_password(self, key: str, new: str) -> None:
        """Set it as an administrator.  Raises `InvalidInput` (field `new`) when it is too weak."""
        ...

    def change_password(self, name: str, *, old: str, new: str) -> None:
        """Change one's own password, also one that must be changed before signing in.

        Raises `InvalidInput` with the field `old` or `new`, or `SignInBarred`.
        """
        ...

    def check(self) -> Sequence[Finding]:
        """Try every server, step by step; never raises."""
        ...
