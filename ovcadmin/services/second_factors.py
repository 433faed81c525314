"""The second factor: codes of an authenticator app (TOTP, RFC 6238) and recovery codes.

A code is taken once; its time step is remembered.  Recovery codes are random enough for a plain
hash, sign in once each, and are shown only when they are made.
"""

from __future__ import annotations

import base64
import hmac
import secrets

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from sqlalchemy import delete, func, select, update

from ovcadmin.errors import Conflict, InvalidInput, SignInFailed
from ovcadmin.models import RecoveryCode, Role, SecondFactor, User
from ovcadmin.security.visibility import granted
from ovcadmin.services import audit, seals
from ovcadmin.services.sessions import hashed
from ovcadmin.work import Work

ISSUER = "OpenvCloud"
DIGITS = 6
STEP = 30
"""Seconds that one code is shown."""
SKEW = 1
"""Steps that the clock of a telephone may be off."""
SECRET_BYTES = 20
RECOVERY_CODES = 10
RECOVERY_BYTES = 10


def confirmed(work: Work, user_id: int) -> SecondFactor | None:
    """Return the second factor that protects the user, None when none does."""
    row = work.db.get(SecondFactor, user_id)
    return row if row is not None and row.confirmed_at is not None else None


def required(work: Work, user_id: int) -> bool:
    """Whether a role that the user holds somewhere asks for a second factor."""
    grants = granted([user_id])
    asking = select(Role.id).join(grants, grants.c.role_id == Role.id).where(Role.second_factor)
    return work.db.scalar(asking.limit(1)) is not None


def owed(work: Work, user: User) -> bool:
    """Whether signing in takes a second factor, be it one that is still to be set up."""
    return confirmed(work, user.id) is not None or required(work, user.id)


def begin(work: Work, user: User) -> str:
    """Return the secret that the user's app is to be told; the same one until it is confirmed.

    Raises `Conflict` when a second factor protects the user already.
    """
    row = work.db.get(SecondFactor, user.id)
    if row is not None and row.confirmed_at is not None:
        raise Conflict("You have a second factor already; remove it first.")
    if row is None:
        secret = secrets.token_bytes(SECRET_BYTES)
        sealed = seals.seal(work, base64.b32encode(secret).decode())
        row = SecondFactor(user_id=user.id, sealed_secret=sealed, created_at=work.now())
        work.db.add(row)
        work.db.flush()
    return seals.unseal(work, row.sealed_secret)


def uri(user: User, secret: str) -> str:
    """Return what the QR code says."""
    account = f"{user.name}@{user.realm.name}"
    return _totp(secret).get_provisioning_uri(account, ISSUER)


def confirm(work: Work, user: User, code: str) -> list[str]:
    """Turn the second factor on by a first right code; return the recovery codes.

    Raises `SignInFailed` for a wrong code.
    """
    begin(work, user)
    row = work.db.get_one(SecondFactor, user.id)
    if not _takes_code(work, row, code):
        raise wrong()
    row.confirmed_at = work.now()
    audit.record(work, "second_factor.add", "user", user.id, user.name)
    return _new_recovery_codes(work, user)


def takes(work: Work, user: User, code: str) -> bool:
    """Whether this is the present code of the user's app, or an unused recovery code."""
    row = confirmed(work, user.id)
    if row is None:
        return False
    return _takes_code(work, row, code) or _takes_recovery_code(work, user, code)


def remove(work: Work, user: User) -> None:
    """Take the second factor away: by an administrator, or by the user after a right code."""
    work.db.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    work.db.execute(delete(SecondFactor).where(SecondFactor.user_id == user.id))
    work.db.expire_all()
    audit.record(work, "second_factor.remove", "user", user.id, user.name)


def remove_own(work: Work, user: User, code: str) -> None:
    if required(work, user.id):
        raise Conflict("A role that you hold asks for a second factor; it cannot be removed.")
    if not takes(work, user, code):
        raise InvalidInput("The second factor stays.", fields={"code": wrong().text})
    remove(work, user)


def recovery_codes_left(work: Work, user_id: int) -> int:
    unused = (RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
    return work.db.scalar(select(func.count(RecoveryCode.id)).where(*unused)) or 0


def wrong() -> SignInFailed:
    return SignInFailed("This code is wrong, or was used before. Wait for the next one.")


def _totp(secret: str) -> TOTP:
    # SHA-1 is what every authenticator app knows; its weakness does not matter in an HMAC.
    return TOTP(base64.b32decode(secret), DIGITS, SHA1(), STEP, enforce_key_length=False)  # noqa: S303


def _takes_code(work: Work, row: SecondFactor, code: str) -> bool:
    typed = "".join(code.split())
    if not (len(typed) == DIGITS and typed.isascii() and typed.isdigit()):
        return False
    totp = _totp(seals.unseal(work, row.sealed_secret))
    now = int(work.now().timestamp()) // STEP
    steps = range(now - SKEW, now + SKEW + 1)
    right = [s for s in steps if hmac.compare_digest(totp.generate(s * STEP), typed.encode())]
    if not right:
        return False
    taken = work.db.execute(
        update(SecondFactor)
        .where(SecondFactor.user_id == row.user_id, SecondFactor.last_step < right[-1])
        .values(last_step=right[-1])
        .execution_options(synchronize_session=False)
    )
    return bool(taken.rowcount == 1)  # type: ignore[attr-defined]


def _takes_recovery_code(work: Work, user: User, code: str) -> bool:
    typed = "".join(code.split()).replace("-", "").upper()
    taken = work.db.execute(
        update(RecoveryCode)
        .where(
            RecoveryCode.user_id == user.id,
            RecoveryCode.key_hash == hashed(typed),
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=work.now())
        .execution_options(synchronize_session=False)
    )
    if taken.rowcount != 1:  # type: ignore[attr-defined]
        return False
    audit.record(work, "second_factor.recover", "user", user.id, user.name)
    return True


def _new_recovery_codes(work: Work, user: User) -> list[str]:
    work.db.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    codes = [
        base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode()
        for _ in range(RECOVERY_CODES)
    ]
    work.db.add_all(RecoveryCode(user_id=user.id, key_hash=hashed(code)) for code in codes)
    work.db.flush()
    return ["-".join(code[i : i + 4] for i in range(0, len(code), 4)) for code in codes]
