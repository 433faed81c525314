"""Getting Started: the quick tutorial, a tab for each part of a first hour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyramid.view import view_config

from ovcadmin.errors import NotFound
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.services import knowledge
from ovcadmin.services.knowledge import Article
from ovcadmin.views.pages import Page


@dataclass(frozen=True, kw_only=True)
class TutorialPage(Page):
    tabs: Sequence[Article]
    shown: Article
    following: Article | None


@view_config(
    route_name="getting_started",
    request_method="GET",
    renderer="getting_started/tab.pt",
    permission=SIGNED_IN,
)
@view_config(
    route_name="getting_started_tab",
    request_method="GET",
    renderer="getting_started/tab.pt",
    permission=SIGNED_IN,
)
def show(request: Any) -> dict[str, Any]:
    tabs = knowledge.tutorial()
    names = [tab.slug for tab in tabs]
    wanted = request.matchdict.get("tab", names[0])
    if wanted not in names:
        raise NotFound("The tutorial has no such part.")
    place = names.index(wanted)
    return {
        "page": TutorialPage(
            title="Getting Started",
            section="getting_started",
            tabs=tabs,
            shown=tabs[place],
            following=tabs[place + 1] if place + 1 < len(tabs) else None,
        )
    }
