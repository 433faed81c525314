"""Volumes that no machine has: made, grown and deleted by who runs the storage."""

from __future__ import annotations

from sqlalchemy import select

from ovcadmin.domain import names
from ovcadmin.domain.amounts import show_storage
from ovcadmin.domain.images import ImageKind
from ovcadmin.domain.resources import LARGEST, Resources
from ovcadmin.domain.storage_kinds import KINDS
from ovcadmin.drivers.storage.base import whole_sectors
from ovcadmin.errors import Conflict, InvalidInput, NameTaken, NotFound, ObjectInUse, StorageFull
from ovcadmin.models import Image, Operation, Pool, Reservation, StoragePool, Volume
from ovcadmin.services import images, operations, quotas, reservations, storage, uploads, volumes
from ovcadmin.services.reservations import Claim
from ovcadmin.work import Work


def get(work: Work, store: StoragePool, volume_id: int) -> Volume:
    """Return a volume of this very storage pool."""
    volume = work.db.get(Volume, volume_id)
    if volume is None or volume.storage_pool_id != store.id:
        raise NotFound("There is nothing here, or nothing that you may see.")
    return volume


def create(work: Work, store: StoragePool, pool: Pool, *, name: str, size: int) -> Operation:
    """Queue a new volume that a machine of `pool` may take.

    Raises `QuotaExceeded`: what no machine has counts in its pool.
    """
    if not KINDS[store.driver].creates:
        raise Conflict(f"No volume can be made in {store.name}.")
    try:
        cleaned = names.clean(name)
    except ValueError as error:
        raise InvalidInput("The volume cannot be made.", fields={"name": str(error)}) from None
    if "/" in cleaned or cleaned.startswith("."):
        raise InvalidInput(
            "The volume cannot be made.", fields={"name": "It may hold no / and begin with no dot."}
        )
    _ensure_size(size)
    if size > store.available:
        raise StorageFull(f"{store.name} has {show_storage(store.available)} free.")
    taken = select(Volume.id).where(Volume.storage_pool_id == store.id, Volume.name == cleaned)
    if work.db.scalar(taken) is not None:
        raise NameTaken(f"There is already a volume {cleaned} in {store.name}.", field="name")
    volume = Volume(
        storage_pool_id=store.id,
        name=cleaned,
        size=whole_sectors(size),
        pool_id=pool.id,
        offered=True,
        created_at=work.now(),
    )
    work.db.add(volume)
    work.db.flush()
    operation = _ask(work, volume, "volume.create")
    _reserve(work, pool, volume, volume.size, operation)
    return operation


def grow(work: Work, volume: Volume, size: int) -> Operation:
    """Queue the growth of a volume that no machine has; quota as for a new one."""
    _ensure_free(volume)
    _ensure_size(size)
    if volume.found or not KINDS[volume.storage_pool.driver].holds_images:
        raise Conflict(f"{volume.name} was not made here, or its storage cannot grow it.")
    wanted = whole_sectors(size)
    if wanted <= volume.size:
        raise InvalidInput(
            "Nothing was changed.", fields={"size": f"It has {show_storage(volume.size)} already."}
        )
    if wanted - volume.size > volume.storage_pool.available:
        raise StorageFull(f"{volume.storage_pool.name} has not that much free.")
    operation = _ask(work, volume, "volume.grow", size=wanted)
    if volume.pool is not None:
        _reserve(work, volume.pool, volume, wanted - volume.size, operation)
    return operation


def delete(work: Work, volume: Volume) -> Operation:
    """Queue the end of a volume that nothing uses.  Raises `ObjectInUse`."""
    _ensure_free(volume)
    if volume.found:
        raise Conflict(
            f"{volume.name} was there before the console; it is deleted on the storage's own side."
        )
    return _ask(work, volume, "volume.delete")


def register(work: Work, volume: Volume, name: str) -> Operation:
    """Queue the check of an ISO that was found; then it is an image that lies where it lies.

    Raises `Conflict`, `InvalidInput` or `NameTaken`.
    """
    _ensure_free(volume)
    if not (volume.found and KINDS[volume.storage_pool.driver].holds_images):
        raise Conflict(f"{volume.name} was not found as a file in its storage.")
    draft = uploads.checked(work, uploads.Draft(name=name, kind=ImageKind.ISO))
    return _ask(work, volume, "image.adopt", name=draft.name)


def registered(work: Work, volume_id: int, name: str, *, size: int, checksum: str) -> Image:
    """Write down the image that was found; its one copy is never deleted from here."""
    volume = work.db.get_one(Volume, volume_id)
    image = images.register(
        work, volume.storage_pool.pool, name=name, kind=ImageKind.ISO,
        raw=images.Raw(path="", size=size, checksum=checksum),
        description=f"Found in {volume.storage_pool.name} as {volume.name}.",
    )  # fmt: skip
    volume.image_id, volume.offered = image.id, False
    return image


def _ensure_free(volume: Volume) -> None:
    user = volume.machine or volume.image
    if user is not None:
        raise ObjectInUse(f"{volume.name} is in use by {user.name}.", volume_id=volume.id)
    if volume.operation_id is not None:
        raise Conflict(f"Another operation works on {volume.name}; wait for its end.")


def _ensure_size(size: int) -> None:
    if not 0 < size <= LARGEST:
        raise InvalidInput(
            "The volume cannot have this size.", fields={"size": "Write a size above zero."}
        )


def _ask(work: Work, volume: Volume, kind: str, **params: int | str) -> Operation:
    store = storage.get(work, volume.storage_pool_id)
    operation = operations.submit(
        work,
        operations.Request(
            type=kind,
            pool=store.pool,
            name=volume.name,
            host=storage.way_to(store),
            params={"volume_id": volume.id, **params},
        ),
    )
    operation.lock = f"volume:{volume.id}"
    volumes.busy(work, volume, operation)
    return operation


def _reserve(work: Work, pool: Pool, volume: Volume, size: int, operation: Operation) -> None:
    claim = Claim(
        pool_id=pool.id,
        volume_id=volume.id,
        operation_id=operation.id,
        kind="storage",
        amounts=Resources(storage=size),
    )
    quotas.reserve_claim(work, pool, claim, volume.name)


def settled(work: Work, operation: Operation) -> None:
    """The operation succeeded: what was promised is held, the volume is nobody's work any more."""
    quotas.hold(work, operation)
    volume = work.db.get(Volume, operation.params["volume_id"])
    if volume is not None:
        volumes.busy(work, volume, None)


def void(work: Work, operation: Operation) -> None:
    """It failed: the promise is void; a volume that was never made is forgotten."""
    quotas.release(work, operation)
    volume = work.db.get(Volume, operation.params["volume_id"])
    if volume is None:
        return
    volumes.busy(work, volume, None)
    if volume.key is None:
        work.db.delete(volume)


def gone(work: Work, volume_id: int) -> None:
    """Drop the row of a deleted volume, with what it held."""
    volume = work.db.get(Volume, volume_id)
    if volume is None:
        return
    reservations.drop(work, Reservation.volume_id == volume.id)
    work.db.delete(volume)
