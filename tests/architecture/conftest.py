"""The assembled application, to look at; nothing is asked of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import ovcadmin


@pytest.fixture(scope="session")
def app(tmp_path_factory) -> Iterator[Any]:
    directory = tmp_path_factory.mktemp("app")
    settings = {
        "ovc.database_url": f"sqlite:///{directory}/ovcadmin.db",
        "ovc.data_dir": str(directory),
        "ovc.log_level": "warning",
    }
    made = ovcadmin.main({}, **settings)
    yield made
    made.registry["database"].dispose()


@pytest.fixture(scope="session")
def views(app) -> list[dict[str, Any]]:
    """Every view of a route, as it was declared, with its `permission` and `templates`."""
    found = []
    permissions = {
        related: item["introspectable"]["value"]
        for item in app.registry.introspector.get_category("permissions")
        for related in item["related"]
    }
    for item in app.registry.introspector.get_category("views"):
        view = item["introspectable"]
        if view["route_name"] and not view["route_name"].startswith("__static"):
            templates = [part["name"] for part in item["related"] if part.type_name == "template"]
            found.append({**view, "permission": permissions.get(view), "templates": templates})
    return found
