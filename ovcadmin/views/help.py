"""Help: the keys, the words of states, and the articles on error codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyramid.view import view_config

from ovcadmin import errors
from ovcadmin.answers import article_path
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.services import knowledge
from ovcadmin.services.machines import Badge
from ovcadmin.views.pages import Page

STATES = (
    (Badge(word="running", shape="circle", tone="running"), "The host says that it runs."),
    (Badge(word="stopped", shape="square", tone="stopped"),
     "It is off: it takes storage and nothing else of a quota."),
    (Badge(word="suspended", shape="bars", tone="warning"),
     "Its CPUs are halted; it stays in memory and counts like a running one."),
    (Badge(word="saved", shape="tray", tone="stopped"),
     "Its memory is on disk; it goes on from there when restored."),
    (Badge(word="starting", shape="ring", tone="busy", percent=62),
     "An operation is under way; the percent is how far."),
    (Badge(word="create failed", shape="triangle", tone="error"),
     "It could not be made; its operation says why."),
    (Badge(word="unknown", shape="diamond", tone="unknown"),
     "Its host does not answer; it still counts for quota."),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class HelpPage(Page):
    states: Sequence[tuple[Badge, str]]
    articles: Sequence[tuple[str, str, str]]
    """Code, title and address of each article on an error."""


@view_config(route_name="help", request_method="GET", renderer="help/help.pt", permission=SIGNED_IN)
def show_help(_request: Any) -> dict[str, Any]:
    page = HelpPage(
        title="Help",
        section="help",
        states=STATES,
        articles=[
            (code, article.title, article_path(code))
            for code in sorted(errors.codes())
            if (article := knowledge.error_article(code))
        ],
    )
    return {"page": page}
