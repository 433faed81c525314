"""Conversion of machine templates (qcow2 files) to base images on a vPool.

Only files of one directory are taken: whoever may convert must not read the console's machine.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from ovcadmin.config import Settings
from ovcadmin.domain import names
from ovcadmin.errors import InvalidInput, NameTaken
from ovcadmin.models import Image, Operation, StoragePool, Volume
from ovcadmin.services import images, operations, storage, vpools
from ovcadmin.work import Work

TYPE = "image.convert"
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. +@-]{0,199}")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """`file` is a name in the conversion directory."""

    file: str
    name: str
    os_type: str = "linux"
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class Converted:
    """What a conversion found and made."""

    key: str
    volume: str
    size: int
    checksum: str
    converted_from: str


def directory(settings: Settings) -> Path:
    return settings.conversion_dir or settings.data_dir / "templates"


def submit(work: Work, store: StoragePool, wanted: Wanted) -> Operation:
    """Queue a conversion.  Asked for again, it finds that it is done and changes nothing."""
    fields = {}
    if not _FILE.fullmatch(wanted.file):
        fields["file"] = f"Name a file in {directory(work.settings)}, without a path."
    try:
        name = names.clean(wanted.name)
    except ValueError as error:
        fields["name"] = str(error)
    if store.driver != vpools.DRIVER:
        fields["file"] = (
            f"{store.name} is no vPool. Convert the file to raw with qemu-img and add it as an "
            "image instead."
        )
    if fields:
        raise InvalidInput("Nothing was converted.", fields=fields)
    return operations.submit(
        work,
        operations.Request(
            type=TYPE,
            pool=store.pool,
            name=name,
            host=storage.way_to(store),
            params={
                "storage_pool_id": store.id,
                "file": wanted.file,
                "name": name,
                "os_type": wanted.os_type,
                "description": wanted.description,
            },
        ),
    )


def known(work: Work, store_id: int, name: str, checksum: str) -> bool:
    """Whether this file is that image on that vPool already.

    Raises `NameTaken` when the name stands for something else.
    """
    image = _named(work, name)
    if image is None:
        return False
    if image.converted_from != checksum:
        raise NameTaken(f"There is another image {name} already.", field="name")
    held = select(Volume.id).where(
        Volume.image_id == image.id, Volume.storage_pool_id == store_id, Volume.key.is_not(None)
    )
    return work.db.scalar(held) is not None


def register(work: Work, operation: Operation, made: Converted) -> Image:
    """Write the image and its volume down: from now on machines are made from it."""
    params = operation.params
    store = storage.get(work, params["storage_pool_id"])
    image = _named(work, params["name"])
    if image is None:
        path = directory(work.settings) / params["file"]
        raw = images.Raw(path=str(path), size=made.size, checksum=made.checksum)
        image = images.register(
            work, store.pool, name=params["name"], raw=raw,
            description=params["description"], os_type=params["os_type"],
        )  # fmt: skip
        image.converted_from = made.converted_from
    work.db.add(
        Volume(
            storage_pool_id=store.id,
            name=made.volume,
            key=made.key,
            size=made.size,
            image_id=image.id,
            created_at=work.now(),
        )
    )
    work.db.flush()
    operation.image_id = image.id
    return image


def _named(work: Work, name: str) -> Image | None:
    return work.db.scalar(
        select(Image).where(Image.name_key == names.key(name), Image.deleted_at.is_(None))
    )
