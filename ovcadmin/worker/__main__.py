"""`python -m ovcadmin.worker INI`."""

# ruff: noqa: E402 - the standard library becomes green before anything else is imported.
from ovcadmin import green

green.patch()

import sys
from pathlib import Path

from ovcadmin.config import Settings
from ovcadmin.worker.main import run

if __name__ == "__main__":
    run(Settings.from_file(Path(sys.argv[1])))
