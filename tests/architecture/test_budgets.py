"""Budgets: a file that fits a reader's head, a function that fits a screen."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE_LINES = 400
FUNCTION_LINES = 50
EXEMPT = ("ovcadmin/routes.py", "ovcadmin/models/migrations/")
"""One long list by nature, and history that is not edited."""

SOURCES = sorted(
    path
    for folder in ("ovcadmin", "bench", "tests")
    for path in (ROOT / folder).rglob("*.py")
    if not str(path.relative_to(ROOT)).startswith(EXEMPT)
)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_and_its_functions_keep_the_budget(path):
    source = path.read_text()
    assert len(source.splitlines()) <= FILE_LINES
    long = [
        f"{node.name}, line {node.lineno}: {lines} lines"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES
    ]
    assert not long
