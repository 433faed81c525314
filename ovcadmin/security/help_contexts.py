"""Contexts of what the help desk writes; the same rules as `security.contexts`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ovcadmin.models import HelpCase, Note
from ovcadmin.security import subjects
from ovcadmin.security.contexts import Privileges, _get, _nothing, _user_id
from ovcadmin.security.privileges import Privilege


@dataclass(frozen=True, kw_only=True)
class NoteContext:
    note: Note
    privileges: Privileges
    """On the pool of the thing; nobody else knows of the note's number."""


@dataclass(frozen=True, kw_only=True)
class CaseContext:
    case: HelpCase
    pool_id: int
    privileges: Privileges
    """On the pool of the thing as it is now."""
    staff: bool
    """Whether the user looks at it as the help desk does, not only because it was handed to him."""


def note(request: Any) -> NoteContext:
    """Give the note to whoever sees the grants of its thing's pool."""
    user_id = _user_id(request)
    found = _get(request, Note, request.matchdict["id"])
    privileges = _on(request, user_id, found)[1]
    if Privilege.SEE_GRANTS not in privileges:
        raise _nothing()
    return NoteContext(note=found, privileges=privileges)


def case(request: Any) -> CaseContext:
    """Give the case to its owner, to who opened it, and to the help desk of that pool."""
    user_id = _user_id(request)
    found = _get(request, HelpCase, request.matchdict["id"])
    pool_id, privileges = _on(request, user_id, found)
    staff = {Privilege.VIEW, Privilege.SEE_GRANTS} <= privileges
    if not staff and user_id not in (found.owner_id, found.opened_by_id):
        raise _nothing()
    return CaseContext(case=found, pool_id=pool_id, privileges=privileges, staff=staff)


def _on(request: Any, user_id: int, row: Note | HelpCase) -> tuple[int, Privileges]:
    """Return the pool of what the row is about, and what the user may do there."""
    thing = request.db.get(subjects.SUBJECTS[row.kind], row.object_id)
    if thing is None:
        raise _nothing()
    pool_id = subjects.place(request.db, row.kind, thing)
    return pool_id, subjects.privileges(request.db, user_id, row.kind, thing)
