"""Taking images away: what still uses one, its copies, and the image itself."""

from __future__ import annotations

from sqlalchemy import and_, or_, select

from ovcadmin.domain.images import ImageKind
from ovcadmin.errors import Conflict, ObjectInUse
from ovcadmin.models import Image, Machine, Medium, Operation, OperationState, StoragePool, Volume
from ovcadmin.models.database import announce
from ovcadmin.services import library, operations, storage
from ovcadmin.work import Work

OPEN = (OperationState.QUEUED, OperationState.RUNNING)
SHARING = ("openvstorage",)
"""Drivers whose clones need the copy that they were made from."""


def users(work: Work, image: Image) -> list[Machine]:
    """Return the machines that cannot do without the image, by name.

    Those that are being made from it, those whose disk shares its content (elsewhere a disk is a
    whole copy of its own), and those that have it in a drive.
    """
    inserted = select(Medium.machine_id).where(Medium.image_id == image.id)
    making = select(Operation.machine_id).where(
        Operation.machine_id.is_not(None),
        Operation.type == "machine.create",
        Operation.state.in_(OPEN),
    )
    sharing = (
        select(Volume.machine_id)
        .join(StoragePool, StoragePool.id == Volume.storage_pool_id)
        .where(Volume.machine_id.is_not(None), StoragePool.driver.in_(SHARING))
    )
    statement = (
        select(Machine)
        .where(
            Machine.deleted_at.is_(None),
            or_(
                and_(
                    Machine.image_id == image.id,
                    Machine.id.in_(making) | Machine.id.in_(sharing),
                ),
                Machine.id.in_(inserted),
            ),
        )
        .order_by(Machine.name_key, Machine.id)
    )
    return list(work.db.scalars(statement))


def ensure_unused(work: Work, image: Image) -> None:
    found = users(work, image)
    if found:
        names = ", ".join(machine.name for machine in found[:10])
        raise ObjectInUse(
            f"{image.name} is in use by {names}"
            f"{f' and {len(found) - 10} more' if len(found) > 10 else ''}. "
            f"{'Eject it there first' if image.kind == ImageKind.ISO else 'Delete them first'}.",
            machines=[machine.id for machine in found[:10]],
        )


def ensure_no_kickstart(work: Work, image: Image) -> None:
    statement = select(Image.name).where(Image.installer_id == image.id, Image.deleted_at.is_(None))
    if found := list(work.db.scalars(statement.order_by(Image.name_key).limit(10))):
        raise ObjectInUse(
            f"{image.name} is the ISO of {', '.join(found)}. Give them another one, or delete "
            "them first.",
            kickstarts=found,
        )


def delete(work: Work, image: Image) -> Operation:
    """Queue the end of an image: its copies, its file, its row.  Raises `ObjectInUse`."""
    ensure_unused(work, image)
    ensure_no_kickstart(work, image)
    return operations.submit(
        work,
        operations.Request(
            type="image.delete",
            pool=image.pool,
            name=image.name,
            image=image,
            params={"image_id": image.id},
        ),
    )


def withdraw(work: Work, image: Image) -> None:
    """Offer it to nobody from now on.  Raises `ObjectInUse`."""
    if image.deleted_at is None:
        ensure_unused(work, image)
        ensure_no_kickstart(work, image)
        image.deleted_at = work.now()
        announce(work.db, "image", image.id, image.pool_id)


def offer_again(work: Work, image: Image) -> None:
    """Undo `withdraw`: not everything of it could be removed."""
    image.deleted_at = None
    announce(work.db, "image", image.id, image.pool_id)


def forget_file(work: Work, image: Image) -> None:
    if library.owns(work.settings, image.source):
        library.remove(work.settings, image.source)
    image.source = ""


def delete_copy(work: Work, image: Image, store: StoragePool) -> Operation:
    """Queue the end of one copy; disks that were made from it stay."""
    copy = copy_in(work, image, store)
    if copy is None or copy.key is None:
        raise Conflict(f"There is no copy of {image.name} in {store.name} that could be removed.")
    if store.driver in SHARING or image.kind == ImageKind.ISO:
        ensure_unused(work, image)
    return operations.submit(
        work,
        operations.Request(
            type="image.copy_delete",
            pool=store.pool,
            name=image.name,
            image=image,
            host=storage.way_to(store),
            params={"storage_pool_id": store.id, "volume_id": copy.id},
        ),
    )


def copy_in(work: Work, image: Image, store: StoragePool) -> Volume | None:
    return work.db.scalar(
        select(Volume).where(Volume.image_id == image.id, Volume.storage_pool_id == store.id)
    )


def forget_copy(work: Work, volume_id: int) -> None:
    volume = work.db.get(Volume, volume_id)
    if volume is None:
        return
    announce(work.db, "storage_pool", volume.storage_pool_id, volume.storage_pool.pool_id)
    if volume.image_id is not None:
        announce(work.db, "image", volume.image_id, volume.storage_pool.pool_id)
    if volume.found:
        volume.image_id = None  # it was there before us, and stays
    else:
        work.db.delete(volume)
