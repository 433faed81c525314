"""Tags: words on machines, pools, hosts and storage pools, by which they are found again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select

from ovcadmin.domain import names
from ovcadmin.errors import InvalidInput
from ovcadmin.models import Host, Machine, Pool, StoragePool, Tag
from ovcadmin.models.database import announce
from ovcadmin.security.visibility import visible
from ovcadmin.services import audit
from ovcadmin.work import Work

MOST = 20
_WORD = re.compile(r"[\w][\w.-]{0,31}")
MODELS: dict[str, Any] = {
    "machine": Machine,
    "pool": Pool,
    "host": Host,
    "storage_pool": StoragePool,
}


@dataclass(frozen=True, kw_only=True)
class Named:
    """A thing that the actor may see."""

    kind: str
    id: int
    name: str
    pool: str
    """Where it is: the name of its pool, of a pool its parent's, as far as the actor sees it."""


def seen(work: Work, kind: str, *conditions: Any) -> list[Named]:
    """Return the things of a kind that the actor may see, by name."""
    model = MODELS[kind]
    place = Pool.id if kind == "pool" else model.pool_id
    statement = select(model).where(*conditions).order_by(model.name)
    if kind == "machine":
        statement = statement.where(Machine.deleted_at.is_(None))
    if work.actor.user_id is not None:
        statement = statement.where(visible(work.actor.user_id, place))
    rows = list(work.db.scalars(statement).unique())
    places = _places(work, {_place(kind, row) for row in rows})
    return [
        Named(kind=kind, id=row.id, name=row.name, pool=places.get(_place(kind, row), ""))
        for row in rows
    ]


def _place(kind: str, row: Any) -> int:
    return int((row.parent_id or 0) if kind == "pool" else row.pool_id)


def _places(work: Work, ids: Iterable[int]) -> dict[int, str]:
    statement = select(Pool.id, Pool.name).where(Pool.id.in_(list(ids)))
    if work.actor.user_id is not None:
        statement = statement.where(visible(work.actor.user_id, Pool.id))
    return {row[0]: row[1] for row in work.db.execute(statement)}


def of(work: Work, kind: str, object_id: int) -> list[str]:
    """Return the tags of one thing, in order."""
    statement = select(Tag.word).where(Tag.kind == kind, Tag.object_id == object_id)
    return sorted(work.db.scalars(statement))


def with_tag(work: Work, word: str) -> list[Named]:
    """Return everything with this tag that the actor may see."""
    return [
        found
        for kind, model in MODELS.items()
        for found in seen(work, kind, model.id.in_(tagged(kind, word)))
    ]


def tagged(kind: str, word: str) -> Any:
    """Select the ids of the things of a kind with this tag."""
    return select(Tag.object_id).where(Tag.kind == kind, Tag.word == names.key(word))


def narrowed(
    work: Work, kind: str, rows: Sequence[Any], *, part: str = "", word: str = ""
) -> list[Any]:
    """Return those of the things with this part in their name and this tag; blank is any."""
    ids = set(work.db.scalars(tagged(kind, word))) if word else None
    wanted = names.key(part)
    return [row for row in rows if wanted in names.key(row.name) and (ids is None or row.id in ids)]


def put(work: Work, kind: str, row: Any, text: str) -> None:
    """Set the tags of a thing to the words of the text."""
    words = sorted({names.key(word) for word in text.replace(",", " ").split()})
    bad = [word for word in words if not _WORD.fullmatch(word)]
    if bad or len(words) > MOST:
        told = (
            f"“{bad[0][:40]}” is no tag: letters, digits, dots and dashes, at most 32."
            if bad
            else f"At most {MOST} tags."
        )
        raise InvalidInput("The tags are not set.", fields={"tags": told})
    before = of(work, kind, row.id)
    work.db.execute(delete(Tag).where(Tag.kind == kind, Tag.object_id == row.id))
    work.db.add_all(Tag(kind=kind, object_id=row.id, word=word) for word in words)
    work.db.flush()
    pool_id = row.id if kind == "pool" else row.pool_id
    announce(work.db, kind, row.id, pool_id)
    audit.record(
        work, f"{kind}.tag", kind, row.id, row.name, pool_id=pool_id,
        before={"tags": before}, after={"tags": words},
    )  # fmt: skip
