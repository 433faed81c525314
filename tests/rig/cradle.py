"""`python cradle.py SOCKET green|plain`: a nursery (nursery.py); it ends with its standard input.

It stands outside the package of the rig, which imports what must come after the green.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import pkgutil
import runpy
import signal
import sys
from importlib import import_module

# As they are before anything becomes green: a nursery itself only waits.
from os import fork, waitpid
from pathlib import Path
from select import select
from socket import AF_UNIX, SHUT_WR, socket
from typing import Any

import gevent

from ovcadmin import green

PR_SET_PDEATHSIG = 1
IMPORTED = {
    "green": ("ovcadmin.worker.main", "ovcadmin.worker.ear", "ovcadmin.engine.broker"),
    "plain": (
        "ovcadmin.web",
        "ovcadmin.gateway.app",
        "ovcadmin.manage.with_database",
        "pyramid.paster",
        "waitress.server",
    ),
}
SCANNED = {"green": (), "plain": ("ovcadmin.views", "ovcadmin.api")}
"""Packages of which every module is imported, as the web process does when it is put together."""


def main() -> None:
    path, kind = sys.argv[1:]
    _import_all(kind)
    listener = socket(AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    sys.stdout.write("ready\n")
    while True:
        ready, _, _ = select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        request, _ = listener.accept()
        if fork() == 0:
            listener.close()
            _look_after(request)
            return
        request.close()
        _bury()


def _import_all(kind: str) -> None:
    if kind == "green":
        green.patch()
    for name in IMPORTED[kind]:
        import_module(name)
    for name in SCANNED[kind]:
        package = import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            import_module(module.name)
    # Each process would otherwise do it at its first question to the database, for 0.3 s.
    import_module("sqlalchemy.orm").configure_mappers()
    gc.freeze()


def _bury() -> None:
    """Let go of those who looked after processes that have ended."""
    try:
        while waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _look_after(request: socket) -> None:
    """Fork the process, say its number, and how it ended."""
    _die_with_parent()
    asked = json.loads(request.makefile().readline())
    child = fork()
    if child == 0:
        _die_with_parent()
        request.close()
        _become(asked)
        return
    request.send(f"{child}\n".encode())
    _, status = waitpid(child, 0)
    request.send(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    request.shutdown(SHUT_WR)
    os._exit(0)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _become(asked: dict[str, Any]) -> None:
    """Run what was asked for, as Python itself would; its end is the end of this process."""
    gevent.reinit()
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(asked["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for new, old in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(new, old)
    os.close(nothing)
    os.close(log)
    os.chdir("/")
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = asked["words"]
    if asked["module"]:
        runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, str(Path(sys.argv[0]).parent))
        runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
