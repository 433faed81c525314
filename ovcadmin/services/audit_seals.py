"""The chain over the audit log: a row changed or removed later breaks every link after it.

Each seal's digest is made of the digest before it and of the canonical text of one row.  Rows are
sealed shortly after their commit, in the order in which sealers find them; a seal's number is one
more than the last, so that of two sealers at the same time the table refuses one.

What the chain cannot tell by itself is that its newest part was cut off together with the rows:
keep the newest number and digest elsewhere now and then, and hand it to `verify`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import exists, func, select
from sqlalchemy.exc import IntegrityError

from ovcadmin.errors import InvalidInput
from ovcadmin.models import Audit, AuditSeal
from ovcadmin.work import Work

BATCH = 1000
LOOK_BACK = 10_000
"""A transaction may commit rows with smaller numbers than are sealed already: so far back a
sealer looks for them.  What is older and has no seal, `verify` tells of."""
START = "0" * 64
_COLUMNS = sorted(column.key for column in Audit.__table__.columns)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    sealed: int
    """Links that hold, from the first one on."""
    head: str
    """Number and digest of the last of them, as `noted` takes it: `1234:9f86…`."""
    broken: str
    """What is wrong with the first link that does not hold; blank when all do."""
    waiting: int
    """Rows that no seal covers yet: those of the last seconds."""


def due(work: Work) -> bool:
    """Whether there is anything to seal: looking takes no lock from anybody."""
    return work.db.scalar(_unsealed(work).with_only_columns(Audit.id).limit(1)) is not None


def seal(work: Work) -> int:
    """Seal what has no seal yet, up to `BATCH` rows; return how many."""
    last = work.db.scalars(
        select(AuditSeal).order_by(AuditSeal.sequence.desc()).limit(1)
    ).one_or_none()
    sequence, digest = (last.sequence, last.digest) if last is not None else (0, START)
    rows = list(work.db.scalars(_unsealed(work).order_by(Audit.id).limit(BATCH)))
    seals = []
    for number, row in enumerate(rows, sequence + 1):
        digest = _digest(digest, row)
        seals.append(AuditSeal(sequence=number, audit_id=row.id, digest=digest))
    try:
        with work.db.begin_nested():
            work.db.add_all(seals)
    except IntegrityError:
        return 0  # another sealer was the first
    return len(seals)


def verify(work: Work, noted: str = "") -> Verdict:
    """Follow the chain to its first broken link.

    `noted` is the head of an earlier run; it must be a link of the chain still.
    """
    noted_number, noted_digest = _parse(noted)
    number, digest, broken = 0, START, ""
    while not broken and (links := _links(work, number)):
        for seal_, row in links:
            broken = _fault(seal_, row, number + 1, digest)
            if not broken and seal_.sequence == noted_number and seal_.digest != noted_digest:
                broken = f"Link {noted_number} is not the one that was noted."
            if broken:
                break
            number, digest = seal_.sequence, seal_.digest
        work.db.expunge_all()
    if not broken and number < noted_number:
        broken = f"The chain ends at link {number}: it was cut off before {noted_number}."
    waiting = work.db.scalar(select(func.count()).select_from(_unsealed(work).subquery())) or 0
    return Verdict(sealed=number, head=f"{number}:{digest}", broken=broken, waiting=waiting)


def _unsealed(work: Work) -> Any:
    newest = work.db.scalar(select(func.max(AuditSeal.audit_id))) or 0
    return select(Audit).where(
        Audit.id > newest - LOOK_BACK,
        ~exists().where(AuditSeal.audit_id == Audit.id),
    )


def _links(work: Work, after: int) -> list[tuple[AuditSeal, Audit | None]]:
    statement = (
        select(AuditSeal, Audit)
        .outerjoin(Audit, Audit.id == AuditSeal.audit_id)
        .where(AuditSeal.sequence > after)
        .order_by(AuditSeal.sequence)
        .limit(BATCH)
    )
    return [(row[0], row[1]) for row in work.db.execute(statement)]


def _fault(link: AuditSeal, row: Audit | None, number: int, before: str) -> str:
    if link.sequence != number:
        return f"Link {number} is missing: the next one is {link.sequence}."
    if row is None:
        return f"Link {number}: row {link.audit_id} of the audit log is gone."
    if _digest(before, row) != link.digest:
        return f"Link {number}: row {link.audit_id} of the audit log, or the link, was changed."
    return ""


def _digest(before: str, row: Audit) -> str:
    return hashlib.sha256(f"{before}\n{canonical(row)}".encode()).hexdigest()


def canonical(row: Audit) -> str:
    """Write a row as the one text that both kinds of database give back."""
    values = {name: getattr(row, name) for name in _COLUMNS}
    return json.dumps(values, sort_keys=True, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> str:
    assert isinstance(value, datetime)
    return value.astimezone(UTC).isoformat(timespec="microseconds")


def _parse(noted: str) -> tuple[int, str]:
    if not noted:
        return 0, START
    number, _, digest = noted.partition(":")
    if not (number.isascii() and number.isdigit() and len(digest) == len(START)):
        raise InvalidInput("A noted head looks like 1234:9f86d08…, as `audit verify` prints it.")
    return int(number), digest
