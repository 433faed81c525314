"""`ovc volumes`: what is in a storage pool, and volumes that no machine has."""

from __future__ import annotations

from typing import Any

import click

from ovcadmin.cli import bulk, progress, text
from ovcadmin.cli.command import Ovc, agreed, most_option, noun, yes_option
from ovcadmin.cli.failures import Exit, Failure
from ovcadmin.cli.names import id_of, option
from ovcadmin.cli.output import Column

volumes = noun("volumes", "Volumes: what is in a storage pool, and who uses it.")

COLUMNS = (
    Column("id", right=True),
    Column("name"),
    Column("size", show=text.storage, right=True),
    Column("allocated", show=text.storage, right=True),
    Column("machine"),
    Column("image"),
    Column("pool"),
    Column("offered"),
    Column("found", usual=False),
    Column("address", usual=False),
    Column("missing_at", show=text.moment, usual=False),
)
USAGE_COLUMNS = (
    Column("at", show=text.moment),
    Column("allocated", show=text.storage, right=True),
    Column("read", show=text.storage, right=True),
    Column("written", show=text.storage, right=True),
)
store_option = option("storage pool", "Where it is.", required=True)


@volumes.add(
    "list", calls=["listVolumes"], examples=["ovc volumes list --storage-pool 'kvm-a local'"]
)
@store_option
@most_option
def listing(ovc: Ovc, storage_pool: str, most: int | None) -> None:
    """List the volumes of a storage pool."""
    ovc.out.pages(ovc.client.pages(_path(ovc, storage_pool), most=most), COLUMNS)


@volumes.add(
    "usage",
    calls=["getVolumeUsage", "listVolumes"],
    examples=["ovc volumes usage unit:0:0:1 --storage-pool array"],
)
@click.argument("volume")
@store_option
def usage(ovc: Ovc, volume: str, storage_pool: str) -> None:
    """Show what a volume took, and what was read and written, by the hour."""
    path, row = _find(ovc, storage_pool, volume)
    ovc.out.rows(ovc.client.get(f"{path}/{row['id']}/usage")["items"], USAGE_COLUMNS)


@volumes.add(
    "create",
    calls=["createVolume"],
    examples=["ovc volumes create data --size 20GB --pool Web --storage-pool 'kvm-a local'"],
)
@click.argument("called", metavar="NAME")
@click.option("--size", type=text.STORAGE, required=True, help="A bare number is GB.")
@option("pool", "Whose it is: it counts there.", required=True)
@store_option
@progress.wait_option
def create(ovc: Ovc, *, called: str, size: int, pool: str, storage_pool: str, wait: bool) -> None:
    """Make a volume that a machine may take."""
    body = {"name": called, "size": size, "pool_id": id_of(ovc.client, "pool", pool)}
    path = _path(ovc, storage_pool)

    def act(_row: dict[str, Any]) -> dict[str, Any]:
        return _operation(ovc.client.call("POST", path, body))

    bulk.run(ovc, "volume", [{"name": called}], act, wait=wait)


@volumes.add(
    "grow",
    calls=["growVolume", "listVolumes"],
    examples=["ovc volumes grow data --size 40GB --storage-pool 'kvm-a local'"],
)
@click.argument("called", metavar="NAME")
@click.option("--size", type=text.STORAGE, required=True, help="A bare number is GB.")
@store_option
@progress.wait_option
def grow(ovc: Ovc, *, called: str, size: int, storage_pool: str, wait: bool) -> None:
    """Grow a volume that no machine has."""
    path, row = _find(ovc, storage_pool, called)

    def act(found: dict[str, Any]) -> dict[str, Any]:
        return _operation(ovc.client.call("POST", f"{path}/{found['id']}/grow", {"size": size}))

    bulk.run(ovc, "volume", [row], act, wait=wait)


@volumes.add(
    "delete",
    calls=["deleteVolume", "listVolumes"],
    examples=["ovc volumes delete data --storage-pool 'kvm-a local' --yes"],
)
@click.argument("called", metavar="NAME")
@store_option
@progress.wait_option
@yes_option
def delete(ovc: Ovc, *, called: str, storage_pool: str, wait: bool, yes: bool) -> None:
    """Delete a volume that nothing uses."""
    path, row = _find(ovc, storage_pool, called)
    agreed(f"Delete {row['name']} and all that is on it?", yes=yes)

    def act(found: dict[str, Any]) -> dict[str, Any]:
        return _operation(ovc.client.call("DELETE", f"{path}/{found['id']}"))

    bulk.run(ovc, "volume", [row], act, wait=wait)


@volumes.add(
    "register",
    calls=["addImageFromVolume", "listVolumes"],
    examples=["ovc volumes register debian.iso --name 'Debian 12' --storage-pool isos --wait"],
)
@click.argument("called", metavar="NAME")
@click.option("--name", "own_name", required=True, help="Of the image.")
@store_option
@progress.wait_option
def register(ovc: Ovc, *, called: str, own_name: str, storage_pool: str, wait: bool) -> None:
    """Make an ISO that was found in a storage pool an image."""
    path, row = _find(ovc, storage_pool, called)

    def act(found: dict[str, Any]) -> dict[str, Any]:
        body = {"name": own_name}
        return _operation(ovc.client.call("POST", f"{path}/{found['id']}/image", body))

    bulk.run(ovc, "volume", [row], act, wait=wait)


@volumes.add(
    "offer",
    calls=["offerVolume", "listVolumes"],
    examples=[
        "ovc volumes offer sdb1 --storage-pool disks",
        "ovc volumes offer sdb1 --no --storage-pool disks",
    ],
)
@click.argument("called", metavar="NAME")
@click.option("--yes/--no", "offered", default=True, help="Whether machines may take it.")
@store_option
def offer(ovc: Ovc, *, called: str, offered: bool, storage_pool: str) -> None:
    """Say whether machines may take a volume that was found."""
    path, row = _find(ovc, storage_pool, called)
    answer = ovc.client.call("PATCH", f"{path}/{row['id']}", {"offered": offered})
    ovc.out.one(answer.body, COLUMNS)


def _path(ovc: Ovc, storage_pool: str) -> str:
    return f"/storage-pools/{id_of(ovc.client, 'storage pool', storage_pool)}/volumes"


def _find(ovc: Ovc, storage_pool: str, called: str) -> tuple[str, dict[str, Any]]:
    path = _path(ovc, storage_pool)
    for row in ovc.client.items(path):
        if called in (row["name"], str(row["id"])):
            return path, row
    raise Failure(f"There is no volume “{called}” there.", Exit.NOT_FOUND)


def _operation(answer: Any) -> dict[str, Any]:
    operation: dict[str, Any] = answer.body["operation"]
    return operation
