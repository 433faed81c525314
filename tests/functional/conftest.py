"""The console under test, on SQLite and on PostgreSQL; one application each for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.functional.world import Browser, World


@pytest.fixture(scope="session")
def worlds() -> Iterator[dict[str, World]]:
    """The applications made so far, by kind of database: making one takes a second or two."""
    made: dict[str, World] = {}
    yield made
    for world in made.values():
        world.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request, worlds, tmp_path_factory) -> World:
    """An empty console after its first run."""
    return _world(request.param, request, worlds, tmp_path_factory)


@pytest.fixture
def sqlite_world(request, worlds, tmp_path_factory) -> World:
    """The same on SQLite only, for what the database has no part in."""
    return _world("sqlite", request, worlds, tmp_path_factory)


def _world(kind, request, worlds, tmp_path_factory) -> World:
    if kind not in worlds:
        directory = tmp_path_factory.mktemp(kind)
        if kind == "sqlite":
            url = f"sqlite:///{directory}/ovcadmin.db"
        else:
            url = request.getfixturevalue("postgres_server").new_database()
        worlds[kind] = World(url, directory)
    worlds[kind].reset()
    return worlds[kind]


@pytest.fixture
def visitor(world) -> Iterator[Browser]:
    return world.anonymous()
