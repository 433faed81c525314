"""The scripts, as a newcomer runs them, in a copy of the checkout."""

import json
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import httpx
import psutil
import pytest

from tests.rig.base import ROOT, spawn, wait_until
from tests.rig.network import free_ports

INI = """
[app:main]
use = egg:ovcadmin
ovc.data_dir = %(here)s/var
ovc.database_url = sqlite:///%(here)s/var/ovcadmin.db
ovc.gateway_listen = 127.0.0.1:{front}
ovc.gateway_front = true
ovc.web_listen = 127.0.0.1:{web}
ovc.local_host = none
ovc.starter_image = %(here)s/var/starter.img
"""


@pytest.fixture
def checkout(tmp_path):
    """A copy of the checkout that shares what costs minutes to install."""
    # Up to date beforehand: else the copy would install itself into what it shares.
    subprocess.run([ROOT / "script/bootstrap", "test"], check=True)
    copy = tmp_path / "checkout"
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split("\0")  # fmt: skip
    for name in filter(None, files):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    for name in (".venv", "static/vendor"):
        (copy / name).symlink_to(ROOT / name)
    return copy


class Server:
    """`script/server` in a checkout, told to stop at the end."""

    def __init__(self, checkout: Path) -> None:
        self.front, web = free_ports(2)
        self.ini = checkout / "private.ini"
        self.ini.write_text(INI.format(front=self.front, web=web))
        self.checkout = checkout

    def run(self):
        """Start it and wait for its word; return what it printed, and the process."""
        log = self.checkout / "server.log"
        log.unlink(missing_ok=True)
        process = spawn(self.checkout / "script/server", self.ini, log=log, death="INT")
        wait_until(
            lambda: process.poll() is not None or b"is served on" in log.read_bytes(),
            "the server", 100, log=log,
        )  # fmt: skip
        return log.read_text(), process

    def stop(self, process) -> None:
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert not [child for child in family if child.is_running()]

    def status(self) -> int:
        command = [self.checkout / ".venv/bin/ovcadmin", "status", self.ini]
        return subprocess.run(command, check=False, capture_output=True).returncode


@pytest.mark.requirement("OVC-01")
def test_one_command_brings_everything_up_and_ctrl_c_takes_it_down(checkout):
    server = Server(checkout)
    said, process = server.run()
    assert re.search(r"^User: +admin$", said, re.MULTILINE)
    assert re.search(r"^Password: +\S{12,} ", said, re.MULTILINE)
    assert server.status() == 0
    assert httpx.get(f"http://127.0.0.1:{server.front}/signin").status_code == 200
    assert (checkout / "var/starter.img").stat().st_size == 32 << 20
    server.stop(process)
    assert server.status() == 1

    said, process = server.run()
    assert "Password" not in said
    assert "building" not in said
    assert server.status() == 0
    server.stop(process)


def test_a_second_bootstrap_has_nothing_to_do(checkout):
    command = [checkout / "script/bootstrap", "test"]
    subprocess.run(command, check=True)
    began = time.monotonic()
    again = subprocess.run(command, check=True, capture_output=True, text=True)
    assert (again.stdout, again.stderr) == ("", "")
    assert time.monotonic() - began < 10  # under a second when nothing else runs


def test_the_ledger_tells_what_the_last_run_proved(checkout):
    tests = {
        "tests/a.py::test_one[sqlite]": ("passed", ["PEER-06"]),
        "tests/a.py::test_one[postgresql]": ("passed", ["PEER-06"]),
        "tests/a.py::test_two": ("failed", ["PEER-07"]),
        "tests/b.py::test_three": ("passed", ["PEER-07", "PEER-08"]),
        "tests/b.py::test_four": ("skipped", ["PEER-09"]),
    }
    record = {
        name: {"outcome": outcome, "requirements": ids} for name, (outcome, ids) in tests.items()
    }
    (checkout / "var").mkdir()
    (checkout / "var/test-results.json").write_text(json.dumps({"tests": record}))

    def ledger(*arguments: str) -> str:
        command = [checkout / "script/ledger", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    rows = json.loads(ledger("--json"))
    assert rows["PEER-06"] == {"status": "proven", "tests": ["tests/a.py::test_one"]}
    assert rows["PEER-07"]["status"] == "failing"
    assert rows["PEER-08"] == {"status": "proven", "tests": ["tests/b.py::test_three"]}
    assert rows["PEER-09"]["status"] == "failing"
    assert rows["PEER-10"] == {"status": "untested", "tests": []}

    ledger()
    text = (checkout / "docs/requirements.md").read_text()
    assert re.search(r"^\| PEER-08 \|.*\| S \| proven \| b.py::test_three \|$", text, re.MULTILINE)
    ledger()
    assert (checkout / "docs/requirements.md").read_text() == text
    assert len(re.findall(r"^\| [A-Z]+-\d+ \|", text, re.MULTILINE)) == len(rows)


@pytest.mark.requirement("OVC-49")
def test_the_repository_has_a_licence():
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")
