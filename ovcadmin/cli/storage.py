"""`ovc storage`: storage pools."""

from __future__ import annotations

from typing import Any

import click

from ovcadmin.cli import bulk, progress, text
from ovcadmin.cli.command import Ovc, agreed, most_option, noun, secret, yes_option
from ovcadmin.cli.names import find, id_of, option, reference, references
from ovcadmin.cli.output import Column

storage = noun("storage", "Storage pools: where volumes live, and how full they are.")

COLUMNS = (
    Column("id", right=True),
    Column("name"),
    Column("driver"),
    Column("active"),
    Column("pool"),
    Column("capacity", show=text.storage, right=True),
    Column("available", show=text.storage, right=True),
    Column("promised", show=text.storage, right=True),
    Column("hosts"),
    Column("observed_at", show=text.moment, usual=False),
)
LAYERS = Column("layers", show=lambda rows: " > ".join(_layer(row) for row in rows))
USAGE_COLUMNS = (
    Column("at", show=text.moment),
    Column("capacity", show=text.storage, right=True),
    Column("available", show=text.storage, right=True),
)


def _layer(row: dict[str, Any]) -> str:
    state = f" ({row['state']})" if row["state"] else ""
    return f"{row['kind']} {row['name']}{state}"


@storage.add("list", calls=["listStoragePools"], watch=True, examples=["ovc storage list"])
@click.option("--tag", metavar="WORD", help="Only what has this tag.")
@most_option
def listing(ovc: Ovc, tag: str | None, most: int | None) -> None:
    """List the storage pools that you may see."""
    ovc.out.pages(ovc.client.pages("/storage-pools", most=most, tag=tag), COLUMNS)


@storage.add("show", calls=["getStoragePool"], examples=["ovc storage show 'kvm-a local'"])
@reference("storage pool")
def show(ovc: Ovc, name: str) -> None:
    """Show one storage pool."""
    ovc.out.one(find(ovc.client, "storage pool", name), COLUMNS)


@storage.add(
    "add",
    calls=["addStoragePool"],
    examples=[
        "ovc storage add isos --pool Cloud --host kvm-a --driver libvirt-dir --path /srv/isos",
        "ovc storage add vg --pool Cloud --host kvm-a --driver libvirt-logical --device vg0",
    ],
)
@click.argument("called", metavar="NAME")
@option("pool", "Whom it serves: this pool and all below.", required=True)
@option("host", "The host that tries it and logs in.", required=True)
@click.option("--driver", required=True, help="Such as libvirt-dir, libvirt-iscsi-direct.")
@click.option("--path", help="Where the host shows it.")
@click.option("--server", help="Name or address of its server.")
@click.option("--port", type=int, help="Of the server, where it is not the usual one.")
@click.option("--portal", "portals", multiple=True, help="A further path: server or server:port.")
@click.option("--device", help="Export, IQN of the target, device or volume group.")
@click.option("--format", "form", help="Of a device: ext4, gpt, ...")
@click.option("--initiator", help="IQN under which the host logs in.")
@click.option("--user", help="Of CHAP; the password is asked for, or read from stdin.")
@progress.wait_option
def add(
    ovc: Ovc,
    *,
    called: str,
    pool: str,
    host: str,
    server: str | None,
    form: str | None,
    user: str | None,
    wait: bool,
    **more: Any,
) -> None:
    """Add a storage pool by way of a host, which tries it and logs in."""
    body = {
        "name": called,
        "host_id": id_of(ovc.client, "host", host),
        "host": server,
        "format": form,
        "user": user,
        "password": secret("Password", again=False) if user else None,
        **more,
    }
    given = {key: value for key, value in body.items() if value not in (None, ())}
    path = f"/pools/{id_of(ovc.client, 'pool', pool)}/storage-pools"

    def act(_row: dict[str, Any]) -> dict[str, Any]:
        operation: dict[str, Any] = ovc.client.call("POST", path, given).body["operation"]
        return operation

    bulk.run(ovc, "storage pool", [{"name": called}], act, wait=wait)


@storage.add("refresh", calls=["refreshStoragePool"], examples=["ovc storage refresh array --wait"])
@references("storage pool")
@progress.wait_option
def refresh(ovc: Ovc, *, names: tuple[str, ...], wait: bool) -> None:
    """Look again what is in storage pools."""

    def act(row: dict[str, Any]) -> dict[str, Any]:
        answer = ovc.client.call("POST", f"/storage-pools/{row['id']}/refresh")
        operation: dict[str, Any] = answer.body["operation"]
        return operation

    bulk.run(ovc, "storage pool", names, act, wait=wait)


@storage.add(
    "layers",
    calls=["getStorageLayers", "describeStoragePool"],
    examples=[
        "ovc storage layers vg",
        "ovc storage layers vg --layer 'raid md0' --layer 'drbd r0' --status -",
    ],
)
@reference("storage pool")
@click.option("--layer", "layers", multiple=True, help="Kind and name, the lowest first.")
@click.option(
    "--status", type=click.File(lazy=True), help="What the server shows: a file, or - for stdin."
)
@click.option("--none", is_flag=True, help="Take away what was written down.")
def layers(ovc: Ovc, *, name: str, layers: tuple[str, ...], status: Any, none: bool) -> None:
    """Show or say what a storage pool is built of, and what its server shows of that."""
    path = f"/storage-pools/{id_of(ovc.client, 'storage pool', name)}/layers"
    if not (layers or status or none):
        ovc.out.one(ovc.client.get(path), (Column("layers", show=" > ".join),))
        return
    body = {"layers": [] if none else list(layers), "status": status.read() if status else ""}
    ovc.out.one(ovc.client.call("PUT", path, body).body, (*COLUMNS, LAYERS))


@storage.add("remove", calls=["removeStoragePool"], examples=["ovc storage remove array --yes"])
@references("storage pool")
@progress.wait_option
@yes_option
def remove(ovc: Ovc, *, names: tuple[str, ...], wait: bool, yes: bool) -> None:
    """Log out of storage pools that hold nothing of machines, images and pools."""
    agreed(f"Remove {', '.join(names)}? What is stored there stays.", yes=yes)

    def act(row: dict[str, Any]) -> dict[str, Any]:
        answer = ovc.client.call("DELETE", f"/storage-pools/{row['id']}")
        operation: dict[str, Any] = answer.body["operation"]
        return operation

    bulk.run(ovc, "storage pool", names, act, wait=wait)


@storage.add("usage", calls=["getStorageUsage"], examples=["ovc storage usage array"])
@reference("storage pool")
def usage(ovc: Ovc, name: str) -> None:
    """Show how full a storage pool was, by the hour."""
    store_id = id_of(ovc.client, "storage pool", name)
    ovc.out.rows(ovc.client.get(f"/storage-pools/{store_id}/usage")["items"], USAGE_COLUMNS)
