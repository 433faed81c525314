"""What a refusal says: what was refused, the figures, the level, and what would help."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ovcadmin.domain.amounts import show as amount
from ovcadmin.domain.quota import LABELS, phrase


@dataclass(frozen=True, kw_only=True)
class Freeing:
    """A machine that the reader may see, and what it holds of what is short."""

    id: int
    name: str
    amount: str


@dataclass(frozen=True, kw_only=True)
class Block:
    """A limit that left no room, its amounts as text."""

    pool_id: int
    pool: str
    label: str
    used: str
    pending: str
    wanted: str
    limit: str
    short: str
    machines: Sequence[Freeing] = ()
    """Those that would free enough together."""
    seen: bool = True
    """Whether the reader may open the pool."""

    @classmethod
    def of(cls, block: dict[str, Any], *, seen: bool = True) -> Block:
        resource = block["resource"]
        figures = {
            name: amount(resource, block[name])
            for name in ("used", "pending", "wanted", "limit", "short")
        }
        machines = [
            Freeing(id=one["id"], name=one["name"], amount=phrase(resource, one["frees"]))
            for one in block.get("machines", ())
        ]
        return cls(
            pool_id=block["pool_id"],
            pool=block["pool"],
            label=LABELS[resource],
            machines=machines,
            seen=seen,
            **figures,
        )


@dataclass(frozen=True, kw_only=True)
class Step:
    """One level of the chain in words: what it has left of what was wanted."""

    pool_id: int
    pool: str
    seen: bool
    figures: Sequence[str]
    blocks: bool

    @classmethod
    def of(cls, level: dict[str, Any]) -> Step:
        return cls(
            pool_id=level["pool_id"],
            pool=level["pool"],
            seen=level["visible"],
            figures=[_figures(one) for one in level["resources"]],
            blocks=any(one["blocks"] for one in level["resources"]),
        )


def _figures(one: dict[str, Any]) -> str:
    resource = one["resource"]
    if one["limit"] is None:
        return f"{LABELS[resource]}: no limit"
    left = one["limit"] - one["used"] - one["pending"]
    room = amount(resource, left) if left > 0 else "nothing"
    return f"{LABELS[resource]}: {room} left of {amount(resource, one['limit'])}"


@dataclass(frozen=True, kw_only=True)
class Plea:
    """What the owner of one level can be asked for: plain counts, for the form."""

    pool_id: int
    pool: str
    amounts: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Refusal:
    what: str
    blocks: list[Block]
    hosts: list[str]
    """Why each host cannot take the machine."""
    help: str
    pool_id: int | None = None
    """The pool in which it was refused."""
    chain: Sequence[Step] = ()
    pleas: Sequence[Plea] = ()
    article: str = ""
    """On the code; it knows which machine is at hand, for the buttons in it."""

    @classmethod
    def of(cls, problem: Any) -> Refusal:
        """Read a problem (code, text and context of a domain error)."""
        given, levels = problem.context.get("blocks", ()), problem.context.get("levels", ())
        seen = {level["pool_id"] for level in levels if level["visible"]}
        blocks = [Block.of(block, seen=not levels or block["pool_id"] in seen) for block in given]
        judged: dict[str, list[str]] = problem.context.get("hosts", {})
        hosts = [reason for reasons in judged.values() for reason in reasons]
        first, dot, _ = problem.text.partition(". ") if blocks else (problem.text, "", "")
        if hosts:
            first, dot, _ = problem.text.partition(": ")[0], ".", ""
        return cls(
            what=first + dot.strip(),
            blocks=blocks,
            hosts=hosts,
            help=_help(given, by_hosts=bool(hosts)),
            pool_id=problem.context.get("pool_id"),
            chain=[Step.of(level) for level in levels],
            pleas=_pleas(given) if levels else (),
            article=_article(problem),
        )


def _article(problem: Any) -> str:
    machine_id = problem.context.get("machine_id")
    return f"{problem.article}?machine={machine_id}" if machine_id else str(problem.article)


def _pleas(blocks: Sequence[dict[str, Any]]) -> list[Plea]:
    """One plea a level; a person's share is his pool owner's own matter."""
    found: dict[int, Plea] = {}
    for block in blocks:
        if block.get("person"):
            continue
        plea = Plea(pool_id=block["pool_id"], pool=block["pool"], amounts={})
        plea = found.setdefault(block["pool_id"], plea)
        plea.amounts[block["resource"]] = block["short"]
    return list(found.values())


def _help(blocks: Any, *, by_hosts: bool) -> str:
    if by_hosts:
        return "A smaller size, a machine stopped on one of these hosts, or one more host would do."
    several = len(blocks) > 1
    ways = [_way_out(block, " there" if several else "") for block in blocks]
    return " ".join(["Each of them must give way.", *ways] if several else ways)


def _way_out(block: dict[str, Any], there: str = "") -> str:
    where = f"{phrase(block['resource'], block['short'])} in {block['pool']}"
    if block["resource"] == "storage":
        return (
            f"Freeing {where} would be enough{there}: delete machines there (stopping one frees "
            "no storage), or have the limit raised."
        )
    return (
        f"Freeing {where} would be enough{there}: stop or save machines there, or have the limit "
        "raised."
    )
