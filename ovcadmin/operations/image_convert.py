"""Convert a machine template (qcow2) to a base image on a vPool.

Judged, written, compared, set as template, written down: in this order, so that whatever the
moment of a crash, the next attempt goes on, and an image that people see is whole.
"""

from __future__ import annotations

from ovcadmin.drivers.storage.base import Converts, StorageDriver
from ovcadmin.engine.run import Run
from ovcadmin.engine.types import Cancel, OperationType, Step
from ovcadmin.errors import StorageFailed
from ovcadmin.models import Operation
from ovcadmin.models.database import announce
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import conversions, storage
from ovcadmin.work import Work

DONE = "done"
"""Parameter of the operation: nothing is left to do."""


def judge(run: Run) -> None:
    """Look at the file, and whether it was converted before."""
    found = _driver(run).judge(_path(run))
    with run.writing() as (work, operation):
        done = conversions.known(
            work, run.params["storage_pool_id"], run.params["name"], found.checksum
        )
        _note(run, operation, from_checksum=found.checksum, size=found.size)
        if done:
            _note(run, operation, **{DONE: True})
    if done:
        run.log("This file was converted to this image before: nothing to do.")
    else:
        run.log(f"A disk of {found.size} bytes, checksum of the file {found.checksum}.")


def convert(run: Run) -> None:
    if run.params.get(DONE):
        return
    made = _driver(run).convert(_path(run), _volume(run), memo=run, progress=run.progress)
    with run.writing() as (_, operation):
        _note(run, operation, key=made.key, volume_size=made.size)
    run.log(f"Written to volume {made.name}, {made.size} bytes.")


def remove(run: Run) -> None:
    """Take the volume back, unless the image is written down: then it is in use."""
    if not run.params.get(DONE) and "from_checksum" in run.params:
        _storage(run).delete(_volume(run), memo=run)


def compare(run: Run) -> None:
    if run.params.get(DONE):
        return
    checksum = _driver(run).compare(_path(run), run.params["key"], run.progress)
    with run.writing() as (_, operation):
        _note(run, operation, checksum=checksum)
    run.log(f"The volume holds what the file holds; its checksum is {checksum}.")


def seal(run: Run) -> None:
    """Set the volume as template and write the image down."""
    if run.params.get(DONE):
        return
    _driver(run).seal(run.params["key"])
    with run.writing() as (work, operation):
        conversions.register(
            work,
            operation,
            conversions.Converted(
                key=run.params["key"],
                volume=_volume(run),
                size=run.params["volume_size"],
                checksum=run.params["checksum"],
                converted_from=run.params["from_checksum"],
            ),
        )
        _note(run, operation, **{DONE: True})


def ended(work: Work, operation: Operation) -> None:
    """Tell the pages: an image has come, or none has."""
    announce(work.db, "image", operation.image_id or 0, operation.pool_id)


def _note(run: Run, operation: Operation, **values: object) -> None:
    """Keep what later steps need, here and in the operation's row."""
    run.params.update(values)
    operation.params = dict(run.params)


def _path(run: Run) -> str:
    return str(conversions.directory(run.settings) / run.params["file"])


def _volume(run: Run) -> str:
    """Name the volume by its content: what is made twice is one."""
    return f"image-{run.params['from_checksum'][:24]}"


def _storage(run: Run) -> StorageDriver:
    store_id = run.params["storage_pool_id"]
    with run.writing() as (work, _):
        host_id = storage.way_to(storage.get(work, store_id)).id
    return run.outside.storage(store_id, host_id)


def _driver(run: Run) -> Converts:
    found = _storage(run)
    if not isinstance(found, Converts):
        raise StorageFailed("Nothing can be converted to this kind of storage.")
    return found


TYPES = (
    OperationType(
        name=conversions.TYPE,
        text="Convert to image {name}",
        privilege=Privilege.MODIFY,
        cancel=Cancel.STEPS,
        steps=(
            Step(name="judge", text="Check the file", run=judge),
            Step(name="convert", text="Write the volume", run=convert, undo=remove),
            Step(name="compare", text="Compare volume and file", run=compare),
            Step(name="seal", text="Set the volume as template", run=seal),
        ),
        succeed=ended,
        fail=ended,
    ),
)
