"""Finding what a call is about, from whatever the caller can tell; and what is known of it.

Everything here is narrowed to what the actor may see: people where he sees grants, all else where
he may view its pool, what was refused where he may read the audit log.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import joinedload

from ovcadmin import errors
from ovcadmin.domain import names
from ovcadmin.models import Audit, Host, Machine, Nic, Operation, Pool, User
from ovcadmin.security.visibility import visible
from ovcadmin.services import (
    audit_log,
    guest_addresses,
    knowledge_search,
    machine_lists,
    operations,
    users,
)
from ovcadmin.services.knowledge_search import Hit
from ovcadmin.services.machine_lists import Row
from ovcadmin.work import Work

MOST = 10
_MAC = re.compile(r"[0-9a-f]{2}([:-][0-9a-f]{2}){1,5}|[0-9a-f]{4}(\.[0-9a-f]{4}){1,2}|[0-9a-f]{12}")
_NUMBER = re.compile(r"#?([0-9]{1,9})")
_REQUEST = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True)
class Found:
    """What fits, by kind."""

    people: Sequence[User] = ()
    machines: Sequence[Row] = ()
    pools: Sequence[Pool] = ()
    hosts: Sequence[Host] = ()
    operations: Sequence[Operation] = ()
    trail: Sequence[Audit] = ()
    """Lines of the audit log: by an address, a request's id or a code."""
    articles: Sequence[Hit] = field(default=())

    @property
    def anything(self) -> bool:
        lists = (self.people, self.machines, self.pools, self.hosts, self.operations, self.trail)
        return any(lists) or bool(self.articles)


def find(work: Work, typed: str) -> Found:
    """Find a person, machine, pool, host, address, operation, request or code."""
    text = typed.strip()
    key = names.key(text)
    number = _NUMBER.fullmatch(text)
    if _REQUEST.fullmatch(key) or _is_address(text) or text in errors.codes():
        return _by_trail(work, text, key)
    found = Found(machines=by_mac(work, key) if _MAC.fullmatch(key) else ())
    if found.anything or not text:
        return found
    return _by_number(work, int(number.group(1)), text) if number else _by_name(work, text)


def _by_trail(work: Work, text: str, key: str) -> Found:
    """Find a request, the code of a refusal, or an address: of a guest, or where one sat."""
    wanted = or_(Audit.request_id == key, Audit.address == text, Audit.outcome == text)
    had = _machines(work, Machine.id.in_(guest_addresses.had(key))) if _is_address(text) else ()
    return Found(
        machines=had,
        operations=_operations(work, Operation.request_id == key),
        trail=_trail(work, wanted),
        articles=_articles(work, text) if text in errors.codes() else (),
    )


def by_mac(work: Work, typed: str) -> list[Row]:
    """Return the machines with a card whose MAC holds this, however it is written."""
    digits = re.sub(r"[^0-9a-f]", "", typed)
    mac = ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))
    cards = select(Nic.machine_id).where(Nic.mac.contains(mac))
    return _machines(work, Machine.id.in_(cards))


def recent(work: Work, kind: str, object_id: int) -> list[Operation]:
    """Return the last operations on a machine or host, in a pool, or those of a user."""
    if kind == "pool":
        wanted = operations.Filter(pool_id=object_id, limit=MOST)
        return operations.listing(work, wanted)
    column = {
        "machine": Operation.machine_id,
        "host": Operation.host_id,
        "user": Operation.user_id,
    }
    return _operations(work, column[kind] == object_id)


def refusals(work: Work, *, kind: str = "", object_id: int = 0, user: User | None = None) -> Any:
    """Return what was refused lately: to somebody, or about a thing."""
    refused = Audit.outcome.not_in(audit_log.SETTLED)
    if user is not None:
        return _trail(work, refused, Audit.user_id == user.id)
    if kind == "pool":
        return _trail(work, refused, Audit.pool_id == object_id)
    return _trail(work, refused, Audit.object_kind == kind, Audit.object_id == object_id)


def machines_of(work: Work, user: User) -> list[Row]:
    """Return the machines that somebody owns, as far as the actor sees them."""
    return _machines(work, Machine.owner_id == user.id)


def _by_number(work: Work, number: int, text: str) -> Found:
    named = Found() if text.startswith("#") else _by_name(work, text)
    return Found(
        people=named.people,
        machines=named.machines or _machines(work, Machine.id == number),
        pools=named.pools,
        hosts=named.hosts,
        operations=_operations(work, Operation.id == number),
    )


def _by_name(work: Work, text: str) -> Found:
    part = names.key(text)
    name, _, realm = part.partition("@")
    people = users.listing(work, users.Filter(text=name if realm else text))[0]
    if realm:
        people = [one for one in people if one.realm.name == realm] or people
    return Found(
        people=people[:MOST],
        machines=machine_lists.listing(work, machine_lists.Filter(text=text, size=MOST)).rows,
        pools=_pools(work, part),
        hosts=_hosts(work, part),
        operations=_operations(work, Operation.title.icontains(text, autoescape=True)),
        articles=_articles(work, text),
    )


def _articles(work: Work, text: str) -> list[Hit]:
    return knowledge_search.search(work, text, 3)


def _machines(work: Work, *conditions: Any) -> list[Row]:
    statement = (
        select(Machine)
        .where(Machine.deleted_at.is_(None), *conditions, *_seen(work, Machine.pool_id))
        .options(joinedload(Machine.pool), joinedload(Machine.host), joinedload(Machine.owner))
        .order_by(Machine.name_key, Machine.id)
        .limit(MOST)
    )
    return machine_lists.rows(work, list(work.db.scalars(statement).unique()))


def _pools(work: Work, part: str) -> list[Pool]:
    statement = select(Pool).where(
        Pool.name_key.contains(part, autoescape=True), *_seen(work, Pool.id)
    )
    return list(work.db.scalars(statement.order_by(Pool.name_key, Pool.id).limit(MOST)).unique())


def _hosts(work: Work, part: str) -> list[Host]:
    fits = or_(
        Host.name.icontains(part, autoescape=True), Host.hostname.icontains(part, autoescape=True)
    )
    statement = select(Host).where(fits, *_seen(work, Host.pool_id)).order_by(Host.name)
    return list(work.db.scalars(statement.limit(MOST)).unique())


def _operations(work: Work, condition: Any) -> list[Operation]:
    statement = (
        select(Operation)
        .options(
            joinedload(Operation.user), joinedload(Operation.machine), joinedload(Operation.pool)
        )
        .where(condition, *_seen(work, Operation.pool_id))
        .order_by(Operation.id.desc())
        .limit(MOST)
    )
    return list(work.db.scalars(statement).unique())


def _trail(work: Work, *conditions: Any) -> list[Audit]:
    statement = select(Audit).where(*audit_log.readable(work), *conditions)
    return list(work.db.scalars(statement.order_by(Audit.id.desc()).limit(MOST)))


def _seen(work: Work, pool_id: Any) -> list[Any]:
    return [] if work.actor.user_id is None else [visible(work.actor.user_id, pool_id)]


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
