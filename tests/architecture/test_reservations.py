"""Reservations are written in one place, which counts what each change means for the pools."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "ovcadmin"
PLACES = {
    "Reservation": ROOT / "services/reservations.py",
    "PoolUse": ROOT / "services/quota_check.py",  # builds the counters anew
}


def _writes(path, table):
    """Return the lines that make, insert, change or delete rows of the table."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        about = bool(node.args) and isinstance(node.args[0], ast.Name) and node.args[0].id == table
        if node.func.id == table or (node.func.id in ("insert", "update", "delete") and about):
            yield f"{path.relative_to(ROOT)}:{node.lineno}"


@pytest.mark.parametrize("table", PLACES)
def test_only_one_room_writes_what_is_counted(table):
    others = [path for path in ROOT.rglob("*.py") if path != PLACES[table]]
    assert [line for path in others for line in _writes(path, table)] == []
