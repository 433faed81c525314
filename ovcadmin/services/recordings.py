"""Recordings of consoles: made by the gateway, listed, looked at, masked, shared, forgotten.

Whoever changes things in the pool sees them all; whoever was recorded sees his own; once one is
shared, all who see the pool do.  Nobody but those who change things may alter one.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.orm import joinedload

from ovcadmin.domain import recordings as form
from ovcadmin.errors import Conflict, InvalidInput
from ovcadmin.models import Host, Lineage, Machine, Recording, RecordingPart, User
from ovcadmin.models.database import announce
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import visible
from ovcadmin.services import audit, console_policies
from ovcadmin.services.consoles import SERIAL, SHELL, Holder
from ovcadmin.work import Work

TEXT = frozenset({SERIAL, SHELL})
"""Kinds that are text; the others are screens."""
COLUMNS, ROWS = 80, 24
"""Until the page tells otherwise."""
FORGET_AT_ONCE = 20
"""Recordings that one transaction forgets: their parts may be many."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What the gateway is to record, and as what."""

    recording_id: int
    keys: bool
    begun: bool
    """It goes on: an earlier page of the same console began it."""


@dataclass(frozen=True, kw_only=True)
class Filter:
    machine_id: int | None = None
    host_id: int | None = None
    pool_id: int | None = None
    """The pool's whole subtree."""
    before: int | None = None
    """Only ids below: the cursor of the next page."""
    limit: int = 50


# --- what the gateway does -----------------------------------------------------------------------


def order(work: Work, holder: Holder, console_id: int, subject: Machine | Host) -> Order | None:
    """Return what is to be recorded of a console that opens; None where no policy wants it.

    A console that is shown again goes on being recorded as it was begun.
    """
    running = work.db.scalar(
        select(Recording).where(Recording.console_id == console_id, Recording.ended_at.is_(None))
    )
    if running is not None:
        return Order(recording_id=running.id, keys=running.keys, begun=True)
    policy = console_policies.recording(work, subject.pool)
    if policy is None:
        return None
    made = Recording(
        pool_id=subject.pool_id,
        machine_id=subject.id if isinstance(subject, Machine) else None,
        host_id=subject.id if isinstance(subject, Host) else None,
        title=subject.name,
        kind=holder.kind,
        keys=policy.keys,
        user_id=holder.user_id,
        console_id=console_id,
        columns=COLUMNS,
        rows=ROWS,
        began_at=work.now(),
        expires_at=work.now() + timedelta(days=policy.keep_days),
    )
    work.db.add(made)
    work.db.flush()
    return Order(recording_id=made.id, keys=made.keys, begun=False)


def add(work: Work, recording_id: int, data: bytes, *, length: int, cut: bool = False) -> None:
    """Append a part; nothing when the recording was deleted meanwhile.

    `length` is that of the whole in milliseconds; `cut` says that nothing will follow.
    """
    if work.db.get(Recording, recording_id) is None:
        return
    last = work.db.scalar(
        select(func.max(RecordingPart.number)).where(RecordingPart.recording_id == recording_id)
    )
    packed = zlib.compress(data)
    work.db.add(RecordingPart(recording_id=recording_id, number=(last or 0) + 1, data=packed))
    work.db.execute(
        update(Recording)
        .where(Recording.id == recording_id)
        .values(length=length, size=Recording.size + len(packed), cut=cut)
        .execution_options(synchronize_session=False)
    )


def finish(work: Work, console_ids: Iterable[int]) -> None:
    """Say that the recordings of these consoles are complete."""
    work.db.execute(
        update(Recording)
        .where(Recording.console_id.in_(list(console_ids)), Recording.ended_at.is_(None))
        .values(ended_at=work.now())
        .execution_options(synchronize_session=False)
    )


# --- what people do ------------------------------------------------------------------------------


def seen_by(user_id: int) -> ColumnElement[bool]:
    """Return the predicate "the user may look at this recording"."""
    told = or_(Recording.user_id == user_id, Recording.shared_at.is_not(None))
    return or_(
        visible(user_id, Recording.pool_id, Privilege.MODIFY),
        and_(visible(user_id, Recording.pool_id), told),
    )


def listing(work: Work, wanted: Filter) -> Sequence[Recording]:
    """Return the recordings that the actor may look at, newest first."""
    assert work.actor.user_id is not None
    statement = (
        select(Recording)
        .options(joinedload(Recording.user).joinedload(User.realm))
        .where(seen_by(work.actor.user_id))
    )
    if wanted.machine_id is not None:
        statement = statement.where(Recording.machine_id == wanted.machine_id)
    if wanted.host_id is not None:
        statement = statement.where(Recording.host_id == wanted.host_id)
    if wanted.pool_id is not None:
        below = select(Lineage.pool_id).where(Lineage.ancestor_id == wanted.pool_id)
        statement = statement.where(Recording.pool_id.in_(below))
    if wanted.before is not None:
        statement = statement.where(Recording.id < wanted.before)
    return work.db.scalars(statement.order_by(Recording.id.desc()).limit(wanted.limit)).all()


def look(work: Work, recording: Recording) -> bytes:
    """Write down that somebody looks, and return the beginning of the file."""
    _told(work, recording, "recording.look", {})
    if recording.kind not in TEXT:
        return form.FBS_HEAD
    return form.cast_head(
        columns=recording.columns,
        rows=recording.rows,
        began_at=recording.began_at,
        title=recording.title,
    )


def following(work: Work, recording_id: int, number: int) -> tuple[int, bytes] | None:
    """Return number and bytes of the part after this one, 0 for the first; None at the end."""
    part = _part(work, recording_id, number)
    return (part.number, zlib.decompress(part.data)) if part is not None else None


def mask(work: Work, recording: Recording, *, begin: float, end: float) -> None:
    """Take what was shown from `begin` to `end` (seconds) out for good.

    Raises `InvalidInput` for a range that there is not, `Conflict` while it is being made.
    """
    _ensure_complete(recording)
    if not 0 <= begin <= end:
        told = {"end": "The range must not end before it begins."}
        raise InvalidInput("Nothing was masked.", fields=told)
    first, last = int(begin * 1000), int(end * 1000 + 0.999)
    for part in _parts(work, recording.id):
        data = zlib.decompress(part.data)
        left = form.mask(data, first, last, text=recording.kind in TEXT)
        if left != data:
            packed = zlib.compress(left)
            recording.size += len(packed) - len(part.data)
            part.data = packed
    _told(work, recording, "recording.mask", {"begin": begin, "end": end})


def share(work: Work, recording: Recording, *, shared: bool) -> None:
    """Let all who see the pool look at it, or only those who may anyhow."""
    recording.shared_at = work.now() if shared else None
    _told(work, recording, "recording.share", {"shared": shared})


def remove(work: Work, recording: Recording) -> None:
    """Delete a recording; raises `Conflict` while it is being made."""
    _ensure_complete(recording)
    _told(work, recording, "recording.delete", {})
    _forget(work, [recording.id])


def due(work: Work) -> list[int]:
    """Return some of the recordings whose days are over."""
    statement = select(Recording.id).where(
        Recording.expires_at <= work.now(), Recording.ended_at.is_not(None)
    )
    return list(work.db.scalars(statement.order_by(Recording.id).limit(FORGET_AT_ONCE)))


def expire(work: Work, recording_ids: Sequence[int]) -> None:
    """Forget recordings whose days are over."""
    rows = work.db.scalars(select(Recording).where(Recording.id.in_(recording_ids)))
    for row in rows.all():
        _told(work, row, "recording.expire", {})
    _forget(work, recording_ids)


def _parts(work: Work, recording_id: int) -> Iterator[RecordingPart]:
    """Yield the parts one by one: a whole recording may be large."""
    number = 0
    while (part := _part(work, recording_id, number)) is not None:
        number = part.number
        yield part


def _part(work: Work, recording_id: int, number: int) -> RecordingPart | None:
    statement = select(RecordingPart).where(
        RecordingPart.recording_id == recording_id, RecordingPart.number > number
    )
    return work.db.scalar(statement.order_by(RecordingPart.number).limit(1))


def _forget(work: Work, recording_ids: Sequence[int]) -> None:
    for model, column in (
        (RecordingPart, RecordingPart.recording_id),
        (Recording, Recording.id),
    ):
        work.db.execute(delete(model).where(column.in_(recording_ids)))


def _ensure_complete(recording: Recording) -> None:
    if recording.ended_at is None:
        raise Conflict(
            "This recording is still being made. End its console first.",
            recording_id=recording.id,
        )


def _told(work: Work, recording: Recording, action: str, after: dict[str, object]) -> None:
    announce(work.db, "recording", recording.id, recording.pool_id)
    audit.record(
        work, action, "recording", recording.id, recording.title, pool_id=recording.pool_id,
        after={**after, "machine_id": recording.machine_id, "host_id": recording.host_id},
    )  # fmt: skip
