"""Somebody at a shell with `ovc`, and nothing else, to work with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OVC = Path(sys.executable).with_name("ovc")
SECONDS = 180


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def table(self) -> list[list[str]]:
        """The cells of each row below the titles, as far as they hold no two spaces."""
        return [[cell.strip() for cell in line.split("  ") if cell] for line in self.lines[1:]]


class Shell:
    """Runs commands in an environment that knows no console but the one that it is given."""

    def __init__(self, home: Path, **environment: str) -> None:
        kept = {
            name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH") if name in os.environ
        }
        self.environment = {**kept, "HOME": str(home), "LC_ALL": "C.UTF-8", **environment}

    def but(self, **changed: str | None) -> Shell:
        """The same shell with other variables; None takes one away."""
        other = Shell(Path(self.environment["HOME"]))
        named = {**self.environment, **changed}
        other.environment = {name: value for name, value in named.items() if value is not None}
        return other

    def run(self, *words: object, stdin: str | None = None) -> Said:
        """Run a command and tell how it ended, whatever happened."""
        done = subprocess.run(
            [OVC, *map(str, words)],
            env=self.environment, input=stdin or "", capture_output=True, text=True,
            timeout=SECONDS, check=False,
        )  # fmt: skip
        return Said(done.returncode, done.stdout, done.stderr)

    def __call__(self, *words: object, stdin: str | None = None) -> Said:
        """Run a command that must succeed."""
        said = self.run(*words, stdin=stdin)
        assert said.code == 0, f"{words} ended with {said.code}: {said.out}{said.err}"
        return said

    def json(self, *words: object) -> Any:
        return self(*words, "--json").json

    def start(self, *words: object, **more: Any) -> subprocess.Popen[bytes]:
        """Start a command and leave it running."""
        return subprocess.Popen([OVC, *map(str, words)], env=self.environment, **more)
