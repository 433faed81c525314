"""Fixtures that every level of the tests may ask for: the services of tests/rig, shared.

Each test process (xdist worker) has its own services; what is costly to start lives as long as
the process, what a test may spoil is fresh for each test.
"""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser, ConsoleMessage, Page
from sqlalchemy import Engine, event
from xdist.scheduler import LoadScopeScheduling

from tests import rig
from tests.rig.base import tracebacks

pytest_plugins = ["tests.ledger_plugin"]

# A busy machine makes hypothesis slow, and no rule wrong.
settings.register_profile("console", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("console")


SERVED = ("tests/browser/", "tests/contract/", "tests/integration/")
"""Tests that share services within their module."""


class ByServices(LoadScopeScheduling):
    """One process runs a module whose tests share services, so that these start once."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.partition("::")[0] if nodeid.startswith(SERVED) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByServices:
    return ByServices(config, log)


def pytest_configure() -> None:
    """A run in the background inherits that Ctrl-C is ignored; what it starts must not."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@event.listens_for(Engine, "connect")
def _turn_round(connection: Any, _record: Any) -> None:
    """Rows that nobody asked to be ordered come in reverse from SQLite: who relies on it fails.

    PostgreSQL promises no order either, but breaks it once in a hundred runs.
    """
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA reverse_unordered_selects=ON")


@pytest.fixture(scope="session")
def starter_image() -> Path:
    """The starter image; copy it, never write to it."""
    return rig.starter_image()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[rig.PostgresServer]:
    with rig.postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: rig.PostgresServer) -> str:
    """Address of an empty PostgreSQL database."""
    return postgres_server.new_database()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Address of an SQLite database that does not exist yet."""
    return f"sqlite:///{tmp_path}/ovcadmin.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Address of an empty database: the test runs on both kinds."""
    name = {"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param]
    return str(request.getfixturevalue(name))


@pytest.fixture(scope="session")
def shared_host() -> Iterator[rig.LibvirtHost]:
    with rig.libvirt_host() as host:
        yield host


@pytest.fixture
def libvirt_host(shared_host: rig.LibvirtHost) -> Iterator[rig.LibvirtHost]:
    """A real libvirt host without domains and pools; `rig.libvirt_host()` makes further ones."""
    yield shared_host
    shared_host.recover()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with rig.chromium() as chromium:
        yield chromium


@pytest.fixture
def complaints() -> list[str]:
    """What the page's console complained of; a test that provokes an error takes it out."""
    return []


@pytest.fixture
def page(browser: Browser, complaints: list[str]) -> Iterator[Page]:
    """A page in a fresh profile; what its console complains of fails the test."""
    context = browser.new_context()
    page = context.new_page()

    def listen(message: ConsoleMessage) -> None:
        advice = "willReadFrequently" in message.text  # on the speed of the screen's library
        if message.type in ("error", "warning") and not advice:
            complaints.append(f"{message.text} ({message.location.get('url')})")

    page.on("console", listen)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == [], tracebacks()
