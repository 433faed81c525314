"""The seed of a machine: a small ISO that tells cloud-init, or an installer, what to do.

It lies beside the machine's first disk under a name that follows from the machine, belongs to
nothing else, and is made anew rather than carried about.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ovcadmin.domain.images import ImageKind
from ovcadmin.drivers.hypervisor.base import CdromSpec
from ovcadmin.drivers.storage.base import StorageDriver
from ovcadmin.engine.run import Run
from ovcadmin.models import Image, Machine
from ovcadmin.services import cloud_init, kickstarts
from ovcadmin.work import Work

DRIVE = "hdd"
"""The last of the four IDE drives: those of people come first."""


@dataclass(frozen=True, kw_only=True)
class Seed:
    storage_pool_id: int
    name: str


def of(run: Run) -> Seed | None:
    """Return where the machine's seed lies; None when nothing is told."""
    with run.database.reading() as session:
        machine = session.get_one(Machine, run.machine_id)
        lasting = [volume for volume in machine.volumes if not volume.swap]
        if not lasting or not (machine.cloud_init or _kickstart(machine)):
            return None
        return Seed(storage_pool_id=lasting[0].storage_pool_id, name=f"seed-{machine.uuid}")


def drives(run: Run, host_id: int) -> tuple[CdromSpec, ...]:
    """Return the drive with the seed in it, or none."""
    seed = of(run)
    if seed is None:
        return ()
    driver = run.outside.storage(seed.storage_pool_id, host_id)
    if driver.volume(seed.name) is None:
        return ()
    where = driver.disk(seed.name, target=DRIVE, boot_order=None)
    return (CdromSpec(target=DRIVE, source=where.source),)


def make(run: Run, driver: StorageDriver, seed: Seed) -> None:
    """Write the seed, over one that is there: half of one is no use to anybody."""
    with run.writing() as (work, _):
        machine = work.db.get_one(Machine, run.machine_id)
        raw = _content(work, machine)
    with tempfile.TemporaryDirectory(dir=run.settings.data_dir) as folder:
        path = Path(folder) / "seed.iso"
        path.write_bytes(raw)
        driver.delete(seed.name)
        driver.import_raw(
            str(path), seed.name, checksum=hashlib.sha256(raw).hexdigest(),
            progress=run.progress, kind=ImageKind.ISO,
        )  # fmt: skip
    run.log("Wrote the seed for its first boot.")


def _kickstart(machine: Machine) -> Image | None:
    """Return the kickstart that the machine is installed by, if there is one."""
    image = machine.image
    return image if image is not None and image.kind == ImageKind.KICKSTART else None


def _content(work: Work, machine: Machine) -> bytes:
    if (image := _kickstart(machine)) is not None:
        return kickstarts.disc(work, image)
    assert machine.cloud_init is not None
    return cloud_init.seed(work, machine.cloud_init, uuid=machine.uuid, name=machine.name)


def make_at(run: Run, host_id: int) -> None:
    """Write the seed where the machine lives, if it has one."""
    if (seed := of(run)) is not None:
        make(run, run.outside.storage(seed.storage_pool_id, host_id), seed)


def delete_at(run: Run, host_id: int) -> None:
    if (seed := of(run)) is not None:
        run.outside.storage(seed.storage_pool_id, host_id).delete(seed.name)
