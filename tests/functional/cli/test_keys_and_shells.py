"""Tokens in a key ring or a file of one's own, and completion in a real shell."""

from __future__ import annotations

import os
import pty
import select
import signal
import stat
import subprocess

import pytest

from tests.functional.cli.conftest import key_of
from tests.rig.base import wait_until
from tests.rig.ovc import OVC, Shell

RING = """
from keyring.backend import KeyringBackend
from pathlib import Path
import json, os

class Ring(KeyringBackend):
    priority = 9
    path = Path(os.environ["HOME"], "ring.json")
    def _all(self):
        return json.loads(self.path.read_text()) if self.path.exists() else {}
    def get_password(self, service, name):
        return self._all().get(f"{service}/{name}")
    def set_password(self, service, name, value):
        self.path.write_text(json.dumps({**self._all(), f"{service}/{name}": value}))
    def delete_password(self, service, name):
        found = self._all()
        del found[f"{service}/{name}"]
        self.path.write_text(json.dumps(found))
"""


@pytest.fixture
def home(tmp_path):
    (tmp_path / "ring.py").write_text(RING)
    return tmp_path


def test_a_token_is_kept_in_the_key_ring_and_nowhere_else(sqlite_world, url, home):
    token = key_of(sqlite_world, sqlite_world.admin())
    shell = Shell(home, PYTHONPATH=str(home), PYTHON_KEYRING_BACKEND="ring.Ring")
    assert "key ring" in shell("login", url, stdin=f"{token}\n").err
    profiles = (home / ".config/ovc/profiles.ini").read_text()
    assert token not in profiles
    assert token in (home / "ring.json").read_text()
    assert "admin@internal" in shell("whoami").out
    without = shell.but(PYTHON_KEYRING_BACKEND="keyring.backends.null.Keyring").run("whoami")
    assert (without.code, "key ring does not give" in without.err) == (5, True)
    shell("logout")
    assert token not in (home / "ring.json").read_text()


def test_without_a_key_ring_the_token_is_in_a_file_of_ones_own(sqlite_world, url, home):
    token = key_of(sqlite_world, sqlite_world.admin())
    shell = Shell(home, OVC_KEYRING="off")
    assert "profiles.ini" in shell("login", url, stdin=f"{token}\n").err
    kept = home / ".config/ovc/profiles.ini"
    assert token in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "admin@internal" in shell("whoami").out


@pytest.fixture
def completing(sqlite_world, shell):
    """A shell's environment with `ovc` on its path, and two pools that begin alike."""
    sqlite_world.pool("Engineering")
    sqlite_world.pool("Entrance")
    return {**shell.environment, "PATH": f"{OVC.parent}:/usr/bin:/bin", "TERM": "dumb"}


def _said(words, environment) -> list[str]:
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=100, check=True, env=environment
    )
    return done.stdout.splitlines()


def test_bash_completes_commands_and_the_names_of_now(completing):
    script = """
      source <(ovc completion bash)
      ask() {
        COMPREPLY=(); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        _ovc_completion ovc; echo "${COMPREPLY[@]}"
      }
      ask ovc mach
      ask ovc pools show En
    """
    commands, names = _said(["bash", "-c", script], completing)
    assert commands == "machines"
    assert names.split() == ["Engineering", "Entrance"]


def test_fish_completes_commands_and_the_names_of_now(completing):
    script = """
      ovc completion fish | source
      complete -C "ovc mach"
      complete -C "ovc pools show En"
    """
    command, *names = _said(["fish", "--no-config", "-c", script], completing)
    assert command.split("\t")[0] == "machines"
    assert [line.split("\t")[0] for line in names] == ["Engineering", "Entrance"]


def test_zsh_completes_commands_and_the_names_of_now(completing):
    """Zsh completes only while somebody types, so somebody types."""
    process, typed = pty.fork()
    if process == 0:
        os.execvpe("zsh", ["zsh", "-f", "-i"], completing)
    seen = bytearray()

    def shows(text: bytes) -> bool:
        if select.select([typed], [], [], 0.1)[0]:
            seen.extend(os.read(typed, 4096))
        return text in seen

    def types(keys: bytes, until: bytes) -> None:
        seen.clear()
        os.write(typed, keys)
        wait_until(lambda: shows(until), f"{until!r} after {keys!r}", 100)

    try:
        begin = (
            b'autoload -Uz compinit; compinit -u -D; source <(ovc completion zsh); echo gi""ven\n'
        )
        types(begin, b"given")
        types(b"ovc mach\t", b"ovc machines ")
        types(b"\x15ovc pools show Eng\t", b"Engineering ")
        types(b"\x15ovc pools show En\t", b"Entrance")
    finally:
        os.kill(process, signal.SIGKILL)
        os.close(typed)
        os.waitpid(process, 0)
