"""What steps of articles may do: a short list of words, each declared here and nowhere else.

An article writes `{do machine.start}` for a button, `{go machine.console}` for a way to a page of
the reader's own things, and `{tick done machine.start}` for a mark that is set when the reader has
done it.  A word that is not listed here stays text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ovcadmin.domain.states import Action

MARK = re.compile(r"\{(do|go|tick) ([a-z_.]{1,40})(?: ([a-z_.]{1,40}))?(?: ([1-9]))?\}")


@dataclass(frozen=True, kw_only=True)
class Deed:
    """Something that a button does to a machine, after the reader confirmed it."""

    name: str
    label: str
    action: Action


@dataclass(frozen=True, kw_only=True)
class Way:
    """A page about something of the reader's own."""

    name: str
    label: str
    route: str
    kind: str
    """`machine` or `pool`; blank: the page is about nothing in particular."""
    privilege: str = "view"
    query: str = ""
    """The pool goes into the query under this name instead of into the path."""
    from_above: bool = False
    """The privilege is needed on the pool above it."""


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A mark: an operation of the reader that is done, or an action that the audit log tells."""

    kind: str
    """`done` or `did`."""
    what: str
    times: int = 1


_SAFE = {
    Action.START: "Start it",
    Action.SHUTDOWN: "Shut it down",
    Action.REBOOT: "Reboot it",
    Action.SUSPEND: "Suspend it",
    Action.RESUME: "Resume it",
    Action.SAVE: "Save it",
    Action.RESTORE: "Restore it",
}
"""What loses nothing; the rest has pages that say what is lost, and ways lead there."""
DEEDS = {
    f"machine.{action.value}": Deed(name=f"machine.{action.value}", label=label, action=action)
    for action, label in _SAFE.items()
}
WAYS = {
    way.name: way
    for way in (
        Way(name="machine", label="Open the machine", route="machine", kind="machine"),
        Way(
            name="machine.console",
            label="Open its console",
            route="machine_console",
            kind="machine",
            privilege="control",
        ),
        Way(
            name="machine.new",
            label="Open the form",
            route="machine_new",
            kind="pool",
            privilege="create",
            query="pool",
        ),
        Way(name="pool", label="Open the pool", route="pool", kind="pool"),
        Way(
            name="pool.new",
            label="Open the form",
            route="pool_new",
            kind="pool",
            privilege="modify",
            query="parent",
        ),
        Way(
            name="pool.people",
            label="Open its people",
            route="pool_grants",
            kind="pool",
            privilege="see_grants",
        ),
        Way(
            name="pool.quota",
            label="Open its quota",
            route="pool_quota",
            kind="pool",
            privilege="set_quota",
            from_above=True,
        ),
        Way(name="forecast", label="Open the forecast", route="pool_forecast", kind="pool"),
        Way(name="tokens", label="Open your tokens", route="profile", kind=""),
    )
}
DID = frozenset({
    "console.open", "token.create", "pool.create", "quota.set", "grant.give", "note.write",
    "article.publish", "view_as.begin", "machine.tag",
})  # fmt: skip
"""Actions of the audit log that a mark may wait for."""


def tick(kind: str, what: str, times: str | None) -> Tick | None:
    """Read the words of a mark; None for words that say nothing."""
    known = kind == "done" or (kind == "did" and what in DID)
    return Tick(kind=kind, what=what, times=int(times or 1)) if known and "." in what else None
