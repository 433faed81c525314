"""Base images: volumes that are filled on the mount point, and set as template when they are whole.

That is the last thing done to them, so a template is whole and anything else is made anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ovcadmin.domain.images import ImageKind
from ovcadmin.drivers.storage.base import Memo, Progress, TemplateFile, VolumeFacts
from ovcadmin.drivers.storage.openvstorage.client import Item
from ovcadmin.drivers.storage.openvstorage.content import Content, Source
from ovcadmin.errors import StorageFailed


def facts(item: Item) -> VolumeFacts:
    return VolumeFacts(key=item["guid"], name=item["name"], size=item["size"])


class BaseImages:
    """Mixed into `VPool`; meets `Converts`."""

    _content: Content
    _at: str
    _find: Callable[..., Item | None]
    _sure: Callable[..., Item]
    _do: Callable[..., Any]
    _path: Callable[[str], str]
    create: Callable[..., VolumeFacts]
    delete: Callable[..., None]

    def import_raw(
        self,
        path: str,
        name: str,
        *,
        checksum: str,
        progress: Progress,
        kind: ImageKind = ImageKind.DISK,
    ) -> VolumeFacts:
        """Copy a raw file in and set the volume as template."""
        with self._content.raw(path, kind) as source:
            if done := self._template(name):
                return done
            try:
                made = self._filled(source, name, Forgetful(), progress)
                self._content.ensure_checksum(self._path(made.key), source, checksum)
            except BaseException:
                self.delete(name)
                raise
        return self.seal(made.key)

    def judge(self, path: str) -> TemplateFile:
        with self._content.qcow2(path) as source:
            checksum = self._content.checksum(source.place)
            return TemplateFile(size=source.size, checksum=checksum)

    def convert(self, path: str, name: str, *, memo: Memo, progress: Progress) -> VolumeFacts:
        with self._content.qcow2(path) as source:
            return self._template(name) or self._filled(source, name, memo, progress)

    def compare(self, path: str, key: str, progress: Progress) -> str:
        with self._content.qcow2(path) as source:
            self._content.ensure_same(source, self._path(key), progress)
            return self._content.checksum(self._path(key))

    def seal(self, key: str) -> VolumeFacts:
        disk = self._sure(key)
        self._do(f"vdisks/{disk['guid']}/set_as_template/")
        if not self._sure(key, "is_vtemplate")["is_vtemplate"]:
            raise StorageFailed(f"{disk['name']} was not set as template.")
        return facts(disk)

    def _filled(self, source: Source, name: str, memo: Memo, progress: Progress) -> VolumeFacts:
        """Return a volume with the source's disk; what a dead attempt left half-filled goes."""
        self.delete(name, memo=memo)
        # Whatever made the old one is over: a task of it must not be taken for ours.
        memo.set(f"task {name}", "")
        made = self.create(name, source.size, host=self._at, memo=memo)
        self._content.fill(source, self._path(made.key), progress)
        return made

    def _template(self, name: str) -> VolumeFacts | None:
        done = self._find(name, "is_vtemplate")
        return facts(done) if done and done["is_vtemplate"] else None


class Forgetful:
    """The memo of something that is made anew after a crash."""

    def __init__(self) -> None:
        self._notes: dict[str, str] = {}

    def get(self, key: str) -> str | None:
        return self._notes.get(key)

    def set(self, key: str, value: str) -> None:
        self._notes[key] = value
