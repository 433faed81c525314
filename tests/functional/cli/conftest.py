"""`ovc` as people run it: a process of its own, against the console served over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from waitress.server import create_server

from ovcadmin.services import tokens
from tests.rig.ovc import Shell


@contextmanager
def served(app) -> Iterator[str]:
    """Serve a WSGI application; yield its address."""
    sockets: dict[int, object] = {}
    server = create_server(app, map=sockets, listen="127.0.0.1:0", threads=6)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.effective_port}"
    finally:
        server.task_dispatcher.shutdown()
        server.trigger.pull_trigger(server.close)  # by its own thread, which waits on the socket
        thread.join(20)


@pytest.fixture
def url(sqlite_world) -> Iterator[str]:
    with served(sqlite_world.app) as address:
        yield address


def key_of(world, user) -> str:
    with world.work() as work:
        return tokens.create(work, user.id, name="ovc", days=1)[1]


@pytest.fixture
def shell(sqlite_world, url, tmp_path) -> Shell:
    """The administrator's shell."""
    token = key_of(sqlite_world, sqlite_world.admin())
    return Shell(tmp_path, OVC_URL=url, OVC_TOKEN=token)


@pytest.fixture
def shell_of(sqlite_world, url, tmp_path):
    """Make the shell of another user."""
    return lambda user: Shell(tmp_path, OVC_URL=url, OVC_TOKEN=key_of(sqlite_world, user))
