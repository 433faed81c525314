"""Records consoles: what was shown, and when; every few seconds into the database.

One greenlet writes for all of them, so a console at which nothing happens costs nothing.  What a
database that hangs cannot take is kept in bounds: then something is missing, and the recording
says how much.
"""

from __future__ import annotations

import codecs
import time
from collections.abc import Callable

import gevent
import structlog

from ovcadmin.domain import recordings as form
from ovcadmin.gateway.records import Records
from ovcadmin.services import recordings
from ovcadmin.services.recordings import Order

log = structlog.get_logger(__name__)

WRITE_SECONDS = 2.0
WAITING = 4 * 1024 * 1024
"""Bytes of one recording that may wait to be written."""


class Recorder:
    """One recording.  It ends by itself at `limit` bytes."""

    def __init__(self, order: Order, limit: int) -> None:
        self.order = order
        self.length = 0
        self.cut = False
        self.told_cut = False
        """Whether the records know that it is cut."""
        self._left = limit
        self._waiting: list[bytes] = []
        self._size = 0
        self._missing = 0
        self._began = time.monotonic()
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    @property
    def full(self) -> bool:
        """Whether so much waits that nothing is taken in any more."""
        return self._size > WAITING

    # --- text

    def printed(self, data: bytes) -> None:
        text = self._decode(data)
        if text:
            self._event(form.OUTPUT, text)

    def typed(self, data: bytes) -> None:
        """Take in keys, which are kept only where the policy says so."""
        if self.order.keys:
            self._event(form.INPUT, data.decode(errors="replace"))

    def resized(self, columns: int, rows: int) -> None:
        self._event(form.RESIZE, f"{columns}x{rows}")

    def remark(self, text: str) -> None:
        self._event(form.REMARK, text)

    def _event(self, code: str, text: str) -> None:
        if self._missing and not self.full:
            missing, self._missing = self._missing, 0
            self._keep(lambda ms: form.cast_line(ms, form.REMARK, f"{missing} bytes are missing"))
        if self.full:
            self._missing += len(text)
        else:
            self._keep(lambda ms: form.cast_line(ms, code, text))

    # --- screens

    def shown(self, message: bytes) -> None:
        """Take in one whole message of a VNC server; a recording that is full drops it."""
        if not self.full:
            self._keep(lambda ms: form.block(ms, message))

    # --- both

    def take(self) -> bytes:
        """Return what waits to be written."""
        data, self._waiting, self._size = b"".join(self._waiting), [], 0
        return data

    def put_back(self, data: bytes) -> None:
        """Keep for later what could not be written."""
        self._waiting.insert(0, data)
        self._size += len(data)

    def _keep(self, write: Callable[[int], bytes]) -> None:
        if self.cut:
            return
        ms = int((time.monotonic() - self._began) * 1000)
        data = write(ms)
        self._left -= len(data)
        self.cut = self._left < 0
        if not self.cut:
            self.length = ms
            self._waiting.append(data)
            self._size += len(data)


class Recorders:
    """All recordings that this process makes."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._limit = records.settings.recording_megabytes * 10**6
        self._open: dict[int, Recorder] = {}
        self._ending: list[Recorder] = []

    def open(self, order: Order | None) -> Recorder | None:
        """Return the recorder of a console that opens or is shown again; None: not recorded."""
        if order is None:
            return None
        return self._open.setdefault(order.recording_id, Recorder(order, self._limit))

    def end(self, recorder: Recorder | None) -> None:
        """Write what is left of a recording whose console is over, soon."""
        if recorder is not None and recorder.order.recording_id in self._open:
            del self._open[recorder.order.recording_id]
            self._ending.append(recorder)

    def run(self) -> None:
        """Write for ever."""
        while True:
            gevent.sleep(WRITE_SECONDS)
            self.write()

    def write(self) -> None:
        """Write what waits; what cannot be written now is tried again."""
        ending, self._ending = self._ending, []
        for recorder in [*self._open.values(), *ending]:
            if not self._write_one(recorder) and recorder in ending:
                self._ending.append(recorder)

    def _write_one(self, recorder: Recorder) -> bool:
        data = recorder.take()
        if not data and recorder.cut == recorder.told_cut:
            return True
        order, length, cut = recorder.order, recorder.length, recorder.cut
        try:
            self._records.write(
                lambda work: recordings.add(work, order.recording_id, data, length=length, cut=cut)
            )
        except Exception:
            log.exception("recording.kept_back", recording=order.recording_id)
            recorder.put_back(data)
            return False
        recorder.told_cut = cut
        return True
