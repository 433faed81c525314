"""Images: what a new disk starts from, and its copies in the storage pools."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from sqlalchemy import bindparam, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload, selectinload

from ovcadmin.domain import image_sources, names
from ovcadmin.domain.images import FILES, ImageKind
from ovcadmin.domain.storage_kinds import KINDS
from ovcadmin.errors import Conflict, DownloadRefused, InvalidInput, NameTaken, NotFound
from ovcadmin.models import Image, Lineage, Operation, Pool, StoragePool, Volume
from ovcadmin.models.database import announce
from ovcadmin.security.visibility import visible
from ovcadmin.services import audit, library, operations, storage, uploads, volumes
from ovcadmin.services.uploads import Draft
from ovcadmin.work import Work

NETWORK_SCHEMES = ("tftp", "http", "https")
_OFFERED = (
    select(Image)
    .where(
        Image.pool_id.in_(select(Lineage.ancestor_id).where(Lineage.pool_id == bindparam("of"))),
        Image.kind == bindparam("kind"),
        Image.deleted_at.is_(None),
    )
    .order_by(Image.name_key)
)


@dataclass(frozen=True, kw_only=True)
class Raw:
    """A raw file on this machine.  `size` in bytes, `checksum` its SHA-256."""

    path: str
    size: int
    checksum: str


def get(work: Work, image_id: int) -> Image:
    image = work.db.get(Image, image_id)
    if image is None or image.deleted_at is not None:
        raise NotFound("There is no such image.", image_id=image_id)
    return image


def listing(work: Work) -> list[Image]:
    """Return every image that the actor may use somewhere, by name."""
    statement = (
        select(Image)
        .options(
            joinedload(Image.pool),
            joinedload(Image.installer),
            selectinload(Image.volumes).joinedload(Volume.storage_pool),
        )
        .where(Image.deleted_at.is_(None))
        .order_by(Image.name_key)
    )
    if work.actor.user_id is not None:
        # An image serves the subtree of its pool: whoever sees a pool below may use it there.
        served = (
            select(Lineage.ancestor_id)
            .where(visible(work.actor.user_id, Lineage.pool_id))
            .distinct()
        )
        statement = statement.where(Image.pool_id.in_(served))
    return list(work.db.scalars(statement).unique())


def offered(work: Work, pool: Pool, kind: ImageKind = ImageKind.DISK) -> list[Image]:
    """Return the images of a kind that serve a pool: attached to it or above it."""
    return list(work.db.scalars(_OFFERED, {"of": pool.id, "kind": kind.value}).unique())


def choose(work: Work, pool: Pool, image_id: int, kind: ImageKind = ImageKind.DISK) -> Image:
    """Return an image for a machine of `pool`, or raise `InvalidInput` if it does not serve it."""
    for image in offered(work, pool, kind):
        if image.id == image_id:
            return image
    raise InvalidInput(
        "This image cannot be used here.", fields={"image": "Choose one of the images in the list."}
    )


def starts(work: Work, pool: Pool) -> list[Image]:
    """Return what a new machine of the pool may start from, base images first.

    From all other kinds it is installed on an empty disk.
    """
    return [image for kind in ImageKind for image in offered(work, pool, kind)]


def start(work: Work, pool: Pool, image_id: int) -> Image:
    """Return what a new machine starts from; raises `InvalidInput` when it does not serve here."""
    for image in starts(work, pool):
        if image.id == image_id:
            return image
    raise InvalidInput(
        "This image cannot be used here.", fields={"image": "Choose one of the images in the list."}
    )


def register(
    work: Work,
    pool: Pool,
    *,
    name: str,
    raw: Raw,
    description: str = "",
    os_type: str = "linux",
    kind: ImageKind = ImageKind.DISK,
) -> Image:
    """Write an image down; `spread` then copies it into storage pools."""
    try:
        cleaned = names.clean(name)
    except ValueError as error:
        raise InvalidInput("The image needs a name.", fields={"name": str(error)}) from None
    image = Image(
        kind=kind.value,
        name=cleaned,
        name_key=names.key(cleaned),
        description=description,
        os_type=os_type,
        size=raw.size,
        checksum=raw.checksum,
        source=raw.path,
        pool_id=pool.id,
        created_at=work.now(),
    )
    work.db.add(image)
    try:
        work.db.flush()
    except IntegrityError:
        raise NameTaken(f"There is already an image {cleaned}.", field="name") from None
    announce(work.db, "image", image.id, pool.id)
    audit.record(
        work, "image.register", "image", image.id, image.name, pool_id=pool.id,
        after={"kind": image.kind, "checksum": raw.checksum, "size": raw.size},
    )  # fmt: skip
    return image


def register_network(work: Work, pool: Pool, draft: Draft, address: str) -> Image:
    """Write down an address that machines boot from by network."""
    draft = uploads.checked(work, draft)
    parts = urlsplit(address.strip())
    if parts.scheme not in NETWORK_SCHEMES or not parts.hostname or not parts.path.strip("/"):
        raise InvalidInput(
            "The network boot entry cannot be added.",
            fields={"address": "Write it as tftp://, http:// or https://, server and file."},
        )
    raw = Raw(path=parts.geturl(), size=0, checksum="")
    return register(
        work, pool, name=draft.name, raw=raw, description=draft.description,
        os_type=draft.os_type, kind=ImageKind.NETWORK,
    )  # fmt: skip


def fetch(work: Work, pool: Pool, draft: Draft, url: str) -> Operation:
    """Queue the download of an image from an address that is allowed, or `DownloadRefused`."""
    draft = uploads.checked(work, draft)
    uploads.ensure_file(draft)
    if image_sources.allowing(work.settings.image_sources, url) is None:
        raise DownloadRefused(
            "Images may not be fetched from there: it is below none of the addresses of the "
            "setting ovc.image_sources.",
            field="url",
            url=url[:200],
        )
    params = {
        "url": url.strip(),
        "file": library.new_name(draft.kind),
        "name": draft.name,
        "kind": draft.kind.value,
        "os_type": draft.os_type,
        "description": draft.description,
        "checksum": draft.checksum,
    }
    return operations.submit(
        work, operations.Request(type="image.fetch", pool=pool, name=draft.name, params=params)
    )


def edit(work: Work, image: Image, *, name: str, description: str, pool: Pool) -> None:
    """Change what an image is called, and whom it serves: a pool and all below."""
    try:
        cleaned = names.clean(name)
    except ValueError as error:
        raise InvalidInput("The image needs a name.", fields={"name": str(error)}) from None
    if names.key(cleaned) != image.name_key:
        uploads.ensure_name_free(work, cleaned)
    before = {"name": image.name, "description": image.description, "pool_id": image.pool_id}
    image.name, image.name_key = cleaned, names.key(cleaned)
    image.description = description.strip()[:2000]
    announce(work.db, "image", image.id, image.pool_id)
    image.pool_id = pool.id
    work.db.flush()
    work.db.expire(image, ["pool"])
    announce(work.db, "image", image.id, pool.id)
    audit.record(
        work, "image.edit", "image", image.id, image.name, pool_id=pool.id, before=before,
        after={"name": cleaned, "description": image.description, "pool_id": pool.id},
    )  # fmt: skip


def places(work: Work, image: Image) -> list[tuple[StoragePool, Volume | None]]:
    """Return the storage pools that the actor may see and that can hold it, with its copies."""
    copies = {copy.storage_pool_id: copy for copy in image.volumes}
    seen = [
        store for store in storage.listing(work)
        if store.id in copies or (image.source and KINDS[store.driver].holds_images)
    ]  # fmt: skip
    return [(store, copies.get(store.id)) for store in seen]


def spread_to_serving(work: Work, image: Image) -> None:
    """Queue copies into the storage pools that serve the image's pool."""
    for store in volumes.serving(work, image.pool):
        if KINDS[store.driver].holds_images:
            spread(work, image, store)


def spread(work: Work, image: Image, store: StoragePool) -> Operation | None:
    """Queue the copy of an image into a storage pool; None when it is there or on its way.

    Raises `Conflict` where the storage pool can hold none, or there is no file to copy from.
    """
    if not image.source or image.kind not in FILES:
        raise Conflict(f"{image.name} has no file in the library that could be copied.")
    if not KINDS[store.driver].holds_images:
        raise Conflict(f"No volume can be made in {store.name}, so {image.name} cannot go there.")
    held = work.db.scalar(
        select(Volume).where(Volume.image_id == image.id, Volume.storage_pool_id == store.id)
    )
    if held is not None or not image.source:
        # A template of a machine has no file that it could be copied from.
        return None
    volume = Volume(
        storage_pool_id=store.id,
        # With the content in its name: another console on the same host may have its own image 1.
        name=f"image-{image.id}-{image.checksum[:12]}",
        size=image.size,
        image_id=image.id,
        created_at=work.now(),
    )
    work.db.add(volume)
    work.db.flush()
    return operations.submit(
        work,
        operations.Request(
            type="image.copy",
            pool=store.pool,
            name=image.name,
            image=image,
            host=store.hosts[0] if store.hosts else None,
            params={"storage_pool_id": store.id, "volume_id": volume.id},
        ),
    )
