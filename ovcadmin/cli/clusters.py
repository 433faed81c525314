"""`ovc clusters`: OpenvStorage clusters, their storage routers and vPools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ovcadmin.cli import text
from ovcadmin.cli.command import Ovc, agreed, most_option, noun, secret, yes_option
from ovcadmin.cli.failures import Exit, Failure, usage
from ovcadmin.cli.names import find, id_of, option, reference
from ovcadmin.cli.output import Column, Row

clusters = noun("clusters", "OpenvStorage clusters: where vDisks live.")

COLUMNS = (
    Column("id", right=True),
    Column("name"),
    Column("state"),
    Column("pool"),
    Column("routers"),
    Column("vpools"),
    Column("seen", "observed_at", text.age, right=True),
    Column("addresses", usual=False),
    Column("client_id", usual=False),
    Column("state_reason", usual=False),
)
STORE_COLUMNS = (Column("id", right=True), Column("name"), Column("driver"), Column("pool"))


@clusters.add("list", calls=["listStorageClusters"], watch=True, examples=["ovc clusters list"])
@most_option
def listing(ovc: Ovc, most: int | None) -> None:
    """List the storage clusters that you may see."""
    ovc.out.pages(ovc.client.pages("/storage-clusters", most=most), COLUMNS)


@clusters.add(
    "show",
    calls=["getStorageCluster"],
    watch=True,
    examples=["ovc clusters show Cluster", "ovc clusters show Cluster --json"],
)
@reference("cluster")
def show(ovc: Ovc, name: str) -> None:
    """Show one storage cluster; --json tells all of its routers and vPools."""
    ovc.out.one(find(ovc.client, "cluster", name), COLUMNS)


ADDRESS = click.option(
    "--address", "addresses", multiple=True, help="Of a storage router; give several."
)
SECRET = click.option("--secret", help="Of the client; asked for when it is needed.")
AUTHORITY = click.option(
    "--authority",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File of certificates (PEM) that are trusted.",
)
FINGERPRINT = click.option(
    "--fingerprint", "fingerprints", multiple=True, help="SHA-256 of a certificate to trust."
)


@clusters.add(
    "add",
    calls=["addStorageCluster"],
    examples=["ovc clusters add Cluster --pool Cloud --address https://10.0.0.1 --client-id 1f2e"],
)
@click.argument("name")
@option("pool", "Whose administrators look after it.", flag="--pool", required=True)
@ADDRESS
@click.option("--client-id", required=True, help="Of an OAuth2 client of the cluster.")
@SECRET
@AUTHORITY
@FINGERPRINT
def add(ovc: Ovc, *, name: str, pool: str, client_id: str, **given: Any) -> None:
    """Write a storage cluster down; the console asks it within seconds."""
    if not given["addresses"]:
        raise usage("Give the address of at least one storage router: --address.")
    if not given["secret"]:
        given["secret"] = secret("Secret", again=False)
    pool_id = id_of(ovc.client, "pool", pool)
    answer = ovc.client.call(
        "POST",
        f"/pools/{pool_id}/storage-clusters",
        {"name": name, "client_id": client_id, **_given(given)},
    )
    ovc.out.one(answer.body, COLUMNS)


@clusters.add(
    "edit",
    calls=["editStorageCluster"],
    examples=["ovc clusters edit Cluster --address https://10.0.0.2 --secret x"],
)
@reference("cluster")
@click.option("--name", "new_name", metavar="TEXT", help="Its new name.")
@click.option("--client-id", help="Of an OAuth2 client of the cluster.")
@ADDRESS
@SECRET
@AUTHORITY
@FINGERPRINT
def edit(ovc: Ovc, *, name: str, new_name: str | None, client_id: str | None, **given: Any) -> None:
    """Change how a storage cluster is reached."""
    body = _given(given)
    body |= {k: v for k, v in (("name", new_name), ("client_id", client_id)) if v}
    if not body:
        raise usage("Say what to change.")
    cluster = find(ovc.client, "cluster", name)
    ovc.out.one(ovc.client.call("PATCH", f"/storage-clusters/{cluster['id']}", body).body, COLUMNS)


def _given(given: dict[str, Any]) -> dict[str, Any]:
    body = {key: list(value) if isinstance(value, tuple) else value for key, value in given.items()}
    authority: Path | None = given["authority"]
    if authority is not None:
        body["authority"] = authority.read_text(encoding="utf-8")
    return {key: value for key, value in body.items() if value}


@clusters.add("remove", calls=["removeStorageCluster"], examples=["ovc clusters remove Old --yes"])
@reference("cluster")
@yes_option
def remove(ovc: Ovc, *, name: str, yes: bool) -> None:
    """Forget a storage cluster; nothing on it is touched."""
    agreed(f"Remove {name}?", yes=yes)
    cluster = find(ovc.client, "cluster", name)
    ovc.client.call("DELETE", f"/storage-clusters/{cluster['id']}")


@clusters.add("test", calls=["askStorageCluster"], examples=["ovc clusters test Cluster"])
@reference("cluster")
def test(ovc: Ovc, name: str) -> None:
    """Have the console ask a cluster now; `show` tells what came of it."""
    cluster = find(ovc.client, "cluster", name)
    ovc.out.one(ovc.client.call("POST", f"/storage-clusters/{cluster['id']}/look").body, COLUMNS)


@clusters.add(
    "place",
    calls=["placeStorageRouter"],
    examples=["ovc clusters place Cluster sr1 --host kvm-a", "ovc clusters place Cluster sr1"],
)
@reference("cluster")
@click.argument("router")
@option("host", "The host on it; names and addresses tell when not given.")
def place(ovc: Ovc, *, name: str, router: str, host: str | None) -> None:
    """Say which host stands on a storage router."""
    cluster = find(ovc.client, "cluster", name)
    body = {
        "router": _guid(cluster["routers"], "storage router", router),
        "host_id": id_of(ovc.client, "host", host),
    }
    answer = ovc.client.call("POST", f"/storage-clusters/{cluster['id']}/routers", body)
    ovc.out.one(answer.body, COLUMNS)


@clusters.add(
    "add-vpool",
    calls=["addVPool"],
    examples=["ovc clusters add-vpool Cluster vpool1 --name fast --declared 10TB"],
)
@reference("cluster")
@click.argument("vpool")
@click.option("--name", "own_name", default="", help="Its name here.")
@click.option("--declared", type=text.STORAGE, help="Capacity, where the cluster does not tell it.")
@click.option(
    "--access",
    type=click.Choice(["file", "edge"]),
    default="file",
    help="How guests open volumes: on the mount point, or by the network with OpenvStorage's QEMU.",
)
def add_vpool(
    ovc: Ovc, *, name: str, vpool: str, own_name: str, declared: int | str | None, access: str
) -> None:
    """Make a vPool a storage pool."""
    cluster = find(ovc.client, "cluster", name)
    body: Row = {
        "vpool": _guid(cluster["vpools"], "vPool", vpool),
        "name": own_name,
        "access": access,
    }
    if isinstance(declared, int):
        body["declared"] = declared
    answer = ovc.client.call("POST", f"/storage-clusters/{cluster['id']}/vpools", body)
    ovc.out.one(answer.body, STORE_COLUMNS)


@clusters.add(
    "remove-vpool",
    calls=["removeVPool"],
    examples=["ovc clusters remove-vpool Cluster vpool1 --yes"],
)
@reference("cluster")
@click.argument("vpool")
@yes_option
def remove_vpool(ovc: Ovc, *, name: str, vpool: str, yes: bool) -> None:
    """Make a vPool without volumes of ours no storage pool any more."""
    agreed(f"Detach {vpool}?", yes=yes)
    cluster = find(ovc.client, "cluster", name)
    body = {"vpool": _guid(cluster["vpools"], "vPool", vpool)}
    ovc.client.call("DELETE", f"/storage-clusters/{cluster['id']}/vpools", body)


def _guid(rows: list[Row], word: str, name: str) -> str:
    """Return the guid of what is called so in the cluster."""
    for row in rows:
        if name in (row["name"], row["guid"]):
            return str(row["guid"])
    raise Failure(f"The cluster has no {word} “{name}”.", Exit.NOT_FOUND)
