"""Uploads into the image library by `ovc`: speed against a plain copy, and memory.

`python -m bench.upload [GB]`: a quarter of that and then all of it go through the web process,
so that a growth of memory with the size shows, and the start of `ovc` can be taken away.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from pathlib import Path

from bench._report import report, timed
from bench._site import LOOPBACK, Site, site
from ovcadmin.services import library, tokens
from tests import rig

GB = 10**9
MOST_MEMORY = 50.0
CHUNK = 1 << 24
OVC = "from ovcadmin.cli.main import main; main()"


def main() -> None:
    size = int(float(sys.argv[1]) * GB) if len(sys.argv) > 1 else 2 * GB
    with rig.libvirt_host() as host, site(host) as made:
        directory = made.cloud.directory
        file = _content(directory / "image.raw", size)
        copied = timed(lambda: shutil.copyfile(file, directory / "copy.raw"))
        (directory / "copy.raw").unlink()
        small = _content(directory / "small.raw", size // 4)
        started = timed(lambda: _send(made, _content(directory / "first.raw", CHUNK), "first"))
        before = _peak(made)
        quarter = timed(lambda: _send(made, small, "quarter"))
        middle = _peak(made)
        sent = timed(lambda: _send(made, file, "whole"))
        _ensure_arrived(made, size)
        plain = size / copied / 1e6
        report("start of ovc and the first request", started, "s")
        report("upload with the start of ovc", size / sent / 1e6, "MB/s", peer=plain)
        steady = (size - size // 4) / (sent - quarter) / 1e6
        report("upload, once it runs", steady, "MB/s", peer=plain)
        report("web process, growth by a quarter", middle - before, "MB", aim=MOST_MEMORY)
        report("web process, growth by all", _peak(made) - before, "MB", aim=MOST_MEMORY)
        own = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        report("ovc, its peak", own, "MB")


def _content(path: Path, size: int) -> Path:
    """Write bytes that are no zeros: holes would cost nothing."""
    block = bytes(range(1, 252)) * (CHUNK // 251)
    with path.open("wb") as file:
        while file.tell() < size:
            file.write(block[: size - file.tell()])
    return path


def _ensure_arrived(made: Site, size: int) -> None:
    largest = max(one.stat().st_size for one in library.directory(made.cloud.settings).iterdir())
    if largest != size:
        raise RuntimeError("not all of it arrived")


def _send(made: Site, file: Path, name: str) -> None:
    with made.cloud.work(write=True) as work:
        key = tokens.create(work, work.actor.user_id or 0, name=name, days=1)[1]
    url = f"http://{LOOPBACK}:{made.web}"
    command = [sys.executable, "-c", OVC, "images", "upload", str(file)]
    subprocess.run(
        [*command, "--pool", "Cloud", "--name", name],
        env={"OVC_URL": url, "OVC_TOKEN": key, "HOME": str(file.parent), "LC_ALL": "C.UTF-8",
             "PYTHONPATH": ":".join(sys.path)},
        check=True, capture_output=True,
    )  # fmt: skip


def _peak(made: Site) -> float:
    """The most memory that the web process ever held, MB."""
    web = made.cloud.processes[1]
    for line in Path(f"/proc/{web.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the web process is gone")


if __name__ == "__main__":
    main()
