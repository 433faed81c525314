"""`ovc blueprints`: image, size and network under one name."""

from __future__ import annotations

from typing import Any

import click

from ovcadmin.cli import bulk, first_boot
from ovcadmin.cli.command import Ovc, agreed, noun, yes_option
from ovcadmin.cli.failures import Exit, Failure
from ovcadmin.cli.names import id_of, option
from ovcadmin.cli.output import Column
from ovcadmin.cli.progress import timeout_option, wait_option

blueprints = noun("blueprints", "Profiles of machines: image, size and network under one name.")

COLUMNS = (
    Column("id", right=True),
    Column("name"),
    Column("image"),
    Column("size"),
    Column("network"),
    Column("start"),
    Column("pool"),
    Column("description", usual=False),
)


@blueprints.add("list", calls=["listProfiles"], examples=["ovc blueprints list"])
def listing(ovc: Ovc) -> None:
    """List the profiles that you may use somewhere."""
    ovc.out.rows(ovc.client.get("/profiles")["items"], COLUMNS)


@blueprints.add(
    "create",
    calls=["createProfile"],
    examples=["ovc blueprints create web --pool Web --image 'Debian 12' --size small"],
)
@click.argument("name")
@option("pool", "The pool that it serves, with all below.", required=True)
@option("image", "What the disks start from.", required=True)
@option("size", "One of `ovc sizes list`.", required=True)
@click.option("--network", default="", help="A network of the host; user-mode when not given.")
@click.option("--description", default="", help="What it is for.")
@click.option("--start/--no-start", default=True, help="Start its machines at once.")
@first_boot.options
def create(ovc: Ovc, *, pool: str, image: str, **given: Any) -> None:
    """Make a profile."""
    body = {**first_boot.folded(given), "image_id": id_of(ovc.client, "image", image)}
    pool_id = id_of(ovc.client, "pool", pool)
    ovc.out.one(ovc.client.call("POST", f"/pools/{pool_id}/profiles", body).body, COLUMNS)


@blueprints.add(
    "use",
    calls=["useProfile"],
    examples=["ovc blueprints use web --wait", "ovc blueprints use web --pool Shop --as shop01"],
)
@click.argument("name")
@option("pool", "The pool of the machine; the profile's own by default.")
@click.option("--as", "label", default="", help="The machine's name; else it gets a number.")
@wait_option
@timeout_option
def use(
    ovc: Ovc, *, name: str, pool: str | None, label: str, wait: bool, timeout: float | None
) -> None:
    """Make a machine by a profile."""
    found = _find(ovc, name)
    body: dict[str, Any] = {"pool_id": id_of(ovc.client, "pool", pool)} if pool else {}
    if label:
        body["name"] = label

    def make(_target: dict[str, Any]) -> dict[str, Any]:
        answer = ovc.client.call("POST", f"/profiles/{found['id']}/machines", body).body
        return {**answer["operation"], "machine": answer["machine"]}

    targets: list[Any] = [{"name": label or found["name"]}]
    bulk.run(ovc, "machine", targets, make, wait=wait, timeout=timeout)


@blueprints.add("delete", calls=["deleteProfile"], examples=["ovc blueprints delete web --yes"])
@click.argument("name")
@yes_option
def delete(ovc: Ovc, *, name: str, yes: bool) -> None:
    """Delete a profile; the machines that were made by it stay."""
    found = _find(ovc, name)
    agreed(f"Delete the profile {found['name']}?", yes=yes)
    ovc.client.call("DELETE", f"/profiles/{found['id']}")


def _find(ovc: Ovc, name: str) -> Any:
    rows = ovc.client.get("/profiles")["items"]
    fits = [row for row in rows if name in (str(row["id"]), row["name"])]
    if len(fits) != 1:
        raise Failure(f"There is no single profile “{name}” that you may see.", Exit.NOT_FOUND)
    return fits[0]
