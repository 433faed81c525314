"""A worker that wants a newer libvirt than any host has.

`python tests/integration/demanding.py INI`.
"""

if __name__ == "__main__":
    from ovcadmin import green

    green.patch()

import sys
from pathlib import Path

from ovcadmin.config import Settings
from ovcadmin.domain import host_versions
from ovcadmin.worker.main import run

if __name__ == "__main__":
    host_versions.LEAST["libvirt"] = (99, 0, 0)
    run(Settings.from_file(Path(sys.argv[1])))
