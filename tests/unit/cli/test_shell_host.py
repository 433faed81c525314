"""What a confined terminal may need is loaded before it can read no file any more."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import ovcadmin.cli

FILES = sorted(Path(ovcadmin.cli.__file__).parent.glob("*.py"))
ELSEWHERE = {"keyring", "keyring.backends"}
"""Needed only by commands about files of one's own machine."""
LOOK = """
import sys
from ovcadmin.cli.shell_host import _preload
_preload()
print([name for name in {names} if name not in sys.modules])
sys.meta_path[:] = []
import io
from rich.console import Console
from rich.progress import Progress
with Progress(console=Console(file=io.StringIO(), force_terminal=True)) as bar:
    bar.update(bar.add_task("Start web01", total=100), advance=50)
"""


def _imported_late(path: Path) -> Iterator[str]:
    """The modules that functions of this file import when they run."""
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Import):
                    yield from (alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom):
                    yield node.module or ""


def test_nothing_is_imported_after_a_terminal_is_confined():
    names = sorted({name for path in FILES for name in _imported_late(path)} - ELSEWHERE)
    assert "rich.progress" in names
    code = LOOK.format(names=names)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.stdout.strip(), ran.stderr) == ("[]", "")
