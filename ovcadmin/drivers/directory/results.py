"""What a directory's answers mean: result codes, the password policy's control, AD's sub-codes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ldap3.core import results as code

from ovcadmin.drivers.directory.base import Bar
from ovcadmin.errors import (
    DirectoryPartial,
    DirectoryRefused,
    DirectoryUnreachable,
    DomainError,
    InvalidInput,
    NameTaken,
    NotFound,
)

Result = Mapping[str, Any]

POLICY_CONTROL = "1.3.6.1.4.1.42.2.27.8.5.1"
POLICY_REQUEST = (POLICY_CONTROL, False, None)

_LIMITS = (
    code.RESULT_SIZE_LIMIT_EXCEEDED,
    code.RESULT_TIME_LIMIT_EXCEEDED,
    code.RESULT_ADMIN_LIMIT_EXCEEDED,
)
AWAY = (code.RESULT_BUSY, code.RESULT_UNAVAILABLE)
UNSAFE = (code.RESULT_CONFIDENTIALITY_REQUIRED, code.RESULT_STRONGER_AUTH_REQUIRED)
WEAK = (
    code.RESULT_CONSTRAINT_VIOLATION,
    code.RESULT_UNWILLING_TO_PERFORM,
    code.RESULT_INVALID_ATTRIBUTE_SYNTAX,
)
_WHY = {
    code.RESULT_INVALID_CREDENTIALS: "name or password of the service account are wrong",
    code.RESULT_INSUFFICIENT_ACCESS_RIGHTS: "the service account lacks the right",
    code.RESULT_NO_SUCH_OBJECT: "it has no such entry; is the base right?",
    code.RESULT_REFERRAL: "it is a copy that sends us elsewhere; name the main server first",
    code.RESULT_CONFIDENTIALITY_REQUIRED: "it wants an encrypted connection",
    code.RESULT_STRONGER_AUTH_REQUIRED: "it wants an encrypted connection",
    code.RESULT_UNAVAILABLE_CRITICAL_EXTENSION: "it does not offer paged results",
    code.RESULT_INAPPROPRIATE_AUTHENTICATION: "it takes no sign-in without name and password",
}
# Error numbers of the password policy control.
_POLICY_BARS = {0: Bar.PASSWORD_EXPIRED, 1: Bar.LOCKED, 2: Bar.MUST_CHANGE}
_POLICY_TEXTS = {
    3: "The directory does not let you change your password.",
    5: "The directory finds this password too weak.",
    6: "The directory wants a longer password.",
    7: "The directory does not let you change your password again so soon.",
    8: "You have used this password before.",
}
# Active Directory says in its text why a bind failed: "... AcceptSecurityContext error, data 775".
_AD_DATA = re.compile(r"\bdata ([0-9a-f]+)\b")
_AD_BARS = {
    "530": Bar.NOT_NOW,
    "531": Bar.NOT_NOW,
    "532": Bar.PASSWORD_EXPIRED,
    "533": Bar.DISABLED,
    "701": Bar.ENDED,
    "773": Bar.MUST_CHANGE,
    "775": Bar.LOCKED,
}
_AD_WRONG_OLD = re.compile(r"^00000056\b")


def good(result: Result) -> bool:
    return bool(result["result"] == code.RESULT_SUCCESS)


def is_(result: Result, *codes: int) -> bool:
    return result["result"] in codes


def must_be_good(result: Result, server: str, doing: str) -> None:
    """Raise what a result other than success means; `doing` completes "while …"."""
    if not good(result):
        raise _meaning(result, server, doing)


def _meaning(result: Result, server: str, doing: str) -> DomainError:
    number, text = result["result"], _text(result)
    context = {"server": server, "result": result["description"]}
    if number in _LIMITS:
        return DirectoryPartial(
            f"{server} stopped in the middle while {doing}: {result['description']}.", **context
        )
    if number in AWAY:
        return DirectoryUnreachable(f"{server} is not ready ({text}).", **context)
    why = _WHY.get(number, text)
    return DirectoryRefused(f"{server} refused while {doing}: {why}.", **context)


def changed(result: Result, server: str, doing: str) -> None:
    """Like `must_be_good`, for a change of an entry: the entry may be gone, the name taken."""
    if is_(result, code.RESULT_NO_SUCH_OBJECT):
        raise NotFound("The directory does not know this person any more.")
    if is_(result, code.RESULT_ENTRY_ALREADY_EXISTS):
        raise NameTaken("The directory already has somebody of this name.")
    must_be_good(result, server, doing)


def bar(result: Result) -> Bar | None:
    """Why a bind did not let somebody in, if the directory tells; None for a plain no or yes."""
    error = policy_error(result)
    if error in _POLICY_BARS:
        return _POLICY_BARS[error]
    if is_(result, code.RESULT_UNWILLING_TO_PERFORM):
        return Bar.DISABLED  # 389 DS and FreeIPA: "Account inactivated"
    match = _AD_DATA.search(str(result["message"]))
    return _AD_BARS.get(match[1]) if match else None


def password_set(result: Result, server: str, *, policy: Result | None = None) -> None:
    """Raise what the answer to a new password means: too weak is the person's own matter."""
    if good(result):
        return
    error = policy_error(policy or result)
    if _AD_WRONG_OLD.match(str(result["message"])):
        raise wrong_old()
    if error is not None or is_(result, *WEAK):
        why = _POLICY_TEXTS.get(-1 if error is None else error)
        raise InvalidInput(
            "The password was not changed.",
            fields={"new": why or f"The directory does not take this password ({_text(result)})."},
        )
    changed(result, server, "setting a password")


def wrong_old() -> InvalidInput:
    return InvalidInput(
        "The password was not changed.", fields={"old": "This is not your present password."}
    )


def policy_error(result: Result) -> int | None:
    """Read the error number of the password policy control, None when there is none."""
    control = (result.get("controls") or {}).get(POLICY_CONTROL)
    return _policy_error(control["value"]) if control and control["value"] else None


def _policy_error(value: bytes) -> int | None:
    """Decode SEQUENCE { warning [0] OPTIONAL, error [1] ENUMERATED OPTIONAL }, short lengths."""
    rest = value[2:] if value[:1] == b"\x30" else b""
    while len(rest) > 2:
        tag, length = rest[0], rest[1]
        if tag == 0x81 and length == 1:
            return rest[2]
        rest = rest[2 + length :]
    return None


def _text(result: Result) -> str:
    text = str(result["message"] or "").replace("\x00", "").strip().rstrip(".")
    return text[:200] or str(result["description"])
