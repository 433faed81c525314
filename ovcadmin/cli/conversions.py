"""`ovc images convert`: machine templates become images."""

from __future__ import annotations

from typing import Any

import click

from ovcadmin.cli import bulk
from ovcadmin.cli.command import Noun, Ovc
from ovcadmin.cli.names import id_of, option
from ovcadmin.cli.progress import timeout_option, wait_option


def add_to_images(images: Noun) -> None:
    images.add(
        "convert",
        calls=["convertImage"],
        examples=["ovc images convert debian12.qcow2 'Debian 12' --storage vpool1 --wait"],
    )(convert)


@click.argument("file")
@click.argument("name")
@option("storage pool", "The vPool that it is to be on.", flag="--storage", required=True)
@click.option("--os-type", default="linux", help="linux, windows or freebsd.")
@click.option("--description", default="", help="What it is for.")
@wait_option
@timeout_option
def convert(
    ovc: Ovc, *, storage_pool: str, wait: bool, timeout: float | None, **order: Any
) -> None:
    """Convert a machine template (qcow2) of the console's machine to an image.

    FILE is its name in the directory of machine templates.  A second run finds that nothing is
    left to do.
    """
    store_id = id_of(ovc.client, "storage pool", storage_pool)

    def begin(target: dict[str, Any]) -> dict[str, Any]:
        answer = ovc.client.call("POST", f"/storage-pools/{store_id}/conversions", target)
        operation: dict[str, Any] = answer.body["operation"]
        return operation

    bulk.run(ovc, "image", [order], begin, wait=wait, timeout=timeout)
