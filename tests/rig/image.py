"""The starter image, built once for all test runs."""

import fcntl
import hashlib
import subprocess
from pathlib import Path

from tests.rig.base import CACHE, ROOT

SCRIPT = ROOT / "script/starter-image"


def starter_image() -> Path:
    """Path of the image, built from the present state of script/starter; never write to it."""
    sources = [SCRIPT, *sorted((ROOT / "script/starter").iterdir())]
    key = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    image = CACHE / f"starter-{key}.raw"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "starter.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not image.exists():
            for old in CACHE.glob("starter-*.raw"):
                old.unlink()
            subprocess.run([SCRIPT, image], check=True, stdout=subprocess.DEVNULL)
    return image
