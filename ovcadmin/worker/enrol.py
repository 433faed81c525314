"""The first start on a machine: enrols this machine itself, its storage, and the starter image.

Runs beside everything else until it is done, because libvirt may come up later than the worker.
Each part looks first whether it is there, so a restart, or a second worker, does nothing twice.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import gevent
import structlog

from ovcadmin.config import Settings
from ovcadmin.errors import DomainError, ImageInvalid
from ovcadmin.models import Host, Image, StoragePool
from ovcadmin.models.database import Database
from ovcadmin.services import hosts, images, pools, storage
from ovcadmin.work import SYSTEM, Work
from ovcadmin.worker import connect
from ovcadmin.worker.links import Links

logger = structlog.get_logger(__name__)

AGAIN_SECONDS = 5.0
CHUNK = 1 << 20
LIBVIRT_POOL = "openvcloud"
STARTER = "Starter Linux"
STARTER_TEXT = (
    "A tiny Linux that boots to a shell on the serial console in seconds and counts its boots on "
    "its own disk."
)


class Enrolment:
    def __init__(
        self, database: Database, settings: Settings, links: Links, turn: Callable[[], None]
    ) -> None:
        """`turn` has this worker take its share of the hosts at once."""
        self._database = database
        self._settings = settings
        self._links = links
        self._turn = turn
        self._said = ""

    def run(self) -> None:
        """Try until it is done; the same trouble is told once."""
        while self._settings.local_host != "none":
            try:
                self._enrol()
            except DomainError as error:
                self._tell(error.text)
            except Exception:
                logger.exception("enrolment.failed")
            else:
                return
            gevent.sleep(AGAIN_SECONDS)

    def _enrol(self) -> None:
        uri = self._address()
        host = self._host(uri)
        self._turn()
        # Waits until the host answers, or says why it does not.
        connect.ensure_directory(
            self._links.hypervisor(host.id), LIBVIRT_POOL, str(self._directory(uri))
        )
        store = self._store(host, self._directory(uri))
        self._links.refresh()
        if self._settings.starter_image is not None:
            self._image(self._settings.starter_image.resolve(), store)

    def _address(self) -> str:
        """Return the address of this machine's libvirt: as set, as found before, or as found."""
        if self._settings.local_host != "auto":
            return self._settings.local_host
        with self._work() as work:
            known = {host.uri for host in hosts.watched(work)}
        for uri in connect.LOCAL_ADDRESSES:
            if uri in known:
                return uri
        return connect.find_local()

    def _directory(self, uri: str) -> Path:
        """Where volumes go.  QEMU of the system's libvirt runs as a user who sees no data_dir."""
        if self._settings.local_storage is not None:
            return self._settings.local_storage.resolve()
        if connect.is_session(uri):
            return self._settings.data_dir.resolve() / "volumes"
        return Path("/var/lib/libvirt/images") / LIBVIRT_POOL

    def _host(self, uri: str) -> Host:
        with self._work(write=True) as work:
            for host in hosts.watched(work):
                if host.uri == uri:
                    return host
            host = hosts.enroll(
                work,
                pools.root(work),
                name=socket.gethostname(),
                uri=uri,
                virt_type=self._settings.local_virt_type,
            )
        logger.info("enrolment.host", host=host.name, uri=uri)
        return host

    def _store(self, host: Host, directory: Path) -> StoragePool:
        with self._work(write=True) as work:
            row = hosts.get(work, host.id)
            for store in hosts.storage_pools(work, row):
                if store.target == LIBVIRT_POOL:
                    return store
            store = storage.attach(
                work,
                pools.root(work),
                row,
                name=f"{row.name} local",
                where=storage.Target(
                    driver=connect.LIBVIRT_DIRECTORY, target=LIBVIRT_POOL, path=str(directory)
                ),
            )
        logger.info("enrolment.storage", store=store.name, path=str(directory))
        return store

    def _image(self, path: Path, store: StoragePool) -> None:
        """Register the starter image once, and have it copied to where machines are made."""
        with self._work() as work:
            known = any(image.name == STARTER for image in images.listing(work))
        if not known and not path.exists():
            raise ImageInvalid(f"The starter image {path} is not there.", path=str(path))
        raw = None if known else _read(path)
        with self._work(write=True) as work:
            image = next((i for i in images.listing(work) if i.name == STARTER), None)
            if image is None:
                assert raw is not None
                image = self._register(work, raw)
            images.spread(work, image, storage.get(work, store.id))

    def _register(self, work: Work, raw: images.Raw) -> Image:
        logger.info("enrolment.image", path=raw.path, checksum=raw.checksum)
        return images.register(
            work, pools.root(work), name=STARTER, raw=raw, description=STARTER_TEXT
        )

    def _tell(self, text: str) -> None:
        if text != self._said:
            logger.warning("enrolment.waits", reason=text)
        self._said = text

    @contextmanager
    def _work(self, *, write: bool = False) -> Iterator[Work]:
        with self._database.writing() if write else self._database.reading() as session:
            yield Work(db=session, actor=SYSTEM, settings=self._settings)


def _read(path: Path) -> images.Raw:
    """Read size and checksum, letting other greenlets run in between."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            gevent.sleep(0)
    return images.Raw(path=str(path), size=path.stat().st_size, checksum=digest.hexdigest())
