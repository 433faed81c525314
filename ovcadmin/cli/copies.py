"""`ovc machines clone` and `template`: copies of stopped machines."""

from __future__ import annotations

from typing import Any

import click

from ovcadmin.cli import bulk
from ovcadmin.cli.command import Noun, Ovc
from ovcadmin.cli.names import find, id_of, option, reference
from ovcadmin.cli.progress import timeout_option, wait_option


def add_to_machines(machines: Noun) -> None:
    """Declare the commands."""

    @machines.add(
        "clone",
        calls=["cloneMachine"],
        examples=["ovc machines clone web01 web02 web03 --wait"],
    )
    @reference("machine")
    @click.argument("names", nargs=-1, required=True, metavar="NEW...")
    @option("pool", "The pool of the clones; that of the machine by default.")
    @wait_option
    @timeout_option
    def clone(ovc: Ovc, *, name: str, names: tuple[str, ...], **given: Any) -> None:
        """Make machines like a stopped one, with copies of its disks."""
        _copy(ovc, "clones", name, names, **given)

    @machines.add(
        "template",
        calls=["makeTemplate"],
        examples=["ovc machines template web01 'Web server' --wait"],
    )
    @reference("machine")
    @click.argument("names", nargs=1, required=True, metavar="NEW")
    @option("pool", "The pool that the image serves; that of the machine by default.")
    @wait_option
    @timeout_option
    def template(ovc: Ovc, *, name: str, names: str, **given: Any) -> None:
        """Make an image of the first disk of a stopped machine."""
        _copy(ovc, "templates", name, (names,), **given)


def _copy(
    ovc: Ovc,
    what: str,
    name: str,
    names: tuple[str, ...],
    *,
    pool: str | None,
    wait: bool,
    timeout: float | None,
) -> None:
    source = find(ovc.client, "machine", name)
    more = {"pool_id": id_of(ovc.client, "pool", pool)} if pool else {}

    def make(target: dict[str, Any]) -> dict[str, Any]:
        answer = ovc.client.call(
            "POST",
            f"/machines/{source['id']}/{what}",
            {"name": target["name"], **more},
        ).body
        return {**answer["operation"], "machine": answer["machine"]}

    targets: list[Any] = [{"name": one} for one in names]
    bulk.run(ovc, "machine", targets, make, wait=wait, timeout=timeout)
