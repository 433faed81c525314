"""The local command `ovcadmin`, without the two seconds that its imports take."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import NamedTemporaryFile

from tests.rig.nursery import bear


def ovcadmin(*words: str | Path, seconds: float = 120) -> tuple[int, str]:
    """Run it in a process of its own; return its exit code and all that it said."""
    with NamedTemporaryFile(prefix="ovcadmin-", suffix=".log") as said:
        command = (sys.executable, "-m", "ovcadmin.manage.main", *words)
        process = bear(command, Path(said.name), {})
        assert process is not None
        code = process.wait(seconds)
        return code, Path(said.name).read_text()
