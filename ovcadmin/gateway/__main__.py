"""`python -m ovcadmin.gateway INI`: one gateway process in the foreground."""

from __future__ import annotations

import sys
from pathlib import Path

from ovcadmin import log
from ovcadmin.config import Settings
from ovcadmin.gateway.app import main

if __name__ == "__main__":
    settings = Settings.from_file(Path(sys.argv[1]))
    log.configure(settings.log_level)
    main(settings)
