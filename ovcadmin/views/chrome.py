"""What stands around every page: menu, pool tree, drawer, messages.

Templates have it as `chrome`; its parts are worked out when they are first asked for, so a
fragment, which shows none of them, does not pay for them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from markupsafe import Markup
from pyramid.events import BeforeRender, BeforeTraversal, subscriber

from ovcadmin.errors import DomainError
from ovcadmin.security.headers import SESSION_COOKIE
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import (
    changes,
    guest_addresses,
    help_cases,
    hosts,
    notes,
    operations,
    people,
    pools,
    quota_requests,
    storage,
    tags,
)
from ovcadmin.services.machines import Badge
from ovcadmin.services.pools import Node
from ovcadmin.views.forms import Problem
from ovcadmin.views.help_marks import Place, help_mark, place
from ovcadmin.views.marks import age_mark, badge_mark, clock_mark, exact_mark
from ovcadmin.views.pages import Page

THEME_COOKIE = "ovc_theme"
THEMES = ("system", "light", "dark")
DRAWER_ROWS = 20
WHOLE_TREE = 100
"""Up to so many pools the tree is sent whole; beyond it, what is near the present pool."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry of the menu.  `key` is pressed after g."""

    label: str
    section: str
    key: str


PEOPLE = "users"
"""Section of all that stands beside the pool tree."""
PEOPLE_TABS = (
    ("users", "Users"),
    ("groups", "Groups"),
    ("roles", "Roles"),
    ("realms", "Realms"),
    ("audit", "Audit log"),
    ("help_desk", "Help desk"),
)
FOR_SETTERS = ("realms",)
"""Only for those who set grants on the root."""
MENU = (
    Entry(label="Pools", section="pools", key="p"),
    Entry(label="Machines", section="machines", key="m"),
    Entry(label="Images", section="images", key="i"),
    Entry(label="Hosts", section="hosts", key="h"),
    Entry(label="Storage", section="storage", key="s"),
    Entry(label="People", section=PEOPLE, key="u"),
    Entry(label="Operations", section="operations", key="o"),
    Entry(label="Consumption", section="consumption", key="c"),
    Entry(label="Requests", section="quota_requests", key="r"),
    Entry(label="Knowledge base", section="knowledge", key="k"),
    Entry(label="Getting Started", section="getting_started", key="t"),
    Entry(label="Help", section="help", key="e"),
)


@dataclass
class Branch:
    """A pool of the tree with what is shown below it."""

    node: Node
    branches: list[Branch] = field(default_factory=list)
    here: bool = False
    path: bool = False
    """On the way to the present pool."""

    @property
    def hidden(self) -> bool:
        """Whether it has children that were left out."""
        return self.node.has_children and not self.branches


class Chrome:
    def __init__(self, request: Any) -> None:
        self.request = request
        self.now: datetime = request.work.now()

    @cached_property
    def menu(self) -> list[Entry]:
        """The entries that the user can make use of."""
        sees_people = Privilege.SEE_GRANTS in self.request.held_anywhere
        return [entry for entry in MENU if entry.section != PEOPLE or sees_people]

    @property
    def people_tabs(self) -> list[tuple[str, str]]:
        """Route and label of each page of People; the route is the page's `tab`."""
        sets = people.may_on_root(self.request.work, Privilege.SET_GRANTS)
        return [tab for tab in PEOPLE_TABS if sets or tab[0] not in FOR_SETTERS]

    def icon(self, name: str) -> str:
        return f"{self.request.registry['static_path']}img/icons.svg#{name}"

    def badge(self, badge: Badge) -> Markup:
        return badge_mark(badge, self.icon(badge.shape))

    def age(self, moment: datetime, suffix: str = "") -> Markup:
        return age_mark(moment, self.now, suffix)

    def ago(self, moment: datetime) -> Markup:
        return age_mark(moment, self.now, " ago")

    def help(self, key: str) -> Markup:
        """Return the sign that opens the article on a panel."""
        return help_mark(key)

    def help_place(self, key: str) -> Place:
        return place(key)

    clock = staticmethod(clock_mark)
    exact = staticmethod(exact_mark)

    @property
    def theme(self) -> str | None:
        chosen: str | None = self.request.cookies.get(THEME_COOKIE)
        return chosen if chosen in ("light", "dark") else None

    @property
    def back(self) -> str | None:
        """Address of our own page that led here, None when it is not known."""
        came = urlsplit(self.request.headers.get("Referer", ""))
        if came.netloc != self.request.host or came.path == self.request.path:
            return None
        return f"{came.path}?{came.query}" if came.query else came.path

    @property
    def change_before(self) -> int | None:
        """Number of the last change that the page surely shows."""
        number: int | None = getattr(self.request, "change_before", None)
        return number

    def tags(self, kind: str, number: int) -> list[str]:
        """Return the tags of a thing that the page is about."""
        return tags.of(self.request.work, kind, number)

    def notes(self, kind: str, number: int) -> notes.Board:
        """Return the notes on a thing that the user may read."""
        return notes.board(self.request.work, kind, number)

    def addresses(self, machine: Any) -> list[Any]:
        """Return the addresses that a machine was seen with."""
        return guest_addresses.of(self.request.work, machine)

    @cached_property
    def waiting(self) -> dict[str, int]:
        """How much waits for the user, by section of the menu; nothing, no entry."""
        if self.request.identity is None:
            return {}
        work = self.request.work
        found = {
            "quota_requests": quota_requests.counts(work).total,
            "help": help_cases.waiting(work),
        }
        return {section: count for section, count in found.items() if count}

    @cached_property
    def operations(self) -> list[Any]:
        return operations.listing(self.request.work, operations.Filter(limit=DRAWER_ROWS))

    @cached_property
    def seen_hosts(self) -> frozenset[int]:
        """Ids of the hosts that the user may see: others are named without a link."""
        return hosts.seen(self.request.work)

    @cached_property
    def seen_stores(self) -> frozenset[int]:
        return frozenset(store.id for store in storage.listing(self.request.work))

    def plain(self, title: str) -> Page:
        """Return what the frame needs of a page that is about no object."""
        return Page(title=title, section="")

    def problem(self, error: DomainError, article: str) -> Problem:
        return Problem(code=error.code, text=error.text, article=article, context=error.context)

    def tree(self, pool_id: int | None) -> list[Branch]:
        """Return the pools that the user may see, opened at `pool_id`."""
        nodes = pools.tree(self.request.work)
        return grow(nodes, pool_id, whole=len(nodes) <= WHOLE_TREE)


def grow(nodes: list[Node], here: int | None, *, whole: bool) -> list[Branch]:
    """Make branches of nodes in tree order.

    Not `whole`: only the top two levels, the way to `here`, and what is around it.
    """
    path = _way(nodes, here)
    roots: list[Branch] = []
    above: list[Branch] = []
    for node in nodes:
        del above[node.depth :]
        if len(above) < node.depth:
            continue  # its parent was left out
        branch = Branch(node=node, here=node.pool.id == here, path=node.pool.id in path)
        if not (whole or node.depth < 2 or above[-1].path):
            continue
        (above[-1].branches if above else roots).append(branch)
        above.append(branch)
    return roots


def _way(nodes: list[Node], here: int | None) -> set[int]:
    """Return the ids from the topmost shown pool down to `here`."""
    chain: list[int] = []
    for node in nodes:
        del chain[node.depth :]
        chain.append(node.pool.id)
        if node.pool.id == here:
            return set(chain)
    return set()


@subscriber(BeforeTraversal)
def note_change(event: Any) -> None:
    """Note how far the change feed was before the page reads anything.

    The page's live stream begins there, so what changes while the page is made and sent is not
    lost between the two.
    """
    request = event.request
    name = request.matched_route.name if request.matched_route else "api."
    if (
        request.method == "GET"
        and SESSION_COOKIE in request.cookies
        and not name.startswith(("api.", "__static"))
        and not name.endswith("_fragment")
    ):
        request.change_before = changes.latest(request.work)


@subscriber(BeforeRender)
def add_chrome(event: Any) -> None:
    request = event.get("request")
    if request is not None:
        event.setdefault("chrome", Chrome(request))
