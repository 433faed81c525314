"""Sessions of browsers: server-side, revocable.  The cookie's key is stored only as a hash."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import Select, bindparam, exists, select, update

from ovcadmin.errors import NotFound
from ovcadmin.models import Role, SecondFactor, Session, User
from ovcadmin.models.database import announce
from ovcadmin.security.visibility import granted
from ovcadmin.services import audit
from ovcadmin.work import Work

TOUCH_AFTER = timedelta(minutes=1)
# Made once: every request asks, and making them takes as long as the answer.
_BY_KEY = select(Session).where(Session.key_hash == bindparam("key_hash"))
_ASKING = select(Role.id).where(Role.second_factor).limit(1)


def hashed(key: str) -> str:
    """Return what is stored of a random 256-bit key: a plain hash suffices for such keys."""
    return hashlib.sha256(key.encode()).hexdigest()


def begin(work: Work, user: User) -> str:
    """Make a session and return its key."""
    key = secrets.token_urlsafe(32)
    now = work.now()
    work.db.add(
        Session(
            key_hash=hashed(key),
            user_id=user.id,
            csrf_token=secrets.token_urlsafe(32),
            address=work.actor.address,
            agent="",
            created_at=now,
            seen_at=now,
            expires_at=now + timedelta(hours=work.settings.session_hours),
        )
    )
    work.db.flush()
    return key


def by_key(work: Work, key: str) -> Session | None:
    """Return the living session of a key; None when unknown, idle too long, ended or revoked.

    None too for whoever owes a second factor since a role that he holds asks for one: he signs in
    once more, and is told there how to set it up.
    """
    session = work.db.scalar(_BY_KEY, {"key_hash": hashed(key)})
    if session is None or not alive(work, session) or owing(work, {session.user_id}):
        return None
    return session


def alive(work: Work, session: Session) -> bool:
    now = work.now()
    idle = timedelta(minutes=work.settings.session_idle_minutes)
    return (
        session.revoked_at is None
        and session.expires_at > now
        and session.seen_at > now - idle
        and session.user.disabled_at is None
        and session.user.realm.enabled
    )


def living(work: Work, session_ids: Collection[int]) -> set[int]:
    """Return which of these sessions may still hold pages and consoles open."""
    if not session_ids:
        return set()
    found = work.db.scalars(select(Session).where(Session.id.in_(session_ids)))
    rows = [row for row in found if alive(work, row)]
    out = owing(work, {row.user_id for row in rows})
    return {row.id for row in rows if row.user_id not in out}


def owing(work: Work, user_ids: Collection[int]) -> set[int]:
    """Return who of them holds a role that asks for a second factor, and has set up none."""
    if work.db.scalar(_ASKING) is None:
        return set()  # in most consoles no role asks
    grants = granted(user_ids)
    has = exists().where(
        SecondFactor.user_id == grants.c.user_id, SecondFactor.confirmed_at.is_not(None)
    )
    statement = select(grants.c.user_id).join(Role, Role.id == grants.c.role_id).distinct()
    return set(work.db.scalars(statement.where(Role.second_factor, ~has)))


def touch(work: Work, session_id: int) -> None:
    """Note that the session is in use.  Written at most once a minute."""
    work.db.execute(
        update(Session)
        .where(Session.id == session_id, Session.seen_at < work.now() - TOUCH_AFTER)
        .values(seen_at=work.now())
        .execution_options(synchronize_session=False)
    )


def close(work: Work, session_id: int) -> None:
    """Sign out."""
    session = work.db.get(Session, session_id)
    if session is not None and session.revoked_at is None:
        _revoke(work, session)


def listing(work: Work, user_id: int) -> list[Session]:
    """Return the user's living sessions, the last used first."""
    mine = _open(work).where(Session.user_id == user_id)
    rows = work.db.scalars(mine.order_by(Session.seen_at.desc()))
    return [row for row in rows if alive(work, row)]


def revoke(work: Work, user_id: int, session_id: int) -> None:
    """End one of the user's own sessions."""
    session = work.db.get(Session, session_id)
    if session is None or session.user_id != user_id:
        raise NotFound("There is no such session.")
    if session.revoked_at is None:
        _revoke(work, session)


def end(work: Work, user: User, session_id: int | None = None) -> int:
    """End one session of somebody, or all of them; return how many."""
    ended = [row for row in listing(work, user.id) if session_id in (None, row.id)]
    if session_id is not None and not ended:
        raise NotFound("There is no such session any more.")
    _revoke(work, *ended)
    return len(ended)


def revoke_others(work: Work, user_id: int, *, keep: int | None) -> None:
    """End all sessions of a user but one."""
    _revoke(work, *(row for row in listing(work, user_id) if row.id != keep))


def end_all(work: Work, user_ids: Collection[int]) -> None:
    """End all sessions of many users."""
    rows = work.db.scalars(_open(work).where(Session.user_id.in_(user_ids)).order_by(Session.id))
    _revoke(work, *(row for row in rows if alive(work, row)))


def _open(work: Work) -> Select[Session]:
    return select(Session).where(Session.revoked_at.is_(None), Session.expires_at > work.now())


def _revoke(work: Work, *ended: Session) -> None:
    from ovcadmin.services import pools  # noqa: PLC0415 - pools is built on this package

    root_id = pools.root(work).id if ended else 0
    for session in ended:
        session.revoked_at = work.now()
        announce(work.db, "user", session.user_id, root_id)
        audit.record(work, "session.close", "user", session.user_id, session.user.name)
