"""What a request carries: its database session, who acts, and the setting for services.

Reads run on the read engine, whose snapshots never wait for a writer; every other method runs on
the write engine, in the one transaction that pyramid_tm opens and closes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
import zope.sqlalchemy
from zope.sqlalchemy.datamanager import STATUS_CHANGED

from ovcadmin.config import Settings
from ovcadmin.errors import Forbidden
from ovcadmin.models import utcnow
from ovcadmin.models.database import Database
from ovcadmin.security import visibility
from ovcadmin.security.csrf import SAFE_METHODS
from ovcadmin.security.headers import SESSION_COOKIE
from ovcadmin.security.policy import Identity, bearer_key, is_api
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import sessions, tokens, view_as
from ovcadmin.services.realms import Directories
from ovcadmin.work import Actor, Work


def _settings(request: Any) -> Settings:
    found: Settings = request.registry["settings"]
    return found


def _database(request: Any) -> Database:
    found: Database = request.registry["database"]
    return found


def _directories(request: Any) -> Directories:
    found: Directories = request.registry["directories"]
    return found


def _db(request: Any) -> Any:
    """The session of this request's transaction.

    An error page gets a reading session of its own: after a failed statement the first one may
    answer nothing any more.
    """
    kept = request.__dict__.setdefault("_sessions", {})
    failed = getattr(request, "exception", None) is not None
    write = request.method not in SAFE_METHODS and not failed
    if (failed, write) not in kept:
        kept[failed, write] = _writing(request) if write else _reading(request)
    return kept[failed, write]


def _writing(request: Any) -> Any:
    session = request.database.session(write=True)
    zope.sqlalchemy.register(
        session,
        # Services also write with plain statements, which the events of the unit of work do not
        # see; so the session is committed whatever it seems to have done.
        initial_state=STATUS_CHANGED,
        transaction_manager=request.tm,
    )
    return session


def _reading(request: Any) -> Any:
    session = request.database.session(write=False)
    request.add_finished_callback(lambda _request: session.close())
    return session


def _identity(request: Any) -> Identity | None:
    """Who asks: by the bearer token for the REST API, else by the session cookie.

    Looked up in a transaction of its own: it must not open the request's, which on SQLite would
    take the write lock before it is needed.
    """
    bearer = bearer_key(request)
    key = bearer if bearer is not None else request.cookies.get(SESSION_COOKIE)
    if not key:
        return None
    with request.database.reading() as db:
        work = _work_as(request, db, _anonymous(request))
        found = _of_session(work, key) if bearer is None else _of_token(work, key)
    if found is not None and found.token_id is not None:
        request.registry["rates"].take(key)
    if found is not None:
        request.add_finished_callback(lambda _request: visibility.narrow(None))
        structlog.contextvars.bind_contextvars(user=found.actor_name)
        _touch(request, found)
    return found


def _of_session(work: Work, key: str) -> Identity | None:
    session = sessions.by_key(work, key)
    if session is None:
        return None
    return Identity.of_session(session, view_as.current(work, session))


def _of_token(work: Work, key: str) -> Identity | None:
    token = tokens.by_key(work, key)
    if token is None:
        return None
    visibility.narrow(tokens.scope(work, token))
    return Identity.of_token(token)


def _anonymous(request: Any) -> Actor:
    """Act as nobody: to find out who asks, and to let him in."""
    return Actor(
        user_id=None, name="anonymous", door=_door(request), address=request.client_addr or ""
    )


def _touch(request: Any, identity: Identity) -> None:
    """Note that session or token are in use, apart from what the request does.

    Unless its own writing has begun: a second writer would wait for it.
    """
    if identity.seen_at is not None and utcnow() - identity.seen_at < sessions.TOUCH_AFTER:
        return
    if (False, True) in request.__dict__.get("_sessions", {}):
        _touch_in(_work_as(request, request.db, _anonymous(request)), identity)
        return
    with request.database.writing() as db:
        _touch_in(_work_as(request, db, _anonymous(request)), identity)


def _touch_in(work: Work, identity: Identity) -> None:
    if identity.session_id is not None:
        sessions.touch(work, identity.session_id)
    elif identity.token_id is not None:
        tokens.touch(work, identity.token_id)


def _held_anywhere(request: Any) -> frozenset[Privilege]:
    """What the user may do on some pool or other: menu and lists ask for it."""
    identity: Identity | None = request.identity
    if identity is None:
        return frozenset()
    return visibility.privileges_anywhere(request.db, identity.user_id)


def _actor(request: Any) -> Actor:
    identity: Identity | None = request.identity
    if identity is None:
        return _anonymous(request)
    return Actor(
        user_id=identity.user_id,
        name=identity.actor_name,
        door=_door(request),
        address=request.client_addr or "",
        session_id=identity.session_id,
        token_id=identity.token_id,
    )


def _door(request: Any) -> str:
    return "api" if is_api(request) else "page"


def _work(request: Any) -> Work:
    return _work_as(request, request.db, request.actor)


def _work_as(request: Any, db: Any, actor: Actor) -> Work:
    return Work(db=db, actor=actor, settings=request.settings, request_id=request.id)


def _require(request: Any, privilege: str) -> None:
    """Raise `Forbidden` unless the context's privileges hold this one.

    For the few views whose privilege depends on the object, such as the type of an operation.
    """
    if privilege not in request.context.privileges:
        raise Forbidden(
            "You may see this, but not do that with it. Somebody with more rights on its pool can."
        )


@contextmanager
def _work_apart(request: Any, *, write: bool, actor: Actor | None = None) -> Iterator[Work]:
    """Give a setting with a short transaction of its own, which ends with the block."""
    opened = request.database.writing() if write else request.database.reading()
    with opened as db:
        yield _work_as(request, db, actor or request.actor)


def includeme(config: Any) -> None:
    config.add_request_method(_settings, "settings", reify=True)
    config.add_request_method(_database, "database", reify=True)
    config.add_request_method(_directories, "directories", reify=True)
    config.add_request_method(_db, "db", property=True)
    config.add_request_method(_identity, "found_identity", reify=True)
    config.add_request_method(_held_anywhere, "held_anywhere", reify=True)
    config.add_request_method(_actor, "actor", reify=True)
    config.add_request_method(_anonymous, "anonymous", reify=True)
    config.add_request_method(_work, "work", property=True)
    config.add_request_method(_work_apart, "work_apart")
    config.add_request_method(_require, "require")
