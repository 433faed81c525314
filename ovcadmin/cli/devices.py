"""Commands on what a machine consists of: size, boot order, drives, cards, CD-ROM, limits."""

from __future__ import annotations

from typing import Any

import click

from ovcadmin.cli import bulk, rates, text
from ovcadmin.cli.command import Noun, Ovc, agreed, yes_option
from ovcadmin.cli.failures import usage
from ovcadmin.cli.names import find, id_of, option, reference
from ovcadmin.cli.output import Column
from ovcadmin.cli.progress import timeout_option, wait_option

COLUMNS = (
    Column("device"),
    Column("what"),
    Column("limit"),
)
Body = dict[str, Any] | None


def add_to_machines(machines: Noun) -> None:
    _add_show(machines)
    _add_size(machines)
    _add_start(machines)
    _add_cdrom(machines)
    _add_drives(machines)
    _add_drive_care(machines)
    _add_cards(machines)
    _add_addresses(machines)


def _ask(ovc: Ovc, name: str, method: str, part: str, body: Body, waiting: dict[str, Any]) -> None:
    """Ask for the change of one machine, and follow it when that is wished."""

    def act(machine: dict[str, Any]) -> dict[str, Any]:
        answer = ovc.client.call(method, f"/machines/{machine['id']}/{part}", body).body
        return {**answer["operation"], "machine": answer["machine"]}

    bulk.run(ovc, "machine", [name], act, **waiting)


def _add_show(machines: Noun) -> None:
    @machines.add("devices", calls=["getDevices"], examples=["ovc machines devices web01"])
    @reference("machine")
    def devices(ovc: Ovc, name: str) -> None:
        """Show drives, cards, CD-ROM, limits, and what is pending until it was off."""
        machine = find(ovc.client, "machine", name)
        found = ovc.client.get(f"/machines/{machine['id']}/devices")
        ovc.out.raw(found, _rows(found), COLUMNS)


def _rows(found: dict[str, Any]) -> list[dict[str, str | None]]:
    pending = {mark["name"]: f" (pending: {mark['coming']})" for mark in found["pending"]}
    cpu = found["cpu_limit"]
    return [
        {
            "device": "vcpus",
            "what": f"{found['vcpus']}{pending.get('vcpus', '')}",
            "limit": None if cpu is None else f"{cpu} %",
        },
        {
            "device": "memory",
            "what": f"{text.memory(found['memory'])}{pending.get('memory', '')}",
            "limit": None,
        },
        {"device": "boot", "what": f"{found['boot']}{pending.get('boot', '')}", "limit": None},
        *[
            {
                "device": one["target"],
                "what": f"{text.storage(one['size'])} in {one['storage_pool']}"
                + (", swap" if one["swap"] else ""),
                "limit": _rates(one["bytes_limit"], one["iops_limit"], "operations/s"),
            }
            for one in found["drives"]
        ],
        *[
            {
                "device": one["mac"],
                "what": one["network"] or "user-mode network",
                "limit": _rates(one["receive_limit"], one["send_limit"], "B/s sent"),
            }
            for one in found["cards"]
        ],
        *[
            {
                "device": given["rate"],
                "what": f"its part of what {rates.limited_by(given)} limits",
                "limit": rates.show(given["rate"], given["amount"]),
            }
            for given in found["shared"]
        ],
        *[
            {"device": one["drive"], "what": (one["image"] or {"name": "empty"})["name"],
             "limit": None}
            for one in found["cdroms"]
        ],
    ]  # fmt: skip


def _rates(first: int | None, second: int | None, word: str) -> str | None:
    parts = [f"{text.storage(first)}/s"] if first else []
    return ", ".join(parts + ([f"{second} {word}"] if second else [])) or None


def _limit(typed: int | str | None) -> int | str | None:
    """Return what the API takes: null is no limit."""
    return None if typed == text.NONE else typed


def _add_size(machines: Noun) -> None:
    @machines.add(
        "resize",
        calls=["resizeMachine"],
        examples=["ovc machines resize web01 --vcpus 4 --memory 4GiB --wait"],
    )
    @reference("machine")
    @click.option("--vcpus", type=click.IntRange(1, 240), help="As now when not given.")
    @click.option("--memory", type=text.MEMORY, help="A bare number is MiB.")
    @wait_option
    @timeout_option
    def resize(
        ovc: Ovc, *, name: str, vcpus: int | None, memory: int | None, **waiting: Any
    ) -> None:
        """Change vcpus and memory; what a running guest cannot take is pending."""
        machine = find(ovc.client, "machine", name)
        body = {"vcpus": vcpus or machine["vcpus"], "memory": memory or machine["memory"]}
        _ask(ovc, name, "POST", "resize", body, waiting)

    @machines.add(
        "limit-cpu",
        calls=["limitCpu"],
        examples=["ovc machines limit-cpu web01 150", "ovc machines limit-cpu web01 none"],
    )
    @reference("machine")
    @click.argument("percent", type=text.COUNT)
    @wait_option
    @timeout_option
    def limit_cpu(ovc: Ovc, *, name: str, percent: int | str, **waiting: Any) -> None:
        """Limit CPU time, percent of one CPU for all vcpus together; `none` for no limit."""
        _ask(ovc, name, "PUT", "cpu-limit", {"percent": _limit(percent)}, waiting)


def _add_start(machines: Noun) -> None:
    @machines.add(
        "boot",
        calls=["setBoot"],
        examples=["ovc machines boot web01 --order network,disk"],
    )
    @reference("machine")
    @click.option("--order", metavar="A,B", help="Some of disk, cdrom and network.")
    @click.option("--os-type", type=click.Choice(["linux", "windows", "freebsd"]))
    @wait_option
    @timeout_option
    def boot(
        ovc: Ovc, *, name: str, order: str | None, os_type: str | None, **waiting: Any
    ) -> None:
        """Change what it boots from and the OS type, for the next start."""
        given = {"order": order, "os_type": os_type}
        body = {key: value for key, value in given.items() if value is not None}
        if not body:
            raise usage("Say --order or --os-type.")
        _ask(ovc, name, "PUT", "boot", body, waiting)

    @machines.add(
        "complete", calls=["completeMachine"], examples=["ovc machines complete web01 --wait"]
    )
    @reference("machine")
    @wait_option
    @timeout_option
    def complete(ovc: Ovc, *, name: str, **waiting: Any) -> None:
        """Add the serial port, screen and CD-ROM drive that its domain lacks."""
        _ask(ovc, name, "POST", "complete", None, waiting)


def _add_cdrom(machines: Noun) -> None:
    @machines.add(
        "cdrom",
        calls=["setCdrom"],
        examples=["ovc machines cdrom web01 --iso tools", "ovc machines cdrom web01 --eject"],
    )
    @reference("machine")
    @option("image", "The ISO image to put in.", flag="--iso")
    @click.option("--eject", is_flag=True, help="Take out what is in it.")
    @click.option("--drive", type=click.Choice(["hda", "hdb"]), default="hda", show_default=True)
    @wait_option
    @timeout_option
    def cdrom(
        ovc: Ovc, *, name: str, image: str | None, eject: bool, drive: str, **waiting: Any
    ) -> None:
        """Put an ISO image into a CD-ROM drive, or take it out."""
        if (image is None) is not eject:
            raise usage("Say --iso or --eject.")
        body = {"image_id": id_of(ovc.client, "image", image), "drive": drive}
        _ask(ovc, name, "PUT", "cdrom", body, waiting)


def _add_drives(machines: Noun) -> None:
    target = click.argument("target", metavar="DRIVE")

    @machines.add(
        "add-drive",
        calls=["addDrive"],
        examples=[
            "ovc machines add-drive web01 20GB --wait",
            "ovc machines add-drive web01 2GB --swap",
        ],
    )
    @reference("machine")
    @click.argument("size", type=text.STORAGE)
    @click.option("--swap", is_flag=True, help="On the host's own storage, in no snapshot.")
    @wait_option
    @timeout_option
    def add(ovc: Ovc, *, name: str, size: int, swap: bool, **waiting: Any) -> None:
        """Add a drive, attaching a free volume of that size or making one."""
        _ask(ovc, name, "POST", "drives", {"size": size, "swap": swap}, waiting)

    @machines.add(
        "grow-drive", calls=["growDrive"], examples=["ovc machines grow-drive web01 vdb 40GB"]
    )
    @reference("machine")
    @target
    @click.argument("size", type=text.STORAGE)
    @wait_option
    @timeout_option
    def grow(ovc: Ovc, *, name: str, target: str, size: int, **waiting: Any) -> None:
        """Grow a drive to a size, also of a running guest."""
        _ask(ovc, name, "PATCH", f"drives/{target}", {"size": size}, waiting)


def _add_drive_care(machines: Noun) -> None:
    target = click.argument("target", metavar="DRIVE")

    @machines.add(
        "limit-drive",
        calls=["limitDrive"],
        examples=["ovc machines limit-drive web01 vda --bytes 10MB --operations 200"],
    )
    @reference("machine")
    @target
    @click.option("--bytes", "byte_rate", type=text.STORAGE, help="A second; no limit without.")
    @click.option("--operations", type=click.IntRange(min=1), help="A second.")
    @wait_option
    @timeout_option
    def limit(
        ovc: Ovc, *, name: str, target: str, byte_rate: int | None, operations: int | None,
        **waiting: Any,
    ) -> None:  # fmt: skip
        """Limit a drive; what is not said is not limited."""
        body = {"bytes": _limit(byte_rate), "operations": operations}
        _ask(ovc, name, "PUT", f"drives/{target}/limits", body, waiting)

    @machines.add(
        "remove-drive",
        calls=["removeDrive"],
        examples=["ovc machines remove-drive web01 vdb --yes"],
    )
    @reference("machine")
    @target
    @click.option("--keep", is_flag=True, help="Keep its volume for the machine's pool.")
    @yes_option
    @wait_option
    @timeout_option
    def remove(ovc: Ovc, *, name: str, target: str, keep: bool, yes: bool, **waiting: Any) -> None:
        """Remove a drive; its volume is deleted unless it is kept."""
        lost = "" if keep else " What is on it is lost."
        agreed(f"Remove {target} of {name}?{lost}", yes=yes)
        _ask(ovc, name, "DELETE", f"drives/{target}?keep={str(keep).lower()}", None, waiting)


def _add_cards(machines: Noun) -> None:
    mac_argument = click.argument("mac")

    @machines.add(
        "add-card",
        calls=["addCard"],
        examples=["ovc machines add-card web01 --network lan --mac 52:54:00:12:34:56"],
    )
    @reference("machine")
    @click.option("--network", help="A network of its host; QEMU's own without.")
    @click.option("--mac", help="A MAC of your choice; a random one without.")
    @wait_option
    @timeout_option
    def add(ovc: Ovc, *, name: str, network: str | None, mac: str | None, **waiting: Any) -> None:
        """Add a network card."""
        _ask(ovc, name, "POST", "cards", {"network": network, "mac": mac}, waiting)

    @machines.add(
        "limit-card",
        calls=["limitCard"],
        examples=["ovc machines limit-card web01 52:54:00:12:34:56 --receive 1MB"],
    )
    @reference("machine")
    @mac_argument
    @click.option("--receive", type=text.STORAGE, help="A second, towards the guest.")
    @click.option("--send", type=text.STORAGE, help="A second, from the guest.")
    @wait_option
    @timeout_option
    def limit(
        ovc: Ovc, *, name: str, mac: str, receive: int | None, send: int | None, **waiting: Any
    ) -> None:
        """Limit a network card; what is not said is not limited."""
        body = {"receive": _limit(receive), "send": _limit(send)}
        _ask(ovc, name, "PUT", f"cards/{mac}/limits", body, waiting)

    @machines.add(
        "remove-card",
        calls=["removeCard"],
        examples=["ovc machines remove-card web01 52:54:00:12:34:56 --yes"],
    )
    @reference("machine")
    @mac_argument
    @yes_option
    @wait_option
    @timeout_option
    def remove(ovc: Ovc, *, name: str, mac: str, yes: bool, **waiting: Any) -> None:
        """Remove a network card."""
        agreed(f"Remove the card {mac} of {name}?", yes=yes)
        _ask(ovc, name, "DELETE", f"cards/{mac}", None, waiting)


def _add_addresses(machines: Noun) -> None:
    @machines.add(
        "assign-address",
        calls=["assignAddress"],
        examples=[
            "ovc machines assign-address web01 52:54:00:12:34:56 10.0.0.5",
            "ovc machines assign-address web01 52:54:00:12:34:56 none",
        ],
    )
    @reference("machine")
    @click.argument("mac")
    @click.argument("address")
    @wait_option
    @timeout_option
    def assign(ovc: Ovc, *, name: str, mac: str, address: str, **waiting: Any) -> None:
        """Hold a card to one IPv4 address; `none` lets it send from any."""
        body = {"address": None if address == text.NONE else address}
        _ask(ovc, name, "PUT", f"cards/{mac}/address", body, waiting)
