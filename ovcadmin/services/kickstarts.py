"""Kickstarts: an installation ISO with the answers that its installer is given.

The installer of Fedora and its relatives (Anaconda) looks at its start for a disk called OEMDRV
and takes its answers from the file `ks.cfg` there.  So a machine gets a small disc of that name
beside the ISO; no kernel argument is needed, and an installed disk, which is tried first, ends it.

The answers may hold passwords: they are sealed, and shown only to who may change them.
"""

from __future__ import annotations

import hashlib

from ovcadmin.domain.images import ImageKind
from ovcadmin.errors import InvalidInput, NotFound
from ovcadmin.models import Image, Pool
from ovcadmin.models.database import announce
from ovcadmin.services import audit, cloud_init, images, seals, uploads
from ovcadmin.services.uploads import Draft
from ovcadmin.work import Work

LABEL = "OEMDRV"
"""The name by which the installer knows the disc."""
FILE = "ks.cfg"
LONGEST = 64 * 1024
"""Characters."""
_REFUSED = "The kickstart cannot be used."


def add(work: Work, pool: Pool, draft: Draft, *, iso_id: int, answers: str) -> Image:
    """Write a kickstart down.  Raises `InvalidInput` or `NameTaken`."""
    draft = uploads.checked(work, draft)
    iso = _iso(work, pool, iso_id)
    answers = _clean(answers)
    raw = images.Raw(path="", size=0, checksum=_digest(answers))
    made = images.register(
        work, pool, name=draft.name, raw=raw, description=draft.description,
        os_type=draft.os_type, kind=ImageKind.KICKSTART,
    )  # fmt: skip
    made.installer_id, made.answers = iso.id, seals.seal(work, answers)
    work.db.flush()
    return made


def answers(work: Work, image: Image) -> str:
    """Return what the installer is told.  Raises `NotFound` for other kinds of images."""
    _ensure_kickstart(image)
    return seals.unseal(work, image.answers)


def change(work: Work, image: Image, *, iso_id: int, answers: str) -> None:
    """Give it another ISO or other answers; machines take them at their next start."""
    _ensure_kickstart(image)
    answers = _clean(answers)
    before = {"iso": image.installer_id, "checksum": image.checksum}
    image.installer_id = _iso(work, image.pool, iso_id).id
    image.answers, image.checksum = seals.seal(work, answers), _digest(answers)
    work.db.flush()
    work.db.expire(image, ["installer"])
    announce(work.db, "image", image.id, image.pool_id)
    audit.record(
        work, "image.kickstart", "image", image.id, image.name, pool_id=image.pool_id,
        before=before, after={"iso": image.installer_id, "checksum": image.checksum},
    )  # fmt: skip


def installer(work: Work, pool: Pool, image: Image) -> Image | None:
    """Return the ISO that a new machine of the pool is installed from, None for other images.

    Raises `InvalidInput` when the ISO of a kickstart does not serve the pool.
    """
    if image.kind == ImageKind.ISO:
        return image
    if image.kind != ImageKind.KICKSTART:
        return None
    assert image.installer is not None
    if image.installer not in images.offered(work, pool, ImageKind.ISO):
        raise InvalidInput(
            "This image cannot be used here.",
            fields={"image": f"Its ISO, {image.installer.name}, does not serve {pool.name}."},
        )
    return image.installer


def ensure_alone(image: Image, told: object) -> None:
    """Raise `InvalidInput` where cloud-init is told something too: one disc has room for one."""
    if image.kind == ImageKind.KICKSTART and told:
        why = f"{image.name} tells the installer all; leave the first boot empty."
        raise InvalidInput("The machine cannot be made.", fields={"image": why})


def disc(work: Work, image: Image) -> bytes:
    """Build the disc with the answers.  Raises `SettingInvalid` with the wrong key."""
    return cloud_init.disc({FILE: answers(work, image)}, LABEL)


def _iso(work: Work, pool: Pool, iso_id: int) -> Image:
    for image in images.offered(work, pool, ImageKind.ISO):
        if image.id == iso_id:
            return image
    raise InvalidInput(_REFUSED, fields={"iso": f"Choose one of the ISOs that serve {pool.name}."})


def _clean(answers: str) -> str:
    """Return the text with the ends of lines that installers read, or raise `InvalidInput`."""
    text = "\n".join(answers.splitlines()).strip("\n")
    wrong = ""
    if not text.strip():
        wrong = "Write what the installer is told, such as: lang en_US.UTF-8"
    elif len(text) > LONGEST:
        wrong = f"Use at most {LONGEST} characters."
    elif "\0" in text:
        wrong = "This is no text."
    if wrong:
        raise InvalidInput(_REFUSED, fields={"answers": wrong})
    return f"{text}\n"


def _digest(answers: str) -> str:
    return hashlib.sha256(answers.encode()).hexdigest()


def _ensure_kickstart(image: Image) -> None:
    if image.kind != ImageKind.KICKSTART:
        raise NotFound(f"{image.name} is no kickstart.", image_id=image.id)
