"""Notes on things and people: for the help desk only, or for all who see what it is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from ovcadmin.errors import Forbidden, InvalidInput, NotFound
from ovcadmin.models import Note
from ovcadmin.models.database import announce
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.subjects import SUBJECTS, Privileges, place, privileges
from ovcadmin.services import audit
from ovcadmin.work import Work

LONGEST = 2000
SHOWN = 50


def subject(work: Work, kind: str, object_id: int) -> tuple[Any, Privileges]:
    """Return the thing and what the actor may do there; `NotFound` for what he may not see."""
    row = work.db.get(SUBJECTS[kind], object_id) if kind in SUBJECTS else None
    if row is None or getattr(row, "deleted_at", None) is not None:
        raise NotFound("There is nothing here, or nothing that you may see.")
    held = _held(work, kind, row)
    if Privilege.VIEW not in held:
        raise NotFound("There is nothing here, or nothing that you may see.")
    return row, held


@dataclass(frozen=True, kw_only=True)
class Board:
    """What hangs on a thing, and whether the actor may add to it and take away."""

    notes: Sequence[Note]
    staff: bool


def board(work: Work, kind: str, object_id: int) -> Board:
    """Return the notes on a thing that the actor may read, the newest first; none if it is hidden.

    Those that are not for users are read by whoever sees the grants of the thing's pool.
    """
    row = work.db.get(SUBJECTS[kind], object_id)
    held = _held(work, kind, row) if row is not None else frozenset()
    if Privilege.VIEW not in held:
        return Board(notes=(), staff=False)
    staff = Privilege.SEE_GRANTS in held
    statement = select(Note).where(Note.kind == kind, Note.object_id == object_id)
    found = list(
        work.db.scalars(
            statement.options(joinedload(Note.author)).order_by(Note.id.desc()).limit(SHOWN)
        )
    )
    return Board(notes=[one for one in found if one.for_users or staff], staff=staff)


def write(work: Work, kind: str, row: Any, text: str, *, for_users: bool) -> Note:
    text = text.strip()
    if not 0 < len(text) <= LONGEST:
        told = f"Write something, at most {LONGEST} characters."
        raise InvalidInput("Nothing was noted.", fields={"text": told})
    assert work.actor.user_id is not None, "people write notes"
    note = Note(
        kind=kind,
        object_id=row.id,
        for_users=for_users,
        text=text,
        author_id=work.actor.user_id,
        at=work.now(),
    )
    work.db.add(note)
    work.db.flush()
    _told(work, "note.write", note, row)
    return note


def remove(work: Work, note: Note) -> None:
    row = work.db.get(SUBJECTS[note.kind], note.object_id)
    work.db.delete(note)
    _told(work, "note.remove", note, row)


def _held(work: Work, kind: str, row: Any) -> Privileges:
    user_id = work.actor.user_id
    return frozenset(Privilege) if user_id is None else privileges(work.db, user_id, kind, row)


def _told(work: Work, action: str, note: Note, row: Any) -> None:
    pool_id = place(work.db, note.kind, row)
    announce(work.db, note.kind, row.id, pool_id)
    written = {"text": note.text, "for_users": note.for_users}
    gone = action == "note.remove"
    audit.record(
        work,
        action,
        note.kind,
        row.id,
        row.name,
        pool_id=pool_id,
        before=written if gone else None,
        after=None if gone else written,
    )


def staffed(work: Work, kind: str, object_id: int) -> Any:
    """Return the thing for who may look after it: whoever sees the grants of its pool."""
    row, held = subject(work, kind, object_id)
    if Privilege.SEE_GRANTS not in held:
        raise Forbidden(f"This needs the privilege to see grants where {row.name} is.")
    return row
