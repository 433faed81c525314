"""`ovcadmin status`: which process is up, by its own word and by the kernel's."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ovcadmin.manage.processes import MODULES
from ovcadmin.services import processes
from ovcadmin.services.processes import Sign
from ovcadmin.work import Work


@dataclass(frozen=True, kw_only=True)
class Line:
    kind: str
    name: str
    state: str
    """`up`, `silent` (its last word is old), `dead` (no such process) or `down` (none known)."""
    pid: int | None = None
    since: datetime | None = None
    age: float | None = None
    """Seconds since its last word."""
    trouble: str = ""
    """What it has to tell of itself."""

    @property
    def up(self) -> bool:
        return self.state == "up"


def lines(work: Work) -> list[Line]:
    """Return a line for each process heard of within a day, and one for each kind without any."""
    found = [_line(sign) for sign in processes.listing(work)]
    kinds = {line.kind for line in found}
    return found + [
        Line(kind=kind, name="-", state="down") for kind in MODULES if kind not in kinds
    ]


def all_up(found: list[Line]) -> bool:
    """Whether each of the three is there at least once."""
    return all(any(line.up and line.kind == kind for line in found) for kind in MODULES)


def _line(sign: Sign) -> Line:
    process = sign.process
    return Line(
        kind=process.kind,
        name=process.name,
        state="dead" if _died(process.name, process.pid) else "up" if sign.up else "silent",
        pid=process.pid,
        since=process.started_at,
        age=sign.age.total_seconds(),
        trouble=process.trouble,
    )


def _died(name: str, pid: int) -> bool:
    """Whether the process is of this machine and the kernel does not know it any more."""
    host = name.partition("@")[2].partition(":")[0]
    if host != socket.gethostname():
        return False
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    # The name stands in brackets and may hold anything; a process that only waits to be buried
    # (in a container nobody may ever do it) is dead.
    return stat.rpartition(")")[2].split()[0] in "ZX"
