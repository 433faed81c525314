"""The three processes, and the commands that they are started with."""

from __future__ import annotations

import sys
from pathlib import Path

MODULES = {
    "gateway": "ovcadmin.gateway",
    "web": "ovcadmin.manage.web",
    "worker": "ovcadmin.worker",
}
"""Each is started with `python -m`: gateway and worker change the standard library to greenlets
first of all, which a command that has already imported half of it can no longer do."""
QUIET = ("-W", "ignore:pkg_resources is deprecated:UserWarning")
"""Pyramid 2.1 imports it, and every start would say so."""


def command(kind: str, ini: Path) -> tuple[str, ...]:
    return (sys.executable, "-u", *QUIET, "-m", MODULES[kind], str(ini))
