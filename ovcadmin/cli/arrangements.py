"""What a pool's owner arranges about quota: `ovc loans`, and more of `ovc pools`."""

from __future__ import annotations

from typing import Any

import click

from ovcadmin.cli import lowerings, moves, text
from ovcadmin.cli.command import Noun, Ovc, agreed, noun, yes_option
from ovcadmin.cli.failures import usage
from ovcadmin.cli.lowerings import Look
from ovcadmin.cli.names import id_of, option, reference
from ovcadmin.cli.output import Column
from ovcadmin.cli.text import clean

loans = noun("loans", "Loans: quota lent to a pool beside until a day.")

LOAN_COLUMNS = (
    Column("id", right=True),
    Column("lends"),
    Column("other"),
    Column("resource"),
    Column("amount", right=True),
    Column("lent", right=True),
    Column("until", show=text.moment),
    Column("note", usual=False),
    Column("grace_until", show=text.moment, usual=False),
)
PERSON_COLUMNS = (
    Column("who", show=lambda who: who or "everybody else"),
    Column("limits", show=lowerings.amounts),
    Column("used", show=lowerings.amounts),
)
POLICY_COLUMNS = (Column("warnings"), Column("defaults"))
RESOURCES = {
    "vcpus": text.COUNT,
    "memory": text.MEMORY,
    "nics": text.COUNT,
    "machines": text.COUNT,
    "redundancy": text.COUNT,
    "storage": text.STORAGE,
}


def _limits(function: Any) -> Any:
    for name, kind in reversed(RESOURCES.items()):
        function = click.option(f"--{name}", type=kind, help="`none` is no limit.")(function)
    return function


def _given(given: dict[str, Any]) -> dict[str, Any]:
    """Return the limits that were typed; what was not typed is no limit."""
    return {name: None if given[name] == text.NONE else given[name] for name in RESOURCES}


def _amount(resource: str, typed: str) -> int:
    found = RESOURCES[resource].convert(typed, None, None)
    if not isinstance(found, int):
        raise usage("Say how much, such as 4 or 8GiB.")
    return found


@loans.add("list", calls=["listLoans"], examples=["ovc loans list Web"])
@reference("pool")
def listing(ovc: Ovc, name: str) -> None:
    """List what a pool lends and borrows now."""
    found = ovc.client.get(f"/pools/{id_of(ovc.client, 'pool', name)}/loans")
    ovc.out.rows(found["items"], LOAN_COLUMNS)


@loans.add(
    "lend",
    calls=["lendQuota", "previewLoan"],
    examples=[
        "ovc loans lend Web --to Shop --resource vcpus --amount 4 --until 2027-01-31",
        "ovc loans lend Web --to Shop --resource memory --amount 8GiB --until 2027-01-31 --dry-run",
    ],
)
@reference("pool")
@option("pool", "The pool beside it that borrows.", flag="--to", required=True)
@click.option("--resource", type=click.Choice(list(RESOURCES)), required=True)
@click.option("--amount", required=True, metavar="AMOUNT", help="Such as 4 or 8GiB.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), required=True, metavar="DAY")
@click.option("--grace-days", type=click.IntRange(0, 30), default=0, help="It keeps what it uses.")
@click.option("--note", default="")
@moves.dry_run_option
@yes_option
def lend(
    ovc: Ovc, *, name: str, pool: str, until: Any, dry_run: bool, yes: bool, **given: Any
) -> None:
    """Lend an amount of a limit until a day."""
    body = {
        **given,
        "amount": _amount(given["resource"], given["amount"]),
        "borrower_id": id_of(ovc.client, "pool", pool),
        "until": f"{until:%Y-%m-%d}",
    }
    path = f"/pools/{id_of(ovc.client, 'pool', name)}/loans"
    look = Look(f"{path}/preview", body, f"Lend it to {clean(pool)}?")
    if lowerings.only_looked(ovc, look, dry_run=dry_run, yes=yes):
        return
    ovc.out.one(ovc.client.call("POST", path, body).body, LOAN_COLUMNS)


@loans.add("return", calls=["returnLoan"], examples=["ovc loans return 7 --yes"])
@click.argument("id", type=click.IntRange(min=1))
@yes_option
def give_back(ovc: Ovc, *, id: int, yes: bool) -> None:
    """Return a loan before its end."""
    agreed(f"Return loan {id}?", yes=yes)
    ovc.client.call("POST", f"/loans/{id}/return")
    ovc.note(f"Loan {id} went back.")


def add_to_pools(pools: Noun) -> None:
    """Declare the commands on shares of persons, warnings and defaults."""
    _add_persons(pools)
    _add_policy(pools)


def _add_persons(pools: Noun) -> None:
    @pools.add("persons", calls=["listPersonLimits"], examples=["ovc pools persons Web"])
    @reference("pool")
    def persons(ovc: Ovc, name: str) -> None:
        """List what single persons may take in a pool."""
        found = ovc.client.get(f"/pools/{id_of(ovc.client, 'pool', name)}/persons")
        ovc.out.rows(found["items"], PERSON_COLUMNS)

    @pools.add(
        "limit-person",
        calls=["setPersonLimits", "previewPersonLimits"],
        examples=[
            "ovc pools limit-person Web --who anna --vcpus 4",
            "ovc pools limit-person Web --machines 2 --dry-run",
            "ovc pools limit-person Web",
        ],
    )
    @reference("pool")
    @click.option("--who", default="", metavar="NAME", help="Left out: everybody else.")
    @_limits
    @moves.dry_run_option
    @yes_option
    def limit_person(
        ovc: Ovc, *, name: str, who: str, dry_run: bool, yes: bool, **given: Any
    ) -> None:
        """Set what one person may take in a pool; no limits take them away."""
        body = {"who": who, "limits": _given(given)}
        path = f"/pools/{id_of(ovc.client, 'pool', name)}/persons"
        whose = clean(who) or "everybody else"
        look = Look(f"{path}/preview", body, f"Set the limits of {whose} in {clean(name)}?")
        if lowerings.only_looked(ovc, look, dry_run=dry_run, yes=yes):
            return
        ovc.out.rows(ovc.client.call("PUT", path, body).body["items"], PERSON_COLUMNS)


def _add_policy(pools: Noun) -> None:
    @pools.add("policy", calls=["getPoolPolicy"], examples=["ovc pools policy Web --json"])
    @reference("pool")
    def policy(ovc: Ovc, name: str) -> None:
        """Show from where on limits warn, and what new sub-pools begin with."""
        found = ovc.client.get(f"/pools/{id_of(ovc.client, 'pool', name)}/policy")
        ovc.out.one(found, POLICY_COLUMNS)

    @pools.add(
        "set-policy",
        calls=["setPoolPolicy", "getPoolPolicy"],
        examples=["ovc pools set-policy Web --warn vcpus=90 --vcpus 8"],
    )
    @reference("pool")
    @click.option("--warn", multiple=True, metavar="RESOURCE=PERCENT", help="Repeatable.")
    @_limits
    def set_policy(ovc: Ovc, *, name: str, warn: tuple[str, ...], **given: Any) -> None:
        """Set from where on limits warn; with limits what new sub-pools begin with."""
        path = f"/pools/{id_of(ovc.client, 'pool', name)}/policy"
        now = ovc.client.get(path)
        typed = {key: value for key, value in _given(given).items() if given[key] is not None}
        body = {
            "warnings": {**now["warnings"], **dict(map(_percent, warn))},
            "defaults": {**now["defaults"], **typed},
        }
        ovc.out.one(ovc.client.call("PUT", path, body).body, POLICY_COLUMNS)


def _percent(word: str) -> tuple[str, int]:
    name, _, percent = word.partition("=")
    if name not in RESOURCES or not percent.isdigit():
        raise usage(f"“{clean(word)}” is no warning: write it like vcpus=90.")
    return name, int(percent)


def add_to_requests(requests: Noun, columns: tuple[Column, ...]) -> None:
    """Declare the commands that answer a request for more quota."""
    number = click.argument("id", type=click.IntRange(min=1))

    @requests.add("show", calls=["getQuotaRequest"], examples=["ovc requests show 7"])
    @number
    def show(ovc: Ovc, id: int) -> None:
        """Show one request."""
        ovc.out.one(ovc.client.get(f"/quota-requests/{id}"), columns)

    @requests.add(
        "approve", calls=["decideQuotaRequest"], examples=["ovc requests approve 7 --vcpus 12"]
    )
    @number
    @click.option("--reason", default="")
    @_limits
    def approve(ovc: Ovc, *, id: int, reason: str, **given: Any) -> None:
        """Set the limits that were asked for, or those that are given."""
        limits = {key: value for key, value in _given(given).items() if given[key] is not None}
        body = {"action": "approve", "reason": reason, "limits": limits}
        _decide(ovc, id, body)

    @requests.add(
        "decline",
        calls=["decideQuotaRequest"],
        examples=["ovc requests decline 7 --reason 'Next month'"],
    )
    @number
    @click.option("--reason", required=True, help="The requester reads it.")
    def decline(ovc: Ovc, id: int, reason: str) -> None:
        """Say no, with the reason."""
        _decide(ovc, id, {"action": "decline", "reason": reason})

    @requests.add("withdraw", calls=["withdrawQuotaRequest"], examples=["ovc requests withdraw 7"])
    @number
    def withdraw(ovc: Ovc, id: int) -> None:
        """Withdraw a request of your own."""
        ovc.out.one(ovc.client.call("POST", f"/quota-requests/{id}/withdraw").body, columns)

    @requests.add("seen", calls=["markQuotaRequestSeen"], examples=["ovc requests seen 7"])
    @number
    def seen(ovc: Ovc, id: int) -> None:
        """Say that you read the answer: it leaves the menu."""
        ovc.client.call("POST", f"/quota-requests/{id}/seen")

    def _decide(ovc: Ovc, id: int, body: dict[str, Any]) -> None:
        ovc.out.one(ovc.client.call("POST", f"/quota-requests/{id}/decision", body).body, columns)
