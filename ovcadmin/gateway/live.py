"""Live events: the change feed as server-sent events, to each page what its user may know.

The feed is read once a process, however many pages are open; who may hear of a batch is one query
for all users together.  A page that reads too slowly is dropped: its browser comes back and says
what it heard last.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import gevent
import structlog
from gevent.queue import Empty, Full, Queue
from gevent.socket import wait_read

from ovcadmin.gateway.records import Records
from ovcadmin.services import changes
from ovcadmin.services.changes import Change

log = structlog.get_logger(__name__)

QUEUE = 64
"""Batches that may wait for one page."""
HEARTBEAT_SECONDS = 15.0
POLL_SECONDS = 1.0
"""However quiet, the feed is looked at this often."""
GATHER_SECONDS = 0.03
"""Changes that follow each other closely travel together."""
PAGES_PER_USER = 50

_RETRY_MS = 1000
_BEAT = b": still here\n\n"


@dataclass(eq=False)
class Reader:
    """One open page, or a program that listens with a token."""

    user_id: int
    session_id: int | None
    token_id: int | None = None
    heard: int = 0
    """Number up to which it was told everything when it came."""
    queue: Any = None
    greenlet: Any = None
    """Both are made by `stream`, in the greenlet of the request itself."""
    ended: bool = False

    def put(self, block: bytes) -> bool:
        """Queue a block; False when the page reads too slowly."""
        try:
            self.queue.put_nowait(block)
        except Full:
            return False
        return True


class Live:
    """`listeners` hear every batch of changes as it is."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._readers: set[Reader] = set()
        self.listeners: list[Callable[[list[Change]], None]] = []

    def __len__(self) -> int:
        return len(self._readers)

    # --- one page

    def crowded(self, user_id: int) -> bool:
        """Whether the user has more pages open than any browser would."""
        return sum(one.user_id == user_id for one in self._readers) >= PAGES_PER_USER

    def stream(self, reader: Reader, after: int | None, connection: Any) -> Iterator[bytes]:
        """Yield the events of one page until it goes away or may not stay.

        `after` is the last sequence number that it heard; None on its first visit.
        """
        reader.queue, reader.greenlet = Queue(QUEUE), gevent.getcurrent()
        # First listen, then look back: what falls between is told twice, never not at all.
        self._readers.add(reader)
        watch = gevent.spawn(self._watch, reader, connection)
        try:
            yield self._greeting(reader, after)
            while not reader.ended:
                yield self._next(reader)
        finally:
            watch.kill(block=False)
            self._readers.discard(reader)

    def _watch(self, reader: Reader, connection: Any) -> None:
        """Notice at once that a page is gone, not only when something is to be told to it.

        A browser says nothing more on this connection, so what there is to read is its end.
        """
        with suppress(OSError):
            wait_read(connection.fileno())
            self._drop(reader)

    def _greeting(self, reader: Reader, after: int | None) -> bytes:
        """What was missed, then where the page stands now: a page that goes between has both."""
        retry = b"retry: %d\n" % (_RETRY_MS + random.randrange(_RETRY_MS))  # noqa: S311
        if after is None:
            reader.heard = self._records.read(changes.latest)
            return retry + _block("hello", {}, reader.heard)
        missed = self._records.read(
            lambda work: changes.since(work, after, reader.user_id, reader.token_id)
        )
        reader.heard = missed.latest
        told = _blocks(missed.changes) if missed.complete else _block("resync", {})
        return retry + told + _block("hello", {}, missed.latest)

    @staticmethod
    def _next(reader: Reader) -> bytes:
        try:
            block: bytes = reader.queue.get(timeout=HEARTBEAT_SECONDS)
        except Empty:
            return _BEAT
        return block

    # --- all pages

    def run(self) -> None:
        """Follow the feed for ever."""
        sequence = self._records.read(changes.latest)
        while True:
            try:
                sequence = self._turn(sequence)
            except Exception:
                log.exception("live.feed_unreadable")
                gevent.sleep(POLL_SECONDS)

    def _turn(self, sequence: int) -> int:
        self._records.wait_for_change(POLL_SECONDS)
        news = self._records.read(lambda work: changes.after(work, sequence))
        if not news:
            return sequence
        for listener in self.listeners:
            listener(news)
        self._tell(news)
        gevent.sleep(GATHER_SECONDS)
        return news[-1].sequence

    def _tell(self, news: list[Change]) -> None:
        users = {reader.user_id for reader in self._readers}
        if not users:
            return
        pools = {change.pool_id for change in news}
        programs = {reader.token_id for reader in self._readers}
        may_hear, left = self._records.read(
            lambda work: (
                changes.audience(work, pools, users),
                changes.within(work, programs, pools),
            )
        )
        for reader in list(self._readers):
            seen = may_hear.get(reader.user_id, frozenset())
            if reader.token_id is not None:
                seen &= left.get(reader.token_id, frozenset())
            block = _blocks(
                change
                for change in news
                if change.pool_id in seen and change.sequence > reader.heard
            )
            if block and not reader.put(block):
                log.info("live.page_too_slow", user_id=reader.user_id)
                self._drop(reader)

    def holders(self) -> tuple[set[int], set[int]]:
        """Return the ids of the sessions and of the tokens that listen."""
        readers = list(self._readers)
        by_session = {one.session_id for one in readers if one.session_id is not None}
        return by_session, {one.token_id for one in readers if one.token_id is not None}

    def keep(self, living_sessions: set[int], living_tokens: set[int]) -> None:
        """End the streams of sessions and tokens that are not alive any more."""
        for reader in list(self._readers):
            lives = reader.session_id in living_sessions or reader.token_id in living_tokens
            if not lives and not reader.ended:
                reader.ended = True
                if not reader.put(_block("ended", {})):
                    self._drop(reader)

    def end_all(self) -> None:
        for reader in list(self._readers):
            self._drop(reader)

    def _drop(self, reader: Reader) -> None:
        """Cut a page off in the middle of whatever it does, a stuck write included."""
        self._readers.discard(reader)
        reader.greenlet.kill(block=False)


def _blocks(news: Iterable[Change]) -> bytes:
    """Write changes as events, each object once, with its last number."""
    last: dict[tuple[str, int], int] = {}
    for change in news:
        name = (change.kind, change.object_id)
        last.pop(name, None)
        last[name] = change.sequence
    return b"".join(
        _block("change", {"kind": kind, "id": number}, sequence)
        for (kind, number), sequence in last.items()
    )


def _block(event: str, data: dict[str, Any], sequence: int | None = None) -> bytes:
    lines = [f"event: {event}", f"data: {json.dumps(data, separators=(',', ':'))}"]
    if sequence is not None:
        lines.append(f"id: {sequence}")
    return ("\n".join(lines) + "\n\n").encode()
