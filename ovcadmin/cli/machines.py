"""`ovc machines`: lists, making, acting."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import click

from ovcadmin.cli import bulk, care, copies, devices, first_boot, guests, moves, placement, text
from ovcadmin.cli.command import Ovc, agreed, most_option, noun, yes_option
from ovcadmin.cli.failures import Exit, Failure, usage
from ovcadmin.cli.figures import add_figures
from ovcadmin.cli.names import find, from_stdin, id_of, option, reference, references
from ovcadmin.cli.output import Column
from ovcadmin.cli.progress import timeout_option, wait_option

machines = noun("machines", "Virtual machines: make them, run them, look at them.")

COLUMNS = (
    Column("id", right=True),
    Column("name"),
    Column("state", "shown"),
    Column("pool"),
    Column("host"),
    Column("vcpus", right=True),
    Column("memory", show=text.memory, right=True),
    Column("storage", show=text.storage, right=True),
    Column("owner"),
    Column("since", show=text.age, right=True),
    Column("stable", "state", usual=False),
    Column("power", usual=False),
    Column("power_at", show=text.moment, usual=False),
    Column("image", usual=False),
    Column("size", usual=False),
    Column("mac", usual=False),
    Column("uuid", usual=False),
    Column("actions", usual=False),
    Column("operation_id", usual=False),
    Column("created_at", show=text.moment, usual=False),
    Column("description", usual=False),
    Column("locked", usual=False),
    Column("keep_running", usual=False),
    Column("run_until", show=text.moment, usual=False),
    Column("keep_until", show=text.moment, usual=False),
    Column("purge_at", show=text.moment, usual=False),
)
STATES = (
    "new", "running", "stopped", "suspended", "saved", "create_failed", "busy", "unknown",
    "missing",
)  # fmt: skip
_SORTED = (
    "name",
    "state",
    "host",
    "pool",
    "owner",
    "vcpus",
    "memory",
    "storage",
    "since",
    "created",
)
SORTS = ("id", *_SORTED, *(f"-{name}" for name in _SORTED))
SELECTORS = ("name", "state", "owner", "pool", "host", "image", "tag", "q")


@machines.add(
    "list",
    calls=["listMachines"],
    watch=True,
    examples=[
        "ovc machines list --state running --sort=-memory",
        "ovc machines list --pool Web --columns name,state,mac -o csv",
        "ovc machines list --watch",
    ],
)
@click.option("--q", metavar="TEXT", help="Part of the name, a MAC or a uuid.")
@click.option("--state", type=click.Choice(STATES), help="The state as it is shown.")
@click.option("--owner", metavar="TEXT", help="Name of the owner.")
@click.option("--tag", metavar="WORD", help="Only what has this tag.")
@option("pool", "Only in this pool and below it.")
@option("host", "Only on this host.")
@option("image", "Only made from this image.")
@click.option("--bin", is_flag=True, default=None, help="Those in the bin, instead of the others.")
@click.option("--sort", type=click.Choice(SORTS), metavar="COLUMN", help="-COLUMN for descending.")
@most_option
def listing(ovc: Ovc, most: int | None, **filters: Any) -> None:
    """List the machines that you may see."""
    ovc.out.pages(ovc.client.pages("/machines", most=most, **_query(ovc, filters)), COLUMNS)


def _query(ovc: Ovc, filters: dict[str, Any]) -> dict[str, Any]:
    """Return filters as the API takes them: ids instead of names."""
    query = {name: value for name, value in filters.items() if value is not None}
    for word in {"pool", "host", "image"} & query.keys():
        query[f"{word}_id"] = id_of(ovc.client, word, query.pop(word))
    return query


@machines.add(
    "show",
    calls=["getMachine"],
    watch=True,
    examples=["ovc machines show web01", "ovc machines show Web/web01 --json"],
)
@reference("machine")
def show(ovc: Ovc, name: str) -> None:
    """Show one machine."""
    machine = find(ovc.client, "machine", name)
    ovc.out.one(machine, COLUMNS)


@machines.add(
    "create",
    calls=["createMachine"],
    examples=[
        "ovc machines create web01 --pool Web --image 'Debian 12' --size small --start --wait",
        "ovc machines create web01 web02 web03 --pool Web --image 1 --size small",
        "ovc machines create web01 --pool Web --image 1 --size small --user anna",
    ],
)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@option("pool", "The pool that they belong to.", required=True)
@option("image", "What their disks start from.", required=True)
@option("size", "One of `ovc sizes list`.", required=True)
@click.option("--description", default="", help="What they are for.")
@click.option("--start", is_flag=True, help="Start them as soon as they are made.")
@option("host", "The host that takes them; the best one when not given.")
@click.option("--network", default="", help="A network of the host; user-mode when not given.")
@first_boot.options
@wait_option
@timeout_option
def create(
    ovc: Ovc, *, names: tuple[str, ...], pool: str, image: str, host: str | None, wait: bool,
    timeout: float | None, **order: Any,
) -> None:  # fmt: skip
    """Make machines."""
    order = first_boot.folded(order)
    pool_id = id_of(ovc.client, "pool", pool)
    order["image_id"] = id_of(ovc.client, "image", image)
    host_id = id_of(ovc.client, "host", host)
    if host_id is not None:
        order["host_id"] = host_id

    def make(target: dict[str, Any]) -> dict[str, Any]:
        answer = ovc.client.call(
            "POST",
            f"/pools/{pool_id}/machines",
            {**order, "name": target["name"]},
        )
        return _operation(answer.body)

    targets: list[Any] = [{"name": name} for name in from_stdin(names)]
    bulk.run(ovc, "machine", targets, make, wait=wait, timeout=timeout)


def _operation(accepted: dict[str, Any]) -> dict[str, Any]:
    return {**accepted["operation"], "machine": accepted["machine"]}


def _targets(ovc: Ovc, names: tuple[str, ...], selector: str | None) -> list[Any]:
    """Return what NAME... and --selector stand for."""
    if bool(names) == bool(selector):
        raise usage("Name machines, or select them with --selector.")
    if selector is None:
        return list(from_stdin(names))
    wanted = dict(_pair(part) for part in selector.split(","))
    pattern = wanted.pop("name", "*").casefold()
    rows = ovc.client.items("/machines", **_query(ovc, wanted))
    found = [row for row in rows if fnmatchcase(row["name"].casefold(), pattern)]
    if not found:
        raise Failure(f"No machine fits “{selector}”.", Exit.NOT_FOUND)
    return found


def _pair(part: str) -> tuple[str, str]:
    name, equals, value = (piece.strip() for piece in part.partition("="))
    if not equals or not value or name not in SELECTORS:
        raise usage(f"“{part}” selects nothing: write {'=…, '.join(SELECTORS)}=….")
    return name, value


selector_option = click.option(
    "-l", "--selector", metavar="A=B,C=D",
    help=f"All that fit, by {', '.join(SELECTORS)}; name may hold * and ?.",
)  # fmt: skip
dry_run_option = click.option("--dry-run", is_flag=True, help="Only say what would be done.")


DELETIONS = {"bin": ("", "DELETE"), "delete": ("?for_good=true", "DELETE")}


def _declare(name: str, action: str, help: str, *, loses: str = "") -> None:
    """Declare the command of one action; one that loses something asks before."""
    path, method = DELETIONS.get(action, (f"/actions/{action}", "POST"))

    @machines.add(
        name,
        calls=["deleteMachine" if action in DELETIONS else "actOnMachine"],
        help=help,
        examples=[
            f"ovc machines {name} web01 --wait" + (" --yes" if loses else ""),
            f"ovc machines {name} --selector 'pool=Web,name=web*' --dry-run",
        ],
    )
    @references("machine", required=False)
    @selector_option
    @dry_run_option
    @(yes_option if loses else _unchanged)
    @wait_option
    @timeout_option
    def act(
        ovc: Ovc, *, names: tuple[str, ...], selector: str | None, dry_run: bool, wait: bool,
        timeout: float | None, yes: bool = True,
    ) -> None:  # fmt: skip
        targets = _targets(ovc, names, selector)
        if dry_run:
            _forecast(ovc, targets, action)
            return
        agreed(f"{help.rstrip('.')}: {_listed(targets)}? {loses}".strip(), yes=yes)

        def ask(machine: dict[str, Any]) -> dict[str, Any]:
            return _operation(ovc.client.call(method, f"/machines/{machine['id']}{path}").body)

        bulk.run(ovc, "machine", targets, ask, wait=wait, timeout=timeout)


def _unchanged(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def _listed(targets: list[Any]) -> str:
    names = [target if isinstance(target, str) else target["name"] for target in targets]
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(names[:10]) + more


def _forecast(ovc: Ovc, targets: list[Any], action: str) -> None:
    """Say for each whether its state allows the action now."""
    rows = []
    for target in targets:
        machine = find(ovc.client, "machine", target) if isinstance(target, str) else target
        allowed = action in machine["actions"]
        why = None if allowed else {"detail": f"Its state is {machine['shown']}."}
        result = f"would {action.replace('_', ' ')}" if allowed else "refused"
        rows.append({**dict.fromkeys(("operation_id",)), "id": machine["id"],
                     "name": machine["name"], "result": result, "error": why})  # fmt: skip
    ovc.out.rows(rows, bulk.COLUMNS)


_declare("start", "start", "Start machines.")
_declare("shutdown", "shutdown", "Ask the guests to shut down (ACPI).")
_declare("poweroff", "power_off", "Power off machines.", loses="What is not on disk is lost.")
_declare("reset", "reset", "Reset machines.", loses="What is not on disk is lost.")
_declare("reboot", "reboot", "Ask the guests to reboot.")
_declare("suspend", "suspend", "Suspend machines; they keep their memory.")
_declare("resume", "resume", "Resume suspended machines.")
_declare("save", "save", "Save machines to disk.")
_declare("restore", "restore", "Restore saved machines.")
_declare("unbin", "unbin", "Bring machines back from the bin.")
_declare("delete", "bin", "Put machines into the bin.", loses="The bin keeps them for some days.")
_declare("remove", "delete", "Remove machines for good.", loses="This cannot be undone.")
care.add_to_machines(machines)
guests.add_to_machines(machines)
copies.add_to_machines(machines)
moves.add_to_machines(machines)
devices.add_to_machines(machines)
placement.add_to_machines(machines)
add_figures(machines, "machine", "getMachineMeasurements")
