"""Making, changing and removing people in the directory."""

from __future__ import annotations

from ldap3 import MODIFY_ADD, MODIFY_DELETE, MODIFY_REPLACE
from ldap3.utils.dn import escape_rdn

from ovcadmin.domain import names
from ovcadmin.drivers.directory import entries, passwords, results
from ovcadmin.drivers.directory.base import NewPerson
from ovcadmin.drivers.directory.connection import Changes, Entry, LdapConnection
from ovcadmin.drivers.directory.settings import DirectorySettings
from ovcadmin.drivers.directory.shapes import PasswordMethod, Shape
from ovcadmin.errors import DirectoryRefused, DomainError, InvalidInput


def create(connection: LdapConnection, settings: DirectorySettings, new: NewPerson) -> str:
    """Make a person who can sign in; return the DN.  All or nothing."""
    shape = settings.shape
    if not shape.new_person:
        raise DirectoryRefused(
            "This kind of directory makes its users in its own way only: create the user there."
        )
    try:
        name = names.clean(new.name)
    except ValueError as error:
        raise InvalidInput("The user needs a name.", fields={"name": str(error)}) from None
    dn = f"{shape.rdn}={escape_rdn(name)},{shape.new_people_base}"
    attributes = _attributes(shape, settings.domain, name, new)
    in_one = shape.password == PasswordMethod.UNICODE_PWD
    if in_one:
        attributes["unicodePwd"] = [passwords.quoted(new.password)]
    result = connection.add(dn, attributes)
    if in_one and results.is_(result, *results.WEAK):
        results.password_set(result, connection.server)
    results.changed(result, connection.server, "creating a user")
    if not in_one:
        try:
            passwords.set_new(connection, shape, dn, new.password)
        except DomainError:
            connection.delete(dn)
            raise
    return dn


def _attributes(
    shape: Shape, domain: str, name: str, new: NewPerson
) -> dict[str, list[str | bytes]]:
    shown = entries.tidy(new.display_name) or name
    words = {
        "name": name,
        "display_name": shown,
        "last_name": shown.split()[-1],
        "domain": domain,
    }
    filled: dict[str, list[str | bytes]] = {
        attribute: [template.format_map(words) for template in templates]
        for attribute, templates in shape.new_person.items()
    }
    filled |= {shape.name: [name], shape.rdn: [name], shape.display_name[0]: [shown]}
    if new.email:
        filled[shape.email] = [new.email]
    return filled


def edit(
    connection: LdapConnection, shape: Shape, dn: str, *, display_name: str, email: str
) -> None:
    """Write both; a blank one is taken away."""
    shown = entries.tidy(display_name)
    _modify(
        connection,
        dn,
        {
            shape.display_name[0]: [(MODIFY_REPLACE, [shown] if shown else [])],
            shape.email: [(MODIFY_REPLACE, [email] if email else [])],
        },
    )


def set_disabled(connection: LdapConnection, shape: Shape, entry: Entry, *, disabled: bool) -> None:
    """Turn the switch of this kind of directory; where it stands right already, do nothing."""
    switch = shape.disabled
    if entries.is_on(entry, switch) == disabled:
        return
    if switch.bit:
        old = int(entries.first(entry, switch.attribute) or 0)
        # Taking the old number away fails when somebody else changed another bit meanwhile.
        steps = [(MODIFY_DELETE, [str(old)]), (MODIFY_ADD, [str(old ^ switch.bit)])]
        _modify(connection, entry["dn"], {switch.attribute: steps})
        return
    step = (MODIFY_REPLACE, [switch.on] if disabled else [])
    _modify(connection, entry["dn"], {switch.attribute: [step]})


def delete(connection: LdapConnection, dn: str) -> None:
    results.changed(connection.delete(dn), connection.server, "deleting a user")


def _modify(connection: LdapConnection, dn: str, changes: Changes) -> None:
    results.changed(connection.modify(dn, changes), connection.server, "changing a user")
