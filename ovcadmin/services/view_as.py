"""Looking at the console as somebody else sees it: to help him, and without touching anything.

It belongs to one session, needs the privilege on the root, begins with a reason, and ends by its
button, with the session, or as soon as the privilege is gone.  Whatever could change something is
refused meanwhile (security/read_only).
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import delete

from ovcadmin.errors import Forbidden, InvalidInput
from ovcadmin.models import Session, User, ViewAs
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import privileges_on
from ovcadmin.services import audit, pools
from ovcadmin.work import Work

LONGEST = 500


def begin(work: Work, user: User, reason: str) -> None:
    """Let the actor's session see the console as `user` does."""
    actor = work.actor
    if actor.session_id is None or actor.user_id is None:
        raise Forbidden("Only a signed-in browser can view as somebody else.")
    if not _may(work, actor.user_id):
        raise Forbidden("Viewing as somebody else needs its privilege on the root.")
    if user.id == actor.user_id:
        raise InvalidInput("This is yourself: you see it as you do already.")
    if user.disabled_at is not None:
        raise InvalidInput(f"{user.label} is disabled and sees nothing.")
    reason = reason.strip()
    if not 0 < len(reason) <= LONGEST:
        text = f"Say why, in at most {LONGEST} characters."
        raise InvalidInput("A reason is needed.", fields={"reason": text})
    _forget(work, actor.session_id)
    row = ViewAs(session_id=actor.session_id, user_id=user.id, reason=reason, started_at=work.now())
    work.db.add(row)
    name = f"{user.name}@{user.realm.name}"
    audit.record(work, "view_as.begin", "user", user.id, name, after={"reason": reason})


def current(work: Work, session: Session) -> ViewAs | None:
    """Return as whom the session looks at the console, as long as its user may."""
    row = work.db.get(ViewAs, session.id)
    if row is None or row.user.disabled_at is not None or not _may(work, session.user_id):
        return None
    return row


def end(work: Work) -> User | None:
    """See with one's own eyes again; return who was looked for, None when nobody was."""
    session_id = work.actor.session_id
    row = work.db.get(ViewAs, session_id) if session_id is not None else None
    session = work.db.get(Session, session_id) if row is not None else None
    if row is None or session is None:
        return None
    user, viewer = row.user, session.user
    own = replace(work.actor, user_id=viewer.id, name=f"{viewer.name}@{viewer.realm.name}")
    name = f"{user.name}@{user.realm.name}"
    audit.record(replace(work, actor=own), "view_as.end", "user", user.id, name)
    _forget(work, session.id)
    return user


def _may(work: Work, user_id: int) -> bool:
    return Privilege.VIEW_AS in privileges_on(work.db, user_id, pools.root(work).id)


def _forget(work: Work, session_id: int) -> None:
    work.db.execute(
        delete(ViewAs)
        .where(ViewAs.session_id == session_id)
        .execution_options(synchronize_session="fetch")
    )
