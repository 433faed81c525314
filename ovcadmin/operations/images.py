"""Images: into the library, into storage pools, and out again."""

from __future__ import annotations

from ovcadmin.domain.images import ImageKind
from ovcadmin.drivers.storage.base import StorageDriver
from ovcadmin.engine.run import Run
from ovcadmin.engine.types import Cancel, OperationType, Step
from ovcadmin.errors import ImageInvalid
from ovcadmin.models import Image, ImageUpload, Operation, Pool, Volume
from ovcadmin.models.database import announce
from ovcadmin.operations import guests
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import image_removal, images, library, storage
from ovcadmin.work import Work

# into the library


def download(run: Run) -> None:
    """Fetch the file; a second attempt begins again."""
    path = library.path(run.settings, run.params["file"])
    with path.open("wb") as file:
        size = run.outside.downloads().fetch(
            run.params["url"],
            file,
            largest=run.settings.largest_image,
            progress=run.progress,
        )
    run.log(f"Fetched {size} bytes.")


def check(run: Run) -> None:
    """Look at the format and the checksum of what arrived."""

    def moved(part: float) -> None:
        run.progress(part)
        run.pause(0)

    kind = ImageKind(run.params["kind"])
    size, checksum = library.digest(run.settings, run.params["file"], kind, moved)
    wanted = run.params["checksum"]
    if wanted and checksum != wanted:
        raise ImageInvalid(
            f"The file is not the one that was meant: its SHA-256 is {checksum}, not {wanted}.",
            checksum=checksum,
        )
    run.log(f"SHA-256 {checksum}, {size} bytes.")
    with run.writing() as (_, operation):
        operation.params = {**operation.params, "size": size, "found": checksum}


def register(run: Run) -> None:
    with run.writing() as (work, operation):
        if operation.image_id is not None:
            return
        given = operation.params
        raw = images.Raw(
            path=str(library.path(run.settings, given["file"])),
            size=given["size"],
            checksum=given["found"],
        )
        image = images.register(
            work,
            work.db.get_one(Pool, operation.pool_id),
            name=given["name"],
            raw=raw,
            description=given["description"],
            os_type=given["os_type"],
            kind=ImageKind(given["kind"]),
        )
        operation.image_id = image.id
        images.spread_to_serving(work, image)


def remove_file(run: Run) -> None:
    library.remove(run.settings, run.params["file"])


def arrived(work: Work, operation: Operation) -> None:
    upload = work.db.get(ImageUpload, operation.params.get("upload_id") or 0)
    if upload is not None:
        work.db.delete(upload)


# into a storage pool


def copy(run: Run) -> None:
    """Import the file; the driver checks that it is what it claims to be."""
    with run.database.reading() as session:
        volume = session.get_one(Volume, run.params["volume_id"])
        assert volume.image is not None
        source, checksum, name = volume.image.source, volume.image.checksum, volume.name
        kind = ImageKind(volume.image.kind)
    made = _driver(run).import_raw(
        source, name, checksum=checksum, progress=run.progress, kind=kind
    )
    with run.writing() as (work, _):
        work.db.get_one(Volume, run.params["volume_id"]).key = made.key
    run.log(f"Copied to volume {made.name}, {made.size} bytes.")


def remove_copy(run: Run) -> None:
    with run.database.reading() as session:
        volume = session.get(Volume, run.params["volume_id"])
        if volume is None or volume.found:
            return
        key, store_id = volume.key or volume.name, volume.storage_pool_id
    with guests.in_words(run, store_id):
        _driver(run).delete(key)


def forget_copy(run: Run) -> None:
    with run.writing() as (work, _):
        image_removal.forget_copy(work, run.params["volume_id"])


def ready(work: Work, operation: Operation) -> None:
    announce(work.db, "image", operation.image_id or 0, operation.pool_id)


def nothing(_work: Work, _operation: Operation) -> None:
    """The undo of the steps left nothing to be settled."""


def failed(work: Work, operation: Operation) -> None:
    """The copy does not exist: its row goes, so that it can be asked for again."""
    work.db.delete(work.db.get_one(Volume, operation.params["volume_id"]))
    announce(work.db, "image", operation.image_id or 0, operation.pool_id)


def _driver(run: Run) -> StorageDriver:
    with run.database.reading() as session:
        volume = session.get_one(Volume, run.params["volume_id"])
        host_id = storage.way_to(volume.storage_pool).id
        return run.outside.storage(volume.storage_pool_id, host_id)


# out


def withdraw(run: Run) -> None:
    with run.writing() as (work, _):
        image_removal.withdraw(work, work.db.get_one(Image, run.params["image_id"]))


def offer_again(run: Run) -> None:
    with run.writing() as (work, _):
        image_removal.offer_again(work, work.db.get_one(Image, run.params["image_id"]))


def remove_everything(run: Run) -> None:
    """Delete every copy, then the file; each copy is forgotten as soon as it is gone.

    Nothing goes while something that the console does not know was made from one of them.
    """
    with run.database.reading() as session:
        copies = [
            (copy.id, copy.key or copy.name, copy.found, copy.storage_pool_id,
             storage.way_to(copy.storage_pool).id)
            for copy in session.get_one(Image, run.params["image_id"]).volumes
        ]  # fmt: skip
    for _, key, found, store_id, host_id in copies:
        if not found:
            driver = run.outside.storage(store_id, host_id)
            guests.ensure_childless(run, driver, store_id, key)
    for volume_id, key, found, store_id, host_id in copies:
        if not found:
            with guests.in_words(run, store_id):
                run.outside.storage(store_id, host_id).delete(key)
        with run.writing() as (work, _):
            image_removal.forget_copy(work, volume_id)
    with run.writing() as (work, _):
        image_removal.forget_file(work, work.db.get_one(Image, run.params["image_id"]))


CHECK = Step(name="check", text="Check format and checksum", run=check, undo=remove_file)
REGISTER = Step(name="register", text="Register the image", run=register)
TYPES = (
    OperationType(
        name="image.upload",
        text="Check and register {name}",
        privilege=Privilege.MODIFY,
        cancel=Cancel.STEPS,
        steps=(CHECK, REGISTER),
        succeed=arrived,
        fail=arrived,
    ),
    OperationType(
        name="image.fetch",
        text="Fetch image {name}",
        privilege=Privilege.FETCH_IMAGES,
        cancel=Cancel.STEPS,
        steps=(
            Step(name="download", text="Download", run=download, undo=remove_file),
            CHECK,
            REGISTER,
        ),
        succeed=ready,
        fail=nothing,
    ),
    OperationType(
        name="image.copy",
        text="Copy image {name}",
        privilege=Privilege.MODIFY,
        steps=(Step(name="copy", text="Copy the image", run=copy, undo=remove_copy),),
        succeed=ready,
        fail=failed,
    ),
    OperationType(
        name="image.copy_delete",
        text="Remove a copy of {name}",
        privilege=Privilege.MODIFY,
        steps=(
            Step(name="delete", text="Delete the copy", run=remove_copy),
            Step(name="forget", text="Forget it", run=forget_copy),
        ),
        succeed=ready,
        fail=ready,
    ),
    OperationType(
        name="image.delete",
        text="Delete image {name}",
        privilege=Privilege.MODIFY,
        steps=(
            Step(name="withdraw", text="Withdraw it", run=withdraw, undo=offer_again),
            Step(name="delete", text="Delete its copies and its file", run=remove_everything),
        ),
        succeed=ready,
        fail=ready,
    ),
)
