"""The gateway's composition root: what there is, how it is wired, and how it ends."""

from __future__ import annotations

import json
import signal
import socket
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

import gevent
import structlog
from gevent.event import Event

from ovcadmin.config import Settings
from ovcadmin.errors import DomainError, Forbidden, TicketRefused
from ovcadmin.gateway import incoming, server, websocket
from ovcadmin.gateway.bridge import Bridge, read_hello
from ovcadmin.gateway.front import Front, Start
from ovcadmin.gateway.guard import Guard
from ovcadmin.gateway.live import Live, Reader
from ovcadmin.gateway.recorders import Recorders
from ovcadmin.gateway.records import Records
from ovcadmin.gateway.registry import Consoles
from ovcadmin.gateway.sources import Hosts, Machines, Sources
from ovcadmin.gateway.terminals import Terminals
from ovcadmin.gateway.viewers import Viewers
from ovcadmin.models.database import Database
from ovcadmin.services import (
    changes,
    console_sessions,
    consoles,
    idempotency,
    processes,
    sessions,
    tokens,
)
from ovcadmin.services.consoles import VIEWER
from ovcadmin.work import Work

log = structlog.get_logger(__name__)

Answer = Callable[[dict[str, Any], Start], Iterable[bytes]]

GOING_AWAY = 1001
SWEEP_SECONDS = 60.0
STOP_SECONDS = 3.0
TICKET_SIZE = 4096
"""Longest body that brings a ticket, bytes."""


class Gateway:
    """The WSGI application, and the greenlets that live as long as the process."""

    def __init__(self, settings: Settings, hosts: Machines) -> None:
        self.settings = settings
        self.records = Records(Database(settings.database_url), settings)
        self.hosts = hosts
        self.terminals = Terminals(settings, self.records)
        self.live = Live(self.records)
        self.recorders = Recorders(self.records)
        self.consoles = Consoles(
            settings,
            sources := Sources(hosts, self.terminals),
            self.recorders,
            seek=self._seek,
            taken_by=lambda admission: self.records.read(
                lambda work: console_sessions.opened_since(work, admission)
            ),
        )
        self.viewers = Viewers(settings, sources)
        self.guard = Guard(self.records, self.consoles, self.live, self.recorders)
        self.live.listeners.append(self.guard.hear)
        self.name = f"gateway@{socket.gethostname()}:{settings.gateway_listen.rpartition(':')[2]}"
        self.bridge = Bridge(self.records, self.consoles, self.name)
        self.front = Front(settings.web_listen) if settings.gateway_front else None
        self._routes: dict[str, Answer] = {
            "/live/console": self._console,
            "/live/viewer": self._viewer,
            "/live/events": self._events,
            "/live/health": self._health,
        }

    def _seek(self) -> None:
        self.guard.poke()

    # --- requests

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        incoming.settle(environ, self.settings)
        try:
            return self._route(environ)(environ, start)
        except Forbidden as error:
            return _say(start, "403 Forbidden", error.text)

    def _route(self, environ: dict[str, Any]) -> Answer:
        path = environ["PATH_INFO"]
        if path in self._routes:
            return self._routes[path]
        is_page = not path.startswith("/live/") and environ["gateway.target"].startswith("/")
        return self.front.serve if is_page and self.front is not None else _nothing

    def _console(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        caller = incoming.caller(environ)
        incoming.check_origin(environ, self.settings, needed=caller.token_key is None)
        if self.bridge.crowded:
            return _say(start, "503 Service Unavailable", "Too many consoles are being opened.")
        try:
            opened = websocket.accept(environ, start)
        except websocket.BadHandshake as error:
            return _say(start, "400 Bad Request", str(error))
        self.bridge.serve(opened, caller, uuid.uuid4().hex)
        return []

    def _viewer(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        """Answer a ticket with the file that opens one viewer once."""
        caller = incoming.caller(environ)
        incoming.check_origin(environ, self.settings, needed=caller.token_key is None)
        hello = read_hello(environ["wsgi.input"].read(TICKET_SIZE))
        if environ["REQUEST_METHOD"] != "POST" or hello is None:
            return _say(start, "400 Bad Request", "Send a ticket.")
        try:
            admission = self.bridge.admit(hello, caller, uuid.uuid4().hex)
            if admission.holder.kind != VIEWER:
                raise TicketRefused("This ticket is for no viewer.")
            viewer = self.consoles.promise(admission, self.viewers)
        except DomainError as error:
            log.info("console.refused", code=error.code, address=caller.address)
            refused = isinstance(error, TicketRefused)
            return _say(start, "403 Forbidden" if refused else "409 Conflict", error.text)
        host = urlsplit(f"//{environ['HTTP_HOST']}").hostname or ""
        start(
            "200 OK",
            [
                ("Content-Type", "application/x-virt-viewer"),
                ("Content-Disposition", 'attachment; filename="console.vv"'),
                ("Cache-Control", "no-store"),
                ("X-Content-Type-Options", "nosniff"),
            ],
        )
        return [self.viewers.file(viewer, host).encode()]

    def _events(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        incoming.check_origin(environ, self.settings, needed=False)
        caller = incoming.caller(environ)
        reader = self.records.read(lambda work: _reader(work, caller))
        if reader is None:
            return _say(start, "401 Unauthorized", "Sign in first.")
        if self.live.crowded(reader.user_id):
            return _say(start, "429 Too Many Requests", "You have too many pages open.")
        start(
            "200 OK",
            [
                ("Content-Type", "text/event-stream; charset=utf-8"),
                ("Cache-Control", "no-store"),
                ("X-Accel-Buffering", "no"),
                ("X-Content-Type-Options", "nosniff"),
            ],
        )
        return self.live.stream(reader, _last_heard(environ), environ["gateway.socket"])

    def _health(self, _environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        start("200 OK", [("Content-Type", "application/json"), ("Cache-Control", "no-store")])
        return [json.dumps({"status": "ok"}).encode() + b"\n"]

    # --- the life of the process

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; raises what a greenlet of ours dies of."""
        self.records.write(
            lambda work: console_sessions.begin_gateway(
                work, self.name, self.settings.gateway_listen
            )
        )
        stop = Event()
        failed: list[Any] = []
        for number in (signal.SIGTERM, signal.SIGINT):
            gevent.signal_handler(number, stop.set)

        def fail(greenlet: Any) -> None:
            failed.append(greenlet.exception)
            stop.set()

        own = [
            gevent.spawn(work)
            for work in (
                self.live.run,
                self.guard.run,
                self.recorders.run,
                self.guard.look_after,
                self._beat,
                self._sweep,
            )
        ]
        for greenlet in own:
            greenlet.link_exception(fail)
        serving = server.make(self.settings.gateway_listen, self)
        serving.start()
        self.viewers.start()
        self.terminals.warm_up()
        log.info("gateway.listening", address=self.settings.gateway_listen)
        stop.wait()
        gevent.killall(own)
        self._close(serving)
        if failed:
            raise failed[0]

    def _close(self, serving: Any) -> None:
        serving.close()
        self.consoles.end_all(GOING_AWAY, "The gateway restarts.")
        self.live.end_all()
        with suppress(Exception):  # what cannot be written now is swept later
            self.guard.write_down()
        self.viewers.close()
        self.terminals.close()
        serving.stop(timeout=STOP_SECONDS)
        self.hosts.close()
        self.records.write(lambda work: processes.gone(work, self.name))
        self.records.close()
        log.info("gateway.stopped")

    def _beat(self) -> None:
        while True:
            self._quietly(
                lambda work: processes.beat(
                    work, "gateway", self.name, self.settings.gateway_listen
                )
            )
            gevent.sleep(processes.BEAT_SECONDS)

    def _sweep(self) -> None:
        while True:
            gevent.sleep(SWEEP_SECONDS)
            self._quietly(consoles.sweep)
            self._quietly(console_sessions.sweep)
            self._quietly(changes.sweep)
            self._quietly(idempotency.sweep)

    def _quietly(self, job: Callable[[Work], None]) -> None:
        """Do what can as well be done next time."""
        try:
            self.records.write(job)
        except Exception:
            log.exception("gateway.housekeeping")


def _reader(work: Work, caller: incoming.Caller) -> Reader | None:
    """Return who listens: by the bearer token where there is one, else by the session's cookie."""
    if caller.token_key is not None:
        token = tokens.by_key(work, caller.token_key)
        return Reader(user_id=token.user_id, session_id=None, token_id=token.id) if token else None
    session = sessions.by_key(work, caller.session_key or "")
    return Reader(user_id=session.user_id, session_id=session.id) if session else None


def _last_heard(environ: dict[str, Any]) -> int | None:
    """Return the number that the page heard last.

    Browsers repeat it when they reconnect; a page that was hidden says it in the address.
    """
    asked = parse_qs(environ.get("QUERY_STRING", "")).get("after", [""])[0]
    text = environ.get("HTTP_LAST_EVENT_ID") or asked
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _nothing(_environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    return _say(start, "404 Not Found", "There is nothing here.")


def _say(start: Start, status: str, text: str) -> Iterable[bytes]:
    start(
        status,
        [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ],
    )
    return [text.encode() + b"\n"]


def main(settings: Settings) -> None:
    Gateway(settings, Hosts(settings)).run()
