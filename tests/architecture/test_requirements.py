"""What the programs import is what requirements/runtime.txt installs."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions

import pytest

from tests.rig.base import ROOT

OPTIONAL = {"gssapi": "ovcadmin/drivers/directory/kerberos.py"}
"""Modules that one file alone may import; it is imported only where its option is used."""
FILES = sorted(path.relative_to(ROOT) for path in (ROOT / "ovcadmin").rglob("*.py"))


def imported(source: str) -> set[str]:
    """The top names of all absolute imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(str(node.module).partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"ovcadmin"}


@pytest.fixture(scope="module")
def installed():
    """The modules that the runtime lock brings."""
    locked = (ROOT / "requirements/runtime.txt").read_text()
    names = {_plain(name) for name in re.findall(r"^([\w.-]+)==", locked, re.MULTILINE)}
    distributions = packages_distributions()
    return {module for module, owners in distributions.items() if names & set(map(_plain, owners))}


def _plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_everything_that_is_imported_is_in_the_runtime_lock(installed):
    for file in FILES:
        for module in imported((ROOT / file).read_text()) - installed:
            assert OPTIONAL.get(module) == str(file), f"{file} imports {module}"


def test_what_is_optional_is_imported_where_it_is_used():
    """Loading any program must not need it."""
    for module, file in OPTIONAL.items():
        name = file.removesuffix(".py").replace("/", ".")
        for other in FILES:
            tree = ast.parse((ROOT / other).read_text())
            at_once = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
            assert name not in {node.module for node in at_once}, f"{other} needs {module}"
