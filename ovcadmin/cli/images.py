"""`ovc images` and `ovc sizes`: what a machine is made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ovcadmin.cli import bulk, conversions, kickstarts, progress, text
from ovcadmin.cli.command import Ovc, agreed, most_option, noun, yes_option
from ovcadmin.cli.failures import usage
from ovcadmin.cli.names import find, id_of, option, reference, references
from ovcadmin.cli.output import Column

images = noun("images", "Images: what the disk of a new machine starts from.")
sizes = noun("sizes", "Sizes: vCPUs, memory and storage of a new machine.")

COLUMNS = (
    Column("id", right=True),
    Column("name"),
    Column("kind"),
    Column("os_type"),
    Column("size", show=text.storage, right=True),
    Column("pool"),
    Column("description"),
    Column("created_at", show=text.moment, usual=False),
    Column("checksum", usual=False),
    Column("address", usual=False),
    Column("iso", usual=False),
)
OS_TYPES = ("linux", "windows", "freebsd", "other")
UPLOAD_COLUMNS = (
    Column("id", right=True),
    Column("name"),
    Column("kind"),
    Column("pool"),
    Column("size", show=text.storage, right=True),
    Column("received", show=text.storage, right=True),
    Column("operation_id", right=True),
)
COPY_COLUMNS = (Column("storage_pool"), Column("state"))
SIZE_COLUMNS = (
    Column("name"),
    Column("vcpus", right=True),
    Column("memory", show=text.memory, right=True),
    Column("storage", show=text.storage, right=True),
)


@images.add(
    "list", calls=["listImages"], examples=["ovc images list", "ovc images list --pool Web"]
)
@option("pool", "Only those that serve this pool.")
@click.option(
    "--kind", type=click.Choice(["disk", "iso", "network", "kickstart"]), help="Only those."
)
@most_option
def listing(ovc: Ovc, pool: str | None, kind: str | None, most: int | None) -> None:
    """List the images that you may use."""
    pool_id = id_of(ovc.client, "pool", pool)
    found = ovc.client.pages("/images", most=most, pool_id=pool_id, kind=kind)
    ovc.out.pages(found, COLUMNS)


@images.add("show", calls=["getImage"], examples=["ovc images show 'Debian 12'"])
@reference("image")
def show(ovc: Ovc, name: str) -> None:
    """Show one image."""
    ovc.out.one(find(ovc.client, "image", name), COLUMNS)


def _described(function: Any) -> Any:
    """Declare what every new image may be told."""
    for option_ in reversed(
        (
            click.option("--description", default="", help="What it is."),
            click.option(
                "--os-type", type=click.Choice(OS_TYPES), default="linux", show_default=True,
                help="What runs on it.",
            ),
        )
    ):  # fmt: skip
        function = option_(function)
    return function


kind_option = click.option(
    "--kind", type=click.Choice(["disk", "iso"]), help="disk, or iso where the file is called so."
)
checksum_option = click.option("--checksum", default="", help="The SHA-256 that it must have.")


@images.add(
    "upload",
    calls=["beginImageUpload", "listImageUploads", "getImageUpload", "sendImagePiece"],
    examples=[
        "ovc images upload debian-12.raw --pool Cloud --name 'Debian 12'",
        "ovc images upload netinst.iso --pool Web --wait",
    ],
)
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@option("pool", "Whom it serves: this pool and all below.", required=True)
@click.option("--name", "called", metavar="TEXT", help="Its name; that of the file when not given.")
@kind_option
@_described
@checksum_option
@progress.wait_option
def upload(
    ovc: Ovc,
    *,
    file: Path,
    pool: str,
    called: str | None,
    kind: str | None,
    wait: bool,
    **more: str,
) -> None:
    """Send a raw disk or an ISO to the library; one that broke off is gone on with."""
    from ovcadmin.cli import uploads  # noqa: PLC0415 - needed by this command alone

    if not file.is_file():
        raise usage(f"{file} is no file.")
    size, name = file.stat().st_size, called or file.stem
    body = {"name": name, "size": size, "kind": kind or _kind(file.name), **more}
    begun = [
        row
        for row in ovc.client.items("/image-uploads")
        if (row["name"].casefold(), row["size"]) == (name.casefold(), size)
        and row["operation_id"] is None
    ]
    if begun:
        ovc.note(f"Going on where it broke off: {begun[0]['received']} of {size} bytes are there.")
        row = begun[0]
    else:
        pool_id = id_of(ovc.client, "pool", pool)
        row = ovc.client.call("POST", f"/pools/{pool_id}/image-uploads", body).body
    row = uploads.send(ovc, file, row)
    if wait:
        ended = progress.wait(ovc, [row["operation_id"]])
        progress.judge(ovc, ended.values())
    ovc.out.one(row, UPLOAD_COLUMNS)


@images.add("uploads", calls=["listImageUploads"], examples=["ovc images uploads"])
@most_option
def list_uploads(ovc: Ovc, most: int | None) -> None:
    """List your uploads that are not done."""
    ovc.out.pages(ovc.client.pages("/image-uploads", most=most), UPLOAD_COLUMNS)


@images.add(
    "abandon",
    calls=["abandonImageUpload", "getImageUpload"],
    examples=["ovc images abandon 3 --yes"],
)
@click.argument("number", type=int, metavar="ID")
@yes_option
def abandon(ovc: Ovc, *, number: int, yes: bool) -> None:
    """Give up an upload; what came so far is removed."""
    row = ovc.client.get(f"/image-uploads/{number}")
    agreed(f"Remove the {row['received']} bytes of {row['name']}?", yes=yes)
    ovc.client.call("DELETE", f"/image-uploads/{number}")
    ovc.note(f"{row['name']} is given up.")


@images.add(
    "fetch",
    calls=["fetchImage"],
    examples=[
        "ovc images fetch https://images.example.org/d12.raw --pool Cloud --name 'Debian 12'"
    ],
)
@click.argument("url")
@option("pool", "Whom it serves: this pool and all below.", required=True)
@click.option("--name", "called", metavar="TEXT", required=True, help="Its name.")
@kind_option
@_described
@checksum_option
@progress.wait_option
def fetch(
    ovc: Ovc, *, url: str, pool: str, called: str, kind: str | None, wait: bool, **more: str
) -> None:
    """Have the console fetch an image from an address that its settings allow."""
    pool_id = id_of(ovc.client, "pool", pool)
    body = {"name": called, "url": url, "kind": kind or _kind(url), **more}

    def act(_pool: dict[str, Any]) -> dict[str, Any]:
        path = f"/pools/{pool_id}/image-fetches"
        operation: dict[str, Any] = ovc.client.call("POST", path, body).body["operation"]
        return operation

    bulk.run(ovc, "image", [{"name": called}], act, wait=wait)


@images.add(
    "add-network",
    calls=["addNetworkImage"],
    examples=["ovc images add-network tftp://10.0.0.5/boot.ipxe --pool Cloud --name Installer"],
)
@click.argument("address")
@option("pool", "Whom it serves: this pool and all below.", required=True)
@click.option("--name", "called", metavar="TEXT", required=True, help="Its name.")
@_described
def add_network(ovc: Ovc, *, address: str, pool: str, called: str, **more: str) -> None:
    """Register an address that machines boot from by network."""
    pool_id = id_of(ovc.client, "pool", pool)
    body = {"name": called, "address": address, **more}
    ovc.out.one(ovc.client.call("POST", f"/pools/{pool_id}/images", body).body, COLUMNS)


@images.add(
    "edit", calls=["editImage"], examples=["ovc images edit 'Debian 12' --name 'Debian 12.4'"]
)
@reference("image")
@click.option("--name", "new_name", metavar="TEXT", help="Its new name.")
@click.option("--description", help="What it is.")
@option("pool", "Whom it serves from now on.")
def edit(
    ovc: Ovc, *, name: str, new_name: str | None, description: str | None, pool: str | None
) -> None:
    """Change name or description of an image, or whom it serves."""
    given = {
        "name": new_name,
        "description": description,
        "pool_id": id_of(ovc.client, "pool", pool),
    }
    body = {key: value for key, value in given.items() if value is not None}
    if not body:
        raise usage("Say what to change: --name, --description or --pool.")
    image_id = id_of(ovc.client, "image", name)
    ovc.out.one(ovc.client.call("PATCH", f"/images/{image_id}", body).body, COLUMNS)


@images.add("delete", calls=["deleteImage"], examples=["ovc images delete 'Debian 11' --yes"])
@references("image")
@progress.wait_option
@yes_option
def delete(ovc: Ovc, *, names: tuple[str, ...], wait: bool, yes: bool) -> None:
    """Delete images that nothing uses, with their copies."""
    agreed(f"Delete {', '.join(names)} and every copy?", yes=yes)

    def act(image: dict[str, Any]) -> dict[str, Any]:
        answer = ovc.client.call("DELETE", f"/images/{image['id']}")
        operation: dict[str, Any] = answer.body["operation"]
        return operation

    bulk.run(ovc, "image", names, act, wait=wait)


@images.add("copies", calls=["listImageCopies"], examples=["ovc images copies 'Debian 12'"])
@reference("image")
def copies(ovc: Ovc, name: str) -> None:
    """List the storage pools that can hold an image, and where it is."""
    image_id = id_of(ovc.client, "image", name)
    ovc.out.rows(ovc.client.get(f"/images/{image_id}/copies")["items"], COPY_COLUMNS)


@images.add(
    "copy",
    calls=["copyImage"],
    examples=["ovc images copy 'Debian 12' --storage-pool 'kvm-b local' --wait"],
)
@references("image")
@option("storage pool", "Where to.", required=True)
@progress.wait_option
def copy(ovc: Ovc, *, names: tuple[str, ...], storage_pool: str, wait: bool) -> None:
    """Copy images into a storage pool."""
    store_id = id_of(ovc.client, "storage pool", storage_pool)

    def act(image: dict[str, Any]) -> dict[str, Any]:
        path = f"/images/{image['id']}/copies"
        answer = ovc.client.call("POST", path, {"storage_pool_id": store_id})
        operation: dict[str, Any] = answer.body["operation"]
        return operation

    bulk.run(ovc, "image", names, act, wait=wait)


@images.add(
    "remove-copy",
    calls=["deleteImageCopy"],
    examples=["ovc images remove-copy 'Debian 12' --storage-pool 'kvm-b local'"],
)
@references("image")
@option("storage pool", "Where from.", required=True)
@progress.wait_option
def remove_copy(ovc: Ovc, *, names: tuple[str, ...], storage_pool: str, wait: bool) -> None:
    """Remove the copies of images from a storage pool."""
    store_id = id_of(ovc.client, "storage pool", storage_pool)

    def act(image: dict[str, Any]) -> dict[str, Any]:
        answer = ovc.client.call("DELETE", f"/images/{image['id']}/copies/{store_id}")
        operation: dict[str, Any] = answer.body["operation"]
        return operation

    bulk.run(ovc, "image", names, act, wait=wait)


def _kind(name: str) -> str:
    return "iso" if name.casefold().endswith(".iso") else "disk"


conversions.add_to_images(images)
kickstarts.add_to_images(images, COLUMNS, _described)


@sizes.add("list", calls=["listSizes"], examples=["ovc sizes list"])
def list_sizes(ovc: Ovc) -> None:
    """List the sizes that a machine can have."""
    ovc.out.rows(ovc.client.get("/sizes")["items"], SIZE_COLUMNS)
