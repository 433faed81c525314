"""The web process: waitress with native threads, and one thread more that says it is up."""

from __future__ import annotations

import gc
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
from pyramid.paster import get_app
from waitress.server import create_server

from ovcadmin import log
from ovcadmin.config import Settings
from ovcadmin.models.database import Database
from ovcadmin.services import processes
from ovcadmin.views.rendering import Templates
from ovcadmin.work import SYSTEM, Work

logger = structlog.get_logger(__name__)

LARGEST_BODY = 9 * 2**20
"""Files come in pieces of 8 MiB; what is longer than half a MiB waits on disk, not in memory."""


def main() -> None:
    ini = Path(sys.argv[1])
    settings = Settings.from_file(ini)
    log.configure(settings.log_level)
    application: Any = get_app(str(ini))
    server = _server(application, settings)
    signal.signal(signal.SIGTERM, _stop)
    templates = application.registry["templates"]
    threading.Thread(target=_warm_up, args=(templates,), name="templates", daemon=True).start()
    with _presence(settings):
        logger.info("web.listening", address=settings.web_listen)
        server.run()
    logger.info("web.stopped")


def _server(application: Any, settings: Settings) -> Any:
    try:
        return create_server(
            application,
            listen=settings.web_listen,
            threads=settings.web_threads,
            max_request_body_size=LARGEST_BODY,
            recv_bytes=65536,
            ident="",
            # The application itself decides whose X-Forwarded-* it believes (trusted_proxies).
            clear_untrusted_proxy_headers=False,
        )
    except OSError as error:
        logger.critical("web.cannot_listen", address=settings.web_listen, reason=error.strerror)
        raise SystemExit(1) from None


def _warm_up(templates: Templates) -> None:
    """Compile all pages, then keep what has come to stay out of the collector's way.

    It would look through all of it, which takes 200 ms, in the middle of every hundredth page.
    """
    templates.compile_all()
    gc.collect()
    gc.freeze()
    # How seldom all of the rest is looked through is measured by what was there the last time.
    # With all that is frozen in that measure, requests with their bodies would pile up.
    gc.collect()


def _stop(_number: int, _frame: object) -> None:
    raise SystemExit(0)  # waitress then finishes what it has begun


@contextmanager
def _presence(settings: Settings) -> Iterator[None]:
    """Beat from now until the end of the block, then say good-bye."""
    database = Database(settings.database_url, pool_size=1)
    name = f"web@{socket.gethostname()}:{settings.web_listen.rpartition(':')[2]}"
    done = threading.Event()

    def beat() -> None:
        while True:
            try:
                with database.writing() as session:
                    work = Work(db=session, actor=SYSTEM, settings=settings)
                    processes.beat(work, "web", name, settings.web_listen)
            except Exception:
                logger.exception("process.beat_failed")
            if done.wait(processes.BEAT_SECONDS):
                return

    thread = threading.Thread(target=beat, name="presence", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(timeout=2)
        with database.writing() as session:
            processes.gone(Work(db=session, actor=SYSTEM, settings=settings), name)
        database.dispose()


if __name__ == "__main__":
    main()
