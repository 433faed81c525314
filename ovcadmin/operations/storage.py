"""Storage pools: logged in to, looked at again, logged out of; and volumes that are nobody's."""

from __future__ import annotations

from ovcadmin.domain.images import ImageKind
from ovcadmin.drivers.storage.base import Enrolled, Reads, StorageDriver, whole_blocks
from ovcadmin.engine.run import Run
from ovcadmin.engine.types import OperationType, Step
from ovcadmin.errors import NameTaken, StorageFailed
from ovcadmin.models import Host, Operation, StoragePool, Volume
from ovcadmin.models.database import announce
from ovcadmin.operations import guests
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import storage, storage_changes, volume_changes
from ovcadmin.work import Work


def connect(run: Run) -> None:
    found = _store(run)
    if isinstance(found, Enrolled):
        found.connect()


def disconnect(run: Run) -> None:
    found = _store(run)
    if isinstance(found, Enrolled):
        found.disconnect()


def look(run: Run) -> None:
    """Ask how full it is and what is in it."""
    found = _store(run)
    if isinstance(found, Enrolled):
        found.refresh()
    facts, seen = found.facts(), found.volumes()
    with run.writing() as (work, _):
        storage.observed(work, run.params["storage_pool_id"], facts)
        storage_changes.found(work, run.params["storage_pool_id"], seen)
    run.log(f"{len(seen)} volumes are there.")


def ensure_empty(run: Run) -> None:
    with run.writing() as (work, _):
        storage_changes.ensure_empty(work, storage.get(work, run.params["storage_pool_id"]))


def told(work: Work, operation: Operation) -> None:
    announce(work.db, "storage_pool", operation.params["storage_pool_id"], operation.pool_id)


def forgotten(work: Work, operation: Operation) -> None:
    storage_changes.forget(work, operation.params["storage_pool_id"])


def _store(run: Run) -> StorageDriver:
    with run.database.reading() as session:
        store = session.get_one(StoragePool, run.params["storage_pool_id"])
        host_id = storage.way_to(store).id
    return run.outside.storage(store.id, host_id)


# volumes

BEGUN = "begun"
"""Note of the step: what has the volume's name from now on is its own work."""


def make(run: Run) -> None:
    """Make it; its name is of somebody's choice, and what has that name already stays as it is."""
    driver, volume, hostname = _volume(run)
    if not run.get(BEGUN):
        if driver.volume(volume.name) is not None:
            raise NameTaken(
                f"There is a volume {volume.name} already that was not made here. Choose another "
                "name; refresh the storage pool to see it.",
                volume=volume.name,
            )
        run.set(BEGUN, "yes")
    made = driver.create(volume.name, whole_blocks(volume.size), host=hostname, memo=run)
    with run.writing() as (work, _):
        work.db.get_one(Volume, volume.id).key = made.key
    run.log(f"Made volume {made.name}, {made.size} bytes.")


def unmake(run: Run) -> None:
    if not run.get(BEGUN):
        return
    driver, volume, _ = _volume(run)
    driver.delete(volume.key or volume.name, memo=run)
    with run.writing() as (work, _):
        work.db.get_one(Volume, volume.id).key = None


def grow(run: Run) -> None:
    driver, volume, _ = _volume(run)
    driver.grow(volume.key or volume.name, run.params["size"])
    with run.writing() as (work, _):
        work.db.get_one(Volume, volume.id).size = run.params["size"]


def delete(run: Run) -> None:
    with run.database.reading() as session:
        if session.get(Volume, run.params["volume_id"]) is None:
            return
    driver, volume, _ = _volume(run)
    with guests.in_words(run, volume.storage_pool_id):
        driver.delete(volume.key or volume.name)
    with run.writing() as (work, _):
        volume_changes.gone(work, volume.id)


def adopt(run: Run) -> None:
    """Look at an ISO where it lies, and write the image down."""
    driver, volume, _ = _volume(run)
    if volume.image_id is not None:
        return
    if not isinstance(driver, Reads):
        raise StorageFailed("What lies in this kind of storage cannot be read.")
    found = driver.digest(volume.key or volume.name, ImageKind.ISO, run.progress)
    with run.writing() as (work, operation):
        operation.image_id = volume_changes.registered(
            work, volume.id, run.params["name"], size=found.size, checksum=found.checksum
        ).id
    run.log(f"SHA-256 {found.checksum}, {found.size} bytes.")


def _volume(run: Run) -> tuple[StorageDriver, Volume, str]:
    with run.database.reading() as session:
        volume = session.get_one(Volume, run.params["volume_id"])
        host_id = storage.way_to(volume.storage_pool).id
        hostname = session.get_one(Host, host_id).hostname
    return run.outside.storage(volume.storage_pool_id, host_id), volume, hostname


LOOK = Step(name="look", text="Look what is there", run=look)
TYPES = (
    OperationType(
        name="storage.connect",
        text="Add storage pool {name}",
        privilege=Privilege.MODIFY,
        steps=(Step(name="connect", text="Log in", run=connect, undo=disconnect), LOOK),
        succeed=told,
        fail=forgotten,
    ),
    OperationType(
        name="storage.refresh",
        text="Refresh storage pool {name}",
        privilege=Privilege.MODIFY,
        steps=(LOOK,),
        succeed=told,
        fail=told,
    ),
    OperationType(
        name="storage.remove",
        text="Remove storage pool {name}",
        privilege=Privilege.MODIFY,
        steps=(
            Step(name="check", text="See that nothing uses it", run=ensure_empty),
            Step(name="disconnect", text="Log out", run=disconnect),
        ),
        succeed=forgotten,
        fail=told,
    ),
    OperationType(
        name="volume.create",
        text="Make volume {name}",
        privilege=Privilege.MODIFY,
        steps=(Step(name="make", text="Make the volume", run=make, undo=unmake),),
        succeed=volume_changes.settled,
        fail=volume_changes.void,
    ),
    OperationType(
        name="volume.grow",
        text="Grow volume {name}",
        privilege=Privilege.MODIFY,
        steps=(Step(name="grow", text="Grow the volume", run=grow),),
        succeed=volume_changes.settled,
        fail=volume_changes.void,
    ),
    OperationType(
        name="image.adopt",
        text="Register {name} as an ISO",
        privilege=Privilege.MODIFY,
        steps=(Step(name="check", text="Check and register it", run=adopt),),
        succeed=volume_changes.settled,
        fail=volume_changes.void,
    ),
    OperationType(
        name="volume.delete",
        text="Delete volume {name}",
        privilege=Privilege.MODIFY,
        steps=(Step(name="delete", text="Delete the volume", run=delete),),
        succeed=volume_changes.settled,
        fail=volume_changes.void,
    ),
)
