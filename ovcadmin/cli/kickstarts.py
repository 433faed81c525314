"""`ovc images add-kickstart` and `ovc images kickstart`: an ISO with answers for its installer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from ovcadmin.cli.command import Noun, Ovc
from ovcadmin.cli.failures import usage
from ovcadmin.cli.names import id_of, option, reference
from ovcadmin.cli.output import Column

Columns = tuple[Column, ...]
KEPT = (Column("iso"), Column("answers"))


def add_to_images(images: Noun, columns: Columns, described: Callable[[Any], Any]) -> None:
    @images.add(
        "add-kickstart",
        calls=["addKickstart"],
        examples=[
            "ovc images add-kickstart web.ks --iso 'Rocky 9' --pool Cloud --name 'Rocky web'"
        ],
    )
    @click.argument("file", metavar="FILE")
    @option("image", "The installation ISO.", flag="--iso", required=True)
    @option("pool", "Whom it serves: this pool and all below.", required=True)
    @click.option("--name", "called", metavar="TEXT", required=True, help="Its name.")
    @described
    def add(ovc: Ovc, *, file: str, image: str, pool: str, called: str, **more: str) -> None:
        """Add an ISO with the answers that its installer is given, the text of ks.cfg."""
        pool_id, iso_id = id_of(ovc.client, "pool", pool), id_of(ovc.client, "image", image)
        body = {"name": called, "iso_id": iso_id, "answers": _read(file), **more}
        ovc.out.one(ovc.client.call("POST", f"/pools/{pool_id}/kickstarts", body).body, columns)

    @images.add(
        "kickstart",
        calls=["getKickstart", "setKickstart"],
        examples=[
            "ovc images kickstart 'Rocky web' > web.ks",
            "ovc images kickstart 'Rocky web' --set web.ks",
        ],
    )
    @reference("image")
    @click.option(
        "--set", "file", metavar="FILE", help="Its new answers; - for what comes from a pipe."
    )
    @option("image", "Another installation ISO, with --set.", flag="--iso")
    def kickstart(ovc: Ovc, *, name: str, file: str | None, image: str | None) -> None:
        """Print what the installer of a kickstart is told, or change it."""
        path = f"/images/{id_of(ovc.client, 'image', name)}/kickstart"
        if file is None:
            click.echo(ovc.client.get(path)["answers"], nl=False)
            return
        body: dict[str, Any] = {"answers": _read(file)}
        if image is not None:
            body["iso_id"] = id_of(ovc.client, "image", image)
        ovc.out.one(ovc.client.call("PUT", path, body).body, KEPT)


def _read(file: str) -> str:
    try:
        with click.open_file(file, encoding="utf-8") as found:
            return str(found.read())
    except OSError as error:
        raise usage(f"{file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise usage(f"{file} is no text.") from None
