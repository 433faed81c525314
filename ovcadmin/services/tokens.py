"""Tokens for the REST API: named, expiring, revocable, shown once, stored hashed."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, bindparam, select, update

from ovcadmin.domain import names
from ovcadmin.errors import InvalidInput, NotFound
from ovcadmin.models import Lineage, Pool, Session, Token, TokenScope
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import Scope, visible
from ovcadmin.services import audit, sessions
from ovcadmin.services.sessions import TOUCH_AFTER, hashed
from ovcadmin.work import Work

PREFIX = "ovc_"
LONGEST_DAYS = 3650
_BY_KEY = select(Token).where(Token.key_hash == bindparam("key_hash"))
"""Made once: every call asks, and making it takes as long as the answer."""


def create(
    work: Work,
    user_id: int,
    *,
    name: str,
    days: int | None,
    pool_id: int | None = None,
    privileges: Collection[Privilege] = (),
) -> tuple[Token, str]:
    """Create a token; return its row and its key, which is shown this once.

    `days` None is a token without end.  With a pool it is good for that subtree only, with
    privileges for those only (and seeing, without which nothing can be done).
    """
    try:
        cleaned = names.clean(name)
    except ValueError as error:
        raise InvalidInput("The token needs a name.", fields={"name": str(error)}) from None
    if days is not None and not 1 <= days <= LONGEST_DAYS:
        raise InvalidInput(
            "The token cannot be made.", fields={"days": f"Choose 1 to {LONGEST_DAYS} days."}
        )
    key = PREFIX + secrets.token_urlsafe(32)
    token = Token(
        key_hash=hashed(key),
        user_id=user_id,
        name=cleaned,
        created_at=work.now(),
        expires_at=work.now() + timedelta(days=days) if days is not None else None,
    )
    work.db.add(token)
    work.db.flush()
    told: dict[str, Any] = {}
    if pool_id is not None or privileges:
        kept = sorted({*privileges, Privilege.VIEW}) if privileges else []
        told = {"pool_id": pool_id, "privileges": kept}
        work.db.add(TokenScope(token_id=token.id, **told))
        work.db.flush()
    audit.record(work, "token.create", "token", token.id, token.name, after=told)
    return token, key


def renew(work: Work, user_id: int, token_id: int) -> str:
    """Give one of the user's tokens a new key and return it; the key before is good no more."""
    token = _own(work, user_id, token_id)
    key = PREFIX + secrets.token_urlsafe(32)
    token.key_hash = hashed(key)
    audit.record(work, "token.renew", "token", token.id, token.name)
    return key


def create_for_session(work: Work, user_id: int, session_id: int) -> tuple[Token, str]:
    """Create a token for the embedded terminal of a browser.

    It ends with the browser's session at the latest, and is shown to nobody.
    """
    session = work.db.get_one(Session, session_id)
    key = PREFIX + secrets.token_urlsafe(32)
    token = Token(
        key_hash=hashed(key),
        user_id=user_id,
        name="terminal",
        created_at=work.now(),
        expires_at=session.expires_at,
        session_id=session_id,
    )
    work.db.add(token)
    work.db.flush()
    return token, key


def expire(work: Work, token_id: int) -> None:
    """End a token of a terminal."""
    token = work.db.get_one(Token, token_id)
    token.revoked_at = token.revoked_at or work.now()


def scope(work: Work, token: Token) -> Scope | None:
    """Return what the token leaves of its user's rights; None: all of them."""
    row = work.db.get(TokenScope, token.id)
    if row is None:
        return None
    known = set(Privilege)
    return Scope(
        user_id=token.user_id,
        pool_id=row.pool_id,
        privileges=frozenset(Privilege(name) for name in row.privileges if name in known),
    )


def reaching(
    work: Work, privilege: Privilege, token_ids: Collection[int | None], pool_ids: Collection[int]
) -> set[tuple[int, int]]:
    """Return the pairs (token, pool) in which the token leaves its user this privilege.

    Whether the user holds it there is another question.
    """
    kept = {row.token_id: row for row in work.db.scalars(_scopes(token_ids))}
    narrow = {row.pool_id for row in kept.values() if row.pool_id is not None}
    below = select(Lineage.ancestor_id, Lineage.pool_id).where(
        Lineage.ancestor_id.in_(narrow), Lineage.pool_id.in_(pool_ids)
    )
    inside = {(ancestor, pool) for ancestor, pool in work.db.execute(below)} if narrow else set()

    def leaves(row: TokenScope | None, pool_id: int) -> bool:
        if row is None:
            return True
        allowed = not row.privileges or privilege in row.privileges
        return allowed and (row.pool_id is None or (row.pool_id, pool_id) in inside)

    return {
        (token_id, pool_id)
        for token_id in token_ids
        if token_id is not None
        for pool_id in pool_ids
        if leaves(kept.get(token_id), pool_id)
    }


def _scopes(token_ids: Collection[int | None]) -> Select[TokenScope]:
    return select(TokenScope).where(TokenScope.token_id.in_(token_ids))


def acting(work: Work) -> Token | None:
    """Return the token that the actor came with."""
    token_id = work.actor.token_id
    return work.db.get(Token, token_id) if token_id is not None else None


def may_narrow_to(work: Work, user_id: int, pool_id: int) -> bool:
    """Whether the user sees this pool, so that a token of his can be good for it only."""
    seen = select(Pool.id).where(Pool.id == pool_id, visible(user_id, Pool.id))
    return work.db.scalar(seen) is not None


def place(work: Work, found: Scope | None) -> str:
    """Return the name of the pool that a token is narrowed to, blank when its user sees it not."""
    if found is None or found.pool_id is None:
        return ""
    seen = visible(found.user_id, Pool.id)
    return work.db.scalar(select(Pool.name).where(Pool.id == found.pool_id, seen)) or ""


def end_with_pool(work: Work, pool_id: int) -> None:
    """Revoke the tokens that are good for this pool only: the pool goes away."""
    for row in work.db.scalars(select(TokenScope).where(TokenScope.pool_id == pool_id)).all():
        token = work.db.get(Token, row.token_id)
        assert token is not None
        _revoke(work, token)
        work.db.delete(row)
    work.db.flush()


def by_key(work: Work, key: str) -> Token | None:
    """Return the living token of a key, or None."""
    token = work.db.scalar(_BY_KEY, {"key_hash": hashed(key)})
    return token if token is not None and alive(work, token) else None


def alive(work: Work, token: Token) -> bool:
    return (
        token.revoked_at is None
        and (token.expires_at is None or token.expires_at > work.now())
        and token.user.disabled_at is None
        and token.user.realm.enabled
        and (token.session_id is None or bool(sessions.living(work, {token.session_id})))
    )


def living(work: Work, token_ids: Collection[int]) -> set[int]:
    """Return which of these tokens still hold."""
    if not token_ids:
        return set()
    rows = work.db.scalars(select(Token).where(Token.id.in_(token_ids)))
    return {row.id for row in rows if alive(work, row)}


def touch(work: Work, token_id: int) -> None:
    """Note that the token is in use.  Written at most once a minute."""
    work.db.execute(
        update(Token)
        .where(
            Token.id == token_id,
            Token.used_at.is_(None) | (Token.used_at < work.now() - TOUCH_AFTER),
        )
        .values(used_at=work.now())
        .execution_options(synchronize_session=False)
    )


def listing(work: Work, user_id: int) -> list[Token]:
    """Return the user's living tokens, newest first."""
    rows = work.db.scalars(
        select(Token)
        .where(Token.user_id == user_id, Token.revoked_at.is_(None), Token.session_id.is_(None))
        .order_by(Token.id.desc())
    )
    return [token for token in rows if alive(work, token)]


def _own(work: Work, user_id: int, token_id: int) -> Token:
    token = work.db.get(Token, token_id)
    if token is None or token.user_id != user_id:
        raise NotFound("There is no such token.")
    return token


def revoke(work: Work, user_id: int, token_id: int) -> None:
    """End one of the user's tokens."""
    _revoke(work, _own(work, user_id, token_id))


def end_all(work: Work, user_id: int) -> int:
    """End all tokens of a user; return how many."""
    ended = listing(work, user_id)
    for token in ended:
        _revoke(work, token)
    return len(ended)


def _revoke(work: Work, token: Token) -> None:
    if token.revoked_at is None:
        token.revoked_at = work.now()
        audit.record(work, "token.revoke", "token", token.id, token.name)
