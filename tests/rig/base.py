"""What all services of the rig need: private directories, waiting, processes that end with us."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "var/rig"
"""What is worth keeping between test runs; everything in it can be made again."""
TEMPLATES = CACHE / "templates"
"""Compiled templates, shared by all consoles of a run."""
PREFIX = "ovcadmin-rig-"
LOGS: deque[Path] = deque(maxlen=40)
"""Of the processes started last."""
T = TypeVar("T")


@contextmanager
def private_directory(name: str) -> Iterator[Path]:
    """A directory below /tmp (socket paths must be short), removed at the end.

    Others may pass through it: services run as users of their own.
    """
    _sweep()
    path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-{name}-", dir="/tmp"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _sweep() -> None:
    """Remove what test processes left behind that were killed."""
    for path in Path("/tmp").glob(f"{PREFIX}*"):
        owner = path.name.removeprefix(PREFIX).split("-")[0]
        if not Path("/proc", owner).exists():
            shutil.rmtree(path, ignore_errors=True)


def wait_until(
    condition: Callable[[], T], what: str, seconds: float = 40, log: Path | None = None
) -> T:
    """Return the first true answer of `condition`; fail with `what` when none comes in time.

    Who waits takes a quarter of a processor at most: what is waited for needs the rest.
    """
    deadline = time.monotonic() + seconds
    while True:
        asked = time.monotonic()
        if answer := condition():
            return answer
        now = time.monotonic()
        if now > deadline:
            error = TimeoutError(f"{what} did not come within {seconds} s")
            if log:
                error.add_note(log.read_text(errors="replace")[-2000:])
            raise error
        time.sleep(min(max(0.01, 3 * (now - asked)), 1))


def accepts(path: Path) -> bool:
    """Whether somebody listens on the Unix socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def spawn(
    *command: str | Path, log: Path, user: str | None = None, death: str = "KILL"
) -> subprocess.Popen[bytes]:
    """Start a process that gets the signal `death` when the thread that asks for it ends.

    With `user` it runs as that user (which takes root).
    """
    wrapper = ["setpriv", f"--pdeathsig={death}"]
    if user:
        wrapper += [f"--reuid={user}", f"--regid={user}", "--init-groups"]
    # Daemons are not on the path of ordinary users.
    environment = os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    LOGS.append(log)
    with log.open("ab") as out:
        return subprocess.Popen(
            [*wrapper, *command],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/", env=environment,
        )  # fmt: skip


def tracebacks() -> str:
    """What went wrong in processes of the rig as far as their logs are still there."""
    said = {log: log.read_text(errors="replace") for log in LOGS if log.exists()}
    return "\n".join(
        f"{log}: {text[text.rindex('Traceback') :]}"
        for log, text in said.items()
        if "Traceback" in text
    )
