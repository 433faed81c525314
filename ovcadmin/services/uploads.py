"""Uploads into the image library: announced, sent in pieces, gone on with after a break, checked.

A piece is taken only at the place where the last one ended, so a sender that lost the connection
asks how far it got and goes on there.  When all is there, an operation checks format and checksum
and registers the image.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import BinaryIO

from sqlalchemy import func, select

from ovcadmin.domain import names
from ovcadmin.domain.amounts import show_storage
from ovcadmin.domain.images import FILES, LABELS, ImageKind
from ovcadmin.errors import Conflict, Forbidden, InvalidInput, NameTaken, NotFound
from ovcadmin.models import Image, ImageUpload, Operation, Pool
from ovcadmin.models.database import lock_rows
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import privileges_on
from ovcadmin.services import audit, library, operations
from ovcadmin.work import Work

KEPT = timedelta(days=7)
"""How long an upload may stand still."""
LARGEST_PIECE = 8 * 2**20
SHA256 = re.compile(r"[0-9a-f]{64}")
OS_TYPES = ("linux", "windows", "freebsd", "other")


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What the new image is to be."""

    name: str
    kind: ImageKind
    os_type: str = "linux"
    description: str = ""
    checksum: str = ""
    """The SHA-256 that it must have; empty when the sender does not know it."""


def checked(work: Work, draft: Draft) -> Draft:
    """Return the draft in its normal form, or raise `InvalidInput` or `NameTaken`."""
    wrong = {}
    cleaned = ""
    try:
        cleaned = names.clean(draft.name)
    except ValueError as error:
        wrong["name"] = str(error)
    checksum = draft.checksum.strip().lower()
    if checksum and not SHA256.fullmatch(checksum):
        wrong["checksum"] = "A SHA-256 has 64 digits of 0-9 and a-f."
    if draft.os_type not in OS_TYPES:
        wrong["os_type"] = f"Choose one of {', '.join(OS_TYPES)}."
    if len(draft.description) > 2000:
        wrong["description"] = "Use at most 2000 characters."
    if wrong:
        raise InvalidInput("The image cannot be added.", fields=wrong)
    ensure_name_free(work, cleaned)
    return Draft(
        name=cleaned,
        kind=draft.kind,
        os_type=draft.os_type,
        description=draft.description.strip(),
        checksum=checksum,
    )


def ensure_name_free(work: Work, name: str, *, beside: int = 0) -> None:
    key = names.key(name)
    taken = select(Image.id).where(Image.name_key == key, Image.deleted_at.is_(None))
    if work.db.scalar(taken) is not None:
        raise NameTaken(f"There is already an image {name}; choose another name.", field="name")
    coming = work.db.execute(select(ImageUpload.id, ImageUpload.name))
    if any(names.key(other) == key and number != beside for number, other in coming):
        raise NameTaken(
            f"A file is being sent for an image {name}; choose another name, or go on with that "
            "upload.",
            field="name",
        )


def begin(work: Work, pool: Pool, draft: Draft, size: int) -> ImageUpload:
    """Announce a file of `size` bytes.

    Raises `InvalidInput`, `NameTaken`, or `StorageFull` when the library has no room for it.
    """
    assert work.actor.user_id is not None
    draft = checked(work, draft)
    ensure_file(draft)
    ensure_size(work, size)
    still = select(func.coalesce(func.sum(ImageUpload.size - ImageUpload.received), 0))
    library.ensure_room(work.settings, size, int(work.db.scalar(still) or 0))
    upload = ImageUpload(
        user_id=work.actor.user_id,
        pool_id=pool.id,
        name=draft.name,
        kind=draft.kind.value,
        os_type=draft.os_type,
        description=draft.description,
        size=size,
        checksum=draft.checksum,
        file=library.new_name(draft.kind),
        created_at=work.now(),
        moved_at=work.now(),
    )
    library.begin(work.settings, upload.file, size)
    work.db.add(upload)
    work.db.flush()
    audit.record(
        work, "image.upload", "image_upload", upload.id, upload.name, pool_id=pool.id,
        after={"size": size, "kind": upload.kind},
    )  # fmt: skip
    return upload


def ensure_file(draft: Draft) -> None:
    if draft.kind not in FILES:
        told = f"A {LABELS[draft.kind]} has no file."
        raise InvalidInput(told, fields={"kind": "disk or iso"})


def ensure_size(work: Work, size: int) -> None:
    largest = work.settings.largest_image
    if not 0 < size <= largest:
        said = "The file is empty." if size <= 0 else f"At most {show_storage(largest)} are taken."
        raise InvalidInput("This file cannot become an image.", fields={"size": said})


def get(work: Work, upload_id: int) -> ImageUpload:
    """Return one of the actor's own uploads, as long as he may add images where it goes."""
    upload = work.db.get(ImageUpload, upload_id)
    if upload is None or upload.user_id != work.actor.user_id:
        raise NotFound("There is nothing here, or nothing that you may see.")
    if Privilege.MODIFY not in privileges_on(work.db, upload.user_id, upload.pool_id):
        raise Forbidden(f"You may not add images to {upload.pool.name} any more.")
    return upload


def listing(work: Work) -> list[ImageUpload]:
    """Return the actor's own uploads that are not done, oldest first."""
    statement = select(ImageUpload).where(ImageUpload.user_id == work.actor.user_id)
    return list(work.db.scalars(statement.order_by(ImageUpload.id)))


def take(work: Work, upload: ImageUpload, *, at: int, piece: BinaryIO, length: int) -> None:
    """Take a piece that begins `at` bytes from the start.

    Raises `Conflict` (context `received`: where to go on) for any other place, `InvalidInput`
    for a piece beyond the end.
    """
    work.db.execute(
        lock_rows(work.db, select(ImageUpload.id).where(ImageUpload.id == upload.id), ImageUpload)
    )
    work.db.refresh(upload)
    if at != upload.received or upload.operation_id is not None:
        raise Conflict(
            f"{upload.received} bytes of {upload.name} are here; go on there.",
            received=upload.received,
        )
    if not 0 < length <= min(LARGEST_PIECE, upload.size - at):
        raise InvalidInput(
            "This piece was not taken.",
            fields={"body": f"Send at most {LARGEST_PIECE} bytes, and not beyond the end."},
        )
    upload.received += library.write(
        work.settings, upload.file, at=at, size=upload.size, source=piece, left=length
    )
    upload.moved_at = work.now()
    if upload.received == upload.size:
        upload.operation_id = _check(work, upload).id


def abandon(work: Work, upload: ImageUpload) -> None:
    """Remove what came so far.  Raises `Conflict` while it is being checked."""
    if upload.operation_id is not None:
        raise Conflict(f"{upload.name} is being checked; wait for the end.")
    audit.record(
        work, "image.upload_abandoned", "image_upload", upload.id, upload.name,
        pool_id=upload.pool_id,
    )  # fmt: skip
    library.remove(work.settings, upload.file)
    work.db.delete(upload)


def clear(work: Work) -> int:
    """Remove the uploads that stand still for too long; return how many."""
    old = work.db.scalars(
        select(ImageUpload).where(
            ImageUpload.operation_id.is_(None), ImageUpload.moved_at < work.now() - KEPT
        )
    ).all()
    for upload in old:
        abandon(work, upload)
    return len(old)


def _check(work: Work, upload: ImageUpload) -> Operation:
    return operations.submit(
        work,
        operations.Request(
            type="image.upload",
            pool=upload.pool,
            name=upload.name,
            params={
                "upload_id": upload.id,
                "file": upload.file,
                "name": upload.name,
                "kind": upload.kind,
                "os_type": upload.os_type,
                "description": upload.description,
                "checksum": upload.checksum,
            },
        ),
    )
