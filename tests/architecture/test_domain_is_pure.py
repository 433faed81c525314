"""The rules of the domain need nothing but the standard library, and do no input or output."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OWN = {"ovcadmin.domain", "ovcadmin.errors"}
OUTSIDE = {"asyncio", "http", "multiprocessing", "os", "pathlib", "socket", "sqlite3", "subprocess"}
SOURCES = [ROOT / "ovcadmin/errors.py", *sorted((ROOT / "ovcadmin/domain").rglob("*.py"))]


def _imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_domain_imports_the_standard_library_only(path):
    for name in _imports(path):
        if ".".join(name.split(".")[:2]) in OWN:
            continue
        top = name.split(".")[0]
        assert top in sys.stdlib_module_names - OUTSIDE, f"{path.name} imports {name}"
