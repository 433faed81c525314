"""How directories of the known kinds are laid out, as data.

A preset is right for a directory that was left as its makers ship it; a realm replaces what its
company did otherwise.  `{base}` stands for the base DN of the realm, `{domain}` for the DNS name
that an Active Directory's base spells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

AND = "1.2.840.113556.1.4.803"
"""Matching rule: all these bits are set (Active Directory; OpenLDAP knows it too)."""


class Nesting(StrEnum):
    """How the groups of a person are found, groups within groups included."""

    WALK = "walk"
    """Ask for the groups that hold the person, then for those that hold these, and so on."""
    MATCHING_RULE = "matching_rule"
    """Active Directory walks by itself: rule 1.2.840.113556.1.4.1941."""
    MEMBER_OF = "member_of"
    """The person's entry lists direct and nested groups (FreeIPA)."""


class Encoding(StrEnum):
    TEXT = "text"
    GUID = "guid"
    """16 bytes, the first three fields little-endian."""
    TIME = "time"
    """Generalized time."""
    FILETIME = "filetime"
    """100 ns since 1601; 0 and the largest number mean never."""


class PasswordMethod(StrEnum):
    EXTENDED = "extended"
    """The password modify operation: the directory hashes and applies its policy."""
    UNICODE_PWD = "unicodePwd"  # noqa: S105 - the attribute's name
    """Active Directory's own attribute, over an encrypted connection only."""


@dataclass(frozen=True, kw_only=True)
class Switch:
    """The attribute that disables a person: it has the value `on`, or the bit is set in it."""

    attribute: str
    on: str = ""
    bit: int = 0


@dataclass(frozen=True, kw_only=True)
class Moment:
    attribute: str
    encoding: Encoding


@dataclass(frozen=True, kw_only=True)
class Shape:
    people_base: str
    people_filter: str
    groups_base: str
    groups_filter: str
    nesting: Nesting
    key: str
    """The attribute that outlives renames and moves."""
    key_encoding: Encoding = Encoding.TEXT
    name: str = "uid"
    display_name: tuple[str, ...] = ("displayName", "cn")
    """The first that is there is shown; the first of the list is written."""
    email: str = "mail"
    principal: str = ""
    """Attribute with the Kerberos principal; blank: the principal is name@REALM."""
    member: str = "member"
    member_of: str = "memberOf"
    group_name: str = "cn"
    disabled: Switch
    end: Moment | None = None
    password: PasswordMethod = PasswordMethod.EXTENDED
    rdn: str = "uid"
    """First part of a new person's DN."""
    new_people_base: str = "{people_base}"
    new_person: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What a new person has beside name and contact, with `{name}`, `{display_name}`,
    `{last_name}` and `{domain}` filled in.  Empty: the directory makes its people by itself."""

    def at(self, base: str) -> Shape:
        """Return the shape with its bases below `base`."""
        people = self.people_base.replace("{base}", base)
        new = self.new_people_base.replace("{people_base}", people).replace("{base}", base)
        groups = self.groups_base.replace("{base}", base)
        return replace(self, people_base=people, new_people_base=new, groups_base=groups)


OPENLDAP = Shape(
    people_base="ou=people,{base}",
    people_filter="(objectClass=inetOrgPerson)",
    groups_base="ou=groups,{base}",
    groups_filter="(objectClass=groupOfNames)",
    nesting=Nesting.WALK,
    key="entryUUID",
    # The password policy overlay's mark for "until an administrator says otherwise".
    disabled=Switch(attribute="pwdAccountLockedTime", on="000001010000Z"),
    end=Moment(attribute="pwdEndTime", encoding=Encoding.TIME),
    new_person={
        "objectClass": ("inetOrgPerson", "organizationalPerson", "person", "top"),
        "cn": ("{display_name}",),
        "sn": ("{last_name}",),
    },
)

FREEIPA = Shape(
    people_base="cn=users,cn=accounts,{base}",
    people_filter="(objectClass=person)",
    groups_base="cn=groups,cn=accounts,{base}",
    groups_filter="(objectClass=ipaUserGroup)",
    nesting=Nesting.MEMBER_OF,
    key="ipaUniqueID",
    principal="krbPrincipalName",
    disabled=Switch(attribute="nsAccountLock", on="TRUE"),
    end=Moment(attribute="krbPrincipalExpiration", encoding=Encoding.TIME),
    # No new people: numbers, private group and Kerberos keys are made by FreeIPA's own API.
)

ACTIVE_DIRECTORY = Shape(
    people_base="{base}",
    new_people_base="cn=Users,{base}",
    people_filter="(&(objectCategory=person)(objectClass=user))",
    groups_base="{base}",
    # Security groups only: a mailing list must not carry rights.
    groups_filter=f"(&(objectClass=group)(groupType:{AND}:=2147483648))",
    nesting=Nesting.MATCHING_RULE,
    key="objectGUID",
    key_encoding=Encoding.GUID,
    name="sAMAccountName",
    disabled=Switch(attribute="userAccountControl", bit=2),
    end=Moment(attribute="accountExpires", encoding=Encoding.FILETIME),
    password=PasswordMethod.UNICODE_PWD,
    rdn="cn",
    new_person={
        "objectClass": ("top", "person", "organizationalPerson", "user"),
        "sn": ("{last_name}",),
        "userPrincipalName": ("{name}@{domain}",),
        "userAccountControl": ("512",),
    },
)

PRESETS: Mapping[str, Shape] = MappingProxyType(
    {"openldap": OPENLDAP, "freeipa": FREEIPA, "active-directory": ACTIVE_DIRECTORY}
)


def preset(kind: str, base: str, **changes: Any) -> Shape:
    """Return the shape of a realm: the preset of its kind, changed where its company differs."""
    return replace(PRESETS[kind], **changes).at(base)
