"""Uploads into the image library: speed against a plain copy and a plain server, and memory.

`python -m bench.upload [GB]`: a quarter of that and then all of it go through the web process by
`ovc`, so that a growth of memory with the size shows, and the start of `ovc` can be taken away.
The quarter goes also by the bare HTTP library in pieces of 1 MiB and of 8 MiB (as `ovc` and
browsers send them), in turn to the console and to the same server with an application behind it
that does nothing but write the body to a file.
"""

from __future__ import annotations

import http.client
import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

from bench._report import report, timed
from bench._site import Site, answers, site
from ovcadmin.services import library, operations, tokens
from tests import rig
from tests.rig.base import ROOT, wait_until
from tests.rig.network import LOOPBACK, free_ports

GB = 10**9
MIB = 2**20
MOST_MEMORY = 50.0
CHUNK = 1 << 24
PIECES = (1, 8)
"""MiB."""
ROUNDS = 2
"""The better of so many counts: others use the machine too."""
OVC = "from ovcadmin.cli.main import main; main()"


def main() -> None:
    size = int(float(sys.argv[1]) * GB) if len(sys.argv) > 1 else 2 * GB
    with rig.libvirt_host() as host, site(host) as made:
        directory = made.cloud.directory
        file = _content(directory / "image.raw", size)
        copied = timed(lambda: shutil.copyfile(file, directory / "copy.raw"))
        (directory / "copy.raw").unlink()
        small = _content(directory / "small.raw", size // 4)
        started = timed(lambda: _by_ovc(made, _content(directory / "first.raw", CHUNK), "first"))
        _calm(made)
        before = _peak(made)
        quarter = timed(lambda: _by_ovc(made, small, "quarter"))
        middle = _peak(made)
        _calm(made)
        sent = timed(lambda: _by_ovc(made, file, "whole"))
        _ensure_arrived(made, size)
        grown = _peak(made) - before
        _calm(made)
        plain = size / copied / 1e6
        report("start of ovc and the first request", started, "s")
        report("upload with the start of ovc", size / sent / 1e6, "MB/s", peer=plain)
        steady = (size - size // 4) / (sent - quarter) / 1e6
        report("upload, once it runs", steady, "MB/s", peer=plain)
        report("web process, growth by a quarter", middle - before, "MB", aim=MOST_MEMORY)
        report("web process, growth by all", grown, "MB", aim=MOST_MEMORY)
        own = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        report("ovc, its peak", own, "MB")
        _compare(made, small)
        report("web process, growth in the end", _peak(made) - before, "MB", aim=MOST_MEMORY)


def _compare(made: Site, file: Path) -> None:
    """Report the bare library's speed to the console and to the plain server, taking turns."""
    (port,) = free_ports(1)
    ini = made.cloud.variant("plain", web_listen=f"{LOOPBACK}:{port}")
    target = made.cloud.directory / "plain.raw"
    made.cloud.start(sys.executable, ROOT / "bench/_plain_upload.py", ini, target)
    wait_until(lambda: answers(port), "the plain server")
    size = file.stat().st_size
    for piece in PIECES:
        ours, theirs = [], []
        for number in range(ROUNDS):
            target.write_bytes(b"")
            theirs.append(_put(port, "/", {}, file, piece * MIB))
            path, headers = _announced(made, f"raw {piece} {number}", size)
            ours.append(_put(made.web, path, headers, file, piece * MIB))
            _calm(made)
        speeds = [size / min(times) / 1e6 for times in (ours, theirs)]
        report(f"upload in pieces of {piece} MiB", speeds[0], "MB/s", peer=speeds[1])
        each = [1000 * min(times) * piece * MIB / size for times in (ours, theirs)]
        report(f"one piece of {piece} MiB", each[0], "ms", peer=each[1])


def _announced(made: Site, name: str, size: int) -> tuple[str, dict[str, str]]:
    """Return where the content goes, and by what right."""
    headers = {"Authorization": f"Bearer {_key(made, name)}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection(LOOPBACK, made.web)
    body = json.dumps({"name": name, "size": size})
    connection.request("POST", "/api/v1/pools/1/image-uploads", body, headers)
    answer = connection.getresponse()
    told = json.loads(answer.read())
    if answer.status != http.client.CREATED:
        raise RuntimeError(told)
    path = f"/api/v1/image-uploads/{told['id']}/content"
    return path, {**headers, "Content-Type": "application/octet-stream"}


def _put(port: int, path: str, headers: dict[str, str], file: Path, length: int) -> float:
    """Send a file in pieces of `length` bytes; return the seconds."""
    begun = time.perf_counter()
    connection = http.client.HTTPConnection(LOOPBACK, port)
    at = 0
    with file.open("rb") as source:
        while piece := source.read(length):
            connection.request("PUT", f"{path}?at={at}", piece, headers)
            answer = connection.getresponse()
            told = answer.read()
            if answer.status != http.client.OK:
                raise RuntimeError(told)
            at += len(piece)
    connection.close()
    return time.perf_counter() - begun


def _calm(made: Site) -> None:
    """Wait until what came is checked and copied: that must not be in the next one's figure."""

    def idle() -> bool:
        with made.cloud.work() as work:
            return not operations.listing(work, operations.Filter(running=True))

    wait_until(idle, "an idle worker", 120)


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


def _key(made: Site, name: str) -> str:
    with made.cloud.work(write=True) as work:
        return tokens.create(work, work.actor.user_id or 0, name=name, days=1)[1]


def _by_ovc(made: Site, file: Path, name: str) -> None:
    url = f"http://{LOOPBACK}:{made.web}"
    command = [sys.executable, "-c", OVC, "images", "upload", str(file)]
    subprocess.run(
        [*command, "--pool", "Cloud", "--name", name],
        env={"OVC_URL": url, "OVC_TOKEN": _key(made, name), "HOME": str(file.parent),
             "LC_ALL": "C.UTF-8", "PYTHONPATH": ":".join(sys.path)},
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
