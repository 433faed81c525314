"""The pages: one module a page family, a view is 5 to 15 lines, the rules are in services."""

from __future__ import annotations

from typing import Any


def includeme(config: Any) -> None:
    config.include("ovcadmin.views.rendering")
    config.include("ovcadmin.views.flash")
    config.scan("ovcadmin.views")
