"""Passwords: what may be sent at all, proving one, setting one."""

from __future__ import annotations

from ldap3 import MODIFY_ADD, MODIFY_DELETE, MODIFY_REPLACE

from ovcadmin.domain import names
from ovcadmin.drivers.directory import results
from ovcadmin.drivers.directory.base import Bar
from ovcadmin.drivers.directory.connection import LdapConnection
from ovcadmin.drivers.directory.shapes import PasswordMethod, Shape
from ovcadmin.errors import InvalidInput, SignInBarred, SignInFailed

LONGEST = 1000
_BARRED = {
    Bar.LOCKED: "This account is locked in the directory.",
    Bar.DISABLED: "This account is disabled in the directory.",
    Bar.ENDED: "This account has ended in the directory.",
    Bar.PASSWORD_EXPIRED: "The password of this account has expired.",
    Bar.MUST_CHANGE: "The password of this account must be changed first.",
    Bar.NOT_NOW: "The directory does not let this account in at this time or from here.",
}


def typed_name(name: str) -> str:
    """Return a typed name in normal form; what can be nobody's raises `SignInFailed`."""
    try:
        return names.clean(name)
    except ValueError:
        raise refused() from None


def sendable(password: str) -> bool:
    """Whether a password may reach a directory.

    An empty one makes an anonymous bind that succeeds, a NUL ends the password early in some
    directories, and lone surrogates are no text.
    """
    text = "\x00" not in password and not any("\ud800" <= c <= "\udfff" for c in password)
    return text and 0 < len(password) <= LONGEST


def must_be_sendable(new: str) -> None:
    if not sendable(new):
        raise InvalidInput(
            "The password was not changed.",
            fields={"new": f"Use 1 to {LONGEST} characters of text."},
        )


def refused() -> SignInFailed:
    return SignInFailed("This user name and password do not fit together.")


def barred(bar: Bar) -> SignInBarred:
    return SignInBarred(_BARRED[bar], reason=bar.value)


def prove(connection: LdapConnection, dn: str, password: str) -> None:
    """Become somebody by the password; raises `SignInFailed` or `SignInBarred`."""
    result = connection.bind(dn, password)
    if results.is_(result, *results.AWAY, *results.UNSAFE):
        results.must_be_good(result, connection.server, "signing in")
    bar = results.bar(result)
    if bar is not None:
        raise barred(bar)
    if not results.good(result):
        raise refused()


def set_new(connection: LdapConnection, shape: Shape, dn: str, new: str) -> None:
    """Set a password as an administrator."""
    if shape.password == PasswordMethod.UNICODE_PWD:
        change = {"unicodePwd": [(MODIFY_REPLACE, [quoted(new)])]}
        result = connection.modify(dn, change)
    else:
        result = connection.modify_password(dn, new)
    results.password_set(result, connection.server)


def change(connection: LdapConnection, shape: Shape, dn: str, *, old: str, new: str) -> None:
    """Change a password by the old one."""
    if shape.password == PasswordMethod.UNICODE_PWD:
        # Taking the old value away proves it; so also those change it who may not sign in before.
        steps = [(MODIFY_DELETE, [quoted(old)]), (MODIFY_ADD, [quoted(new)])]
        result = connection.modify(dn, {"unicodePwd": steps})
    else:
        try:
            prove(connection, dn, old)
        except SignInBarred as error:
            if error.context["reason"] != Bar.MUST_CHANGE:
                raise
        except SignInFailed:
            raise results.wrong_old() from None
        result = connection.modify_password(dn, new, old)
    results.password_set(result, connection.server)


def quoted(password: str) -> bytes:
    """Return the form that Active Directory takes a password in."""
    return f'"{password}"'.encode("utf-16-le")
