"""Lost updates: what an address shows has a version (ETag), and a change may name it (If-Match).

The version is that of the row, where it has one; else a digest of what can be changed there, so
that it stays the same while only a state or a figure moves.  `guard` compares for every call that
the contract lets take If-Match.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from pyramid.renderers import render

from ovcadmin.api import contract
from ovcadmin.api.contract import Call
from ovcadmin.api.lists import Listing
from ovcadmin.errors import Outdated, PreconditionMissing
from ovcadmin.security.contexts import turn
from ovcadmin.services import turns

SHOWS: dict[str, Callable[[Any, Any], Any]] = {}
"""The views that show something, by route; `endpoint` fills it."""


def guard(context: Any, request: Any, call: Call) -> None:
    """Let only those change a thing who saw it as it is, one after the other.

    Calls that talk to a directory and those that need If-Match look at it themselves.
    """
    if not call.guarded or call.apart:
        return
    turns.take(request.work, turn(context, request.path))
    if not call.must_name and "If-Match" in request.headers:
        _compare(request, _present(context, request, call))


def tell(context: Any, request: Any, call: Call, answer: Any) -> None:
    """Put the version into an answer that has one by the contract, unless its view did."""
    if not call.tells or "ETag" in request.response.headers or request.response.status_int >= 300:
        return
    if request.method == "GET":
        request.response.headers["ETag"] = f'"{_digest(request, call.shown_by, answer)}"'
    else:
        request.response.headers["ETag"] = f'"{_present(context, request, call)}"'


def _present(context: Any, request: Any, call: Call) -> str:
    """Return the version that the address has now, by what it shows."""
    shown = SHOWS[call.shown_by](context, request)
    told = request.response.headers.pop("ETag", None)
    return _bare(told) if told else _digest(request, call.shown_by, shown)


def version(request: Any, row: Any) -> int:
    """Return the version of the row that If-Match names, the present one for `*`.

    Raises `PreconditionMissing` without the header; `Outdated` when it is not of this row's kind.
    """
    wanted = _named(request)
    if wanted is None:
        present: int = row.version
        return present
    if not (wanted.isascii() and wanted.isdigit() and len(wanted) < 10):
        raise Outdated("If-Match names no version of this object.")
    return int(wanted)


def tell_version(request: Any, row: Any) -> None:
    request.response.headers["ETag"] = f'"{row.version}"'


def tell_content(request: Any, shape: dict[str, Any]) -> dict[str, Any]:
    """Return the shape, with its content's own ETag in the answer: for rows without a version."""
    request.response.headers["ETag"] = f'"{_hash(request, shape)}"'
    return shape


def ensure_unchanged(request: Any, shape: dict[str, Any]) -> None:
    """Raise `PreconditionMissing` without If-Match, `Outdated` when the content is another now."""
    wanted = _named(request)
    if wanted is not None:
        _ensure_same(wanted, _hash(request, shape))


def _compare(request: Any, present: str) -> None:
    wanted = _named(request)
    if wanted is not None:
        _ensure_same(wanted, present)


def _ensure_same(wanted: str, present: str) -> None:
    if wanted != present:
        raise Outdated("Somebody else changed this since you looked at it. Look at it again.")


def _named(request: Any) -> str | None:
    """Return the version that If-Match names; None is any."""
    wanted = request.headers.get("If-Match")
    if wanted is None:
        raise PreconditionMissing(
            "Say in If-Match which version you looked at: the ETag of the answer, or * for any."
        )
    return None if wanted.strip() == "*" else _bare(wanted)


def _bare(etag: str) -> str:
    return etag.strip().removeprefix("W/").strip('"')


def _digest(request: Any, route: str, shown: Any) -> str:
    if isinstance(shown, Listing):
        shown = {"items": shown.whole()}
    return _hash(request, _part(shown, contract.changes(route)))


def _part(shown: Any, names: frozenset[str]) -> Any:
    """Return of an object, or of each of a list, what can be changed; all where nothing can."""
    if "items" in shown:
        return [_part(one, names) for one in shown["items"]]
    known = names | {name.removesuffix("_id") for name in names}
    return {name: value for name, value in shown.items() if name in known} or shown


def _hash(request: Any, shape: Any) -> str:
    text = render("json", shape, request=request)
    return hashlib.sha256(text.encode()).hexdigest()[:24]
