"""Tables of machines: the filter in words, sorting, paging, and what can be done with many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ovcadmin.domain.states import TABLE, Action, plain
from ovcadmin.services import machine_lists, machines
from ovcadmin.services.machine_lists import Filter, Row
from ovcadmin.views import filters
from ovcadmin.views.filters import Box
from ovcadmin.views.tables import Column, Heading, Pager, address, columns, pager, whole_number

HEADINGS = (
    Heading(label="Name", sort="name"),
    Heading(label="State", sort="state"),
    Heading(label="Host", sort="host"),
    Heading(label="vCPUs", sort="vcpus", number=True),
    Heading(label="Memory", sort="memory", number=True),
    Heading(label="Storage", sort="storage", number=True),
    Heading(label="Pool", sort="pool"),
    Heading(label="Owner", sort="owner"),
    Heading(label="Since", sort="since", number=True),
)
WORDS = ("state", "owner", "host", "tag")
"""Filter words: `state:running owner:anna web`."""
FIRST_ACTIONS = (Action.START, Action.SHUTDOWN)
CONFIRMED = (Action.POWER_OFF, Action.RESET, Action.BIN, Action.DELETE)
"""What loses something: asked once more, naming what."""
IN_BIN = frozenset({Action.UNBIN, Action.DELETE})
"""What can be done with a machine in the bin."""
FORMS: dict[Action, str] = {
    Action.SNAPSHOT: "machine_snapshots",
    Action.CLONE: "machine_clone",
    Action.RESIZE: "machine_resize",
    Action.MIGRATE: "machine_migrate",
}
"""Route of the page where an action's form stands; without a row it has no link here."""


def read(text: str) -> tuple[Box, Filter]:
    """Read a filter; a word without a colon is part of a name, a MAC or a uuid."""
    asked = filters.read(text, WORDS, label="Filter machines", example="state:running owner:anna")
    state, owner, host, tag = (asked.found.get(word, "") for word in WORDS)
    return asked, Filter(text=asked.text, state=state, owner=owner, host=host, tag=tag)


@dataclass(frozen=True, kw_only=True)
class Verb:
    """A button of the toolbar."""

    action: Action
    label: str
    danger: bool
    route: str = "machine_action"
    asks: bool = False
    """Whether it leads to a page first: a form to fill in, or a word of warning."""


def verbs(privileges: frozenset[str], *, binned: bool = False) -> list[Verb]:
    """Return what the user may ask of many machines, in the order of the state table."""
    offered = IN_BIN if binned else (set(plain()) | {Action.SNAPSHOT}) - {Action.UNBIN}
    return [
        Verb(action=action, label=row.label, danger=action in CONFIRMED)
        for action, row in TABLE.items()
        if action in offered and machines.privilege(action) in privileges
    ]


@dataclass(frozen=True, kw_only=True)
class MachineTable:
    rows: Sequence[Row]
    columns: Sequence[Column]
    pager: Pager
    box: Box
    states: Sequence[tuple[str, int, str]]
    """Shown state, how many machines are in it, address of the list narrowed to it."""
    path: str
    fragment: str
    verbs: Sequence[Verb]

    @property
    def q(self) -> str:
        return self.box.q

    @property
    def narrowed(self) -> bool:
        return bool(self.q)

    @property
    def plain(self) -> bool:
        """Whether words were typed that are no filter."""
        return bool(self.q) and ":" not in self.q

    @property
    def first_verbs(self) -> list[Verb]:
        return [verb for verb in self.verbs if verb.action in FIRST_ACTIONS]

    @property
    def more_verbs(self) -> list[Verb]:
        return [verb for verb in self.verbs if verb.action not in FIRST_ACTIONS]

    @classmethod
    def of(
        cls, request: Any, *, path: str, fragment: str, pool_id: int | None = None
    ) -> MachineTable:
        """Read the address and make the table; the list is within `pool_id`'s subtree."""
        q = request.GET.get("q", "").strip()
        box, asked = read(q)
        narrowed = replace(
            asked,
            pool_id=pool_id,
            sort=request.GET.get("sort", "name"),
            page=whole_number(request.GET.get("page", ""), 1),
        )
        counts = machine_lists.counts(request.work, Filter(pool_id=pool_id))
        page = machine_lists.listing(
            request.work, narrowed, total=None if q else sum(counts.values())
        )
        return cls(
            rows=page.rows,
            columns=columns(request, path, HEADINGS, narrowed.sort),
            pager=pager(request, path, page=page.page, pages=page.pages, total=page.total,
                        size=narrowed.size),
            box=replace(box, path=path),
            states=_states(request, path, counts),
            path=path,
            fragment=address(request, fragment),
            verbs=verbs(request.context.privileges),
        )  # fmt: skip


def _states(request: Any, path: str, counts: dict[str, int]) -> list[tuple[str, int, str]]:
    return [
        (state, counts[state], address(request, path, q=f"state:{state}", page=None))
        for state in sorted(counts, key=lambda state: -counts[state])
    ]
