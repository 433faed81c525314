"""Records which tests prove which rows of docs/requirements.md; script/ledger reads the record.

A run of everything replaces the record, any other run only brings the tests up to date that it
ran. The requirements of a test travel with its report, because tests run in processes of xdist.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "var/test-results.json"
REQUIREMENTS = ROOT / "docs/requirements.md"
PROPERTY = "requirement"


def known_ids() -> set[str]:
    return set(re.findall(r"^\| ([A-Z]+-\d+) \|", REQUIREMENTS.read_text(), re.MULTILINE))


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # not a process of xdist: the one that gets reports
        config.pluginmanager.register(Recorder(config), "requirements-recorder")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    known = known_ids()
    for item in items:
        for mark in item.iter_markers(PROPERTY):
            if unknown := set(mark.args) - known:
                raise pytest.UsageError(f"{item.nodeid} names unknown requirements: {unknown}")
            item.user_properties += [(PROPERTY, requirement) for requirement in mark.args]


class Recorder:
    def __init__(self, config: pytest.Config) -> None:
        self._tests: dict[str, dict[str, Any]] = {}
        self._everything = not any(
            (
                config.option.keyword,
                config.option.markexpr,
                config.option.lf,
                config.option.deselect,
            )
        ) and config.args == config.getini("testpaths")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        ids = sorted({str(value) for name, value in report.user_properties if name == PROPERTY})
        test = self._tests.setdefault(report.nodeid, {"outcome": "passed", "requirements": ids})
        if report.outcome != "passed" and test["outcome"] != "failed":
            test["outcome"] = report.outcome

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        complete = self._everything and exitstatus in (
            pytest.ExitCode.OK,
            pytest.ExitCode.TESTS_FAILED,
        )
        if not self._tests:
            return
        before = {} if complete or not RECORD.exists() else json.loads(RECORD.read_text())["tests"]
        record = {
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "complete": complete,
            "tests": dict(sorted((before | self._tests).items())),
        }
        RECORD.parent.mkdir(exist_ok=True)
        RECORD.write_text(json.dumps(record, indent=1) + "\n")
