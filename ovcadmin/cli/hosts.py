"""`ovc hosts`: lists, and what placement may choose."""

from __future__ import annotations

from typing import Any

import click

from ovcadmin.cli import bulk, host_changes, text
from ovcadmin.cli.command import Ovc, most_option, noun
from ovcadmin.cli.figures import add_figures
from ovcadmin.cli.names import find, reference, references
from ovcadmin.cli.output import Column

hosts = noun("hosts", "Hosts: where machines run.")

COLUMNS = (
    Column("id", right=True),
    Column("name"),
    Column("state"),
    Column("enabled"),
    Column("pool"),
    Column("machines", "load.machines", right=True),
    Column("cpus", right=True),
    Column("vcpus", "load.vcpus", right=True),
    Column("memory", show=text.memory, right=True),
    Column("promised", "load.memory", text.memory, right=True),
    Column("seen", "observed_at", text.age, right=True),
    Column("state_since", show=text.moment, usual=False),
    Column("state_reason", usual=False),
    Column("busy", usual=False),
    Column("memory_used", show=text.memory, usual=False),
    Column("maintenance", usual=False),
    Column("retired", usual=False),
    Column("uri", usual=False),
    Column("cpu_ratio", usual=False),
    Column("memory_ratio", usual=False),
    Column("memory_reserve", show=text.memory, usual=False),
    Column("migration_uri", usual=False),
    Column("worker_group", usual=False),
    Column("networks", usual=False),
    Column("hostname", usual=False),
    Column("arch", usual=False),
    Column("cpu_model", usual=False),
    Column("virt_type", usual=False),
    Column("virt_note", usual=False),
    Column("libvirt_version", usual=False),
    Column("qemu_version", usual=False),
)


@hosts.add("list", calls=["listHosts"], watch=True, examples=["ovc hosts list --watch"])
@click.option("--tag", metavar="WORD", help="Only what has this tag.")
@most_option
def listing(ovc: Ovc, tag: str | None, most: int | None) -> None:
    """List the hosts that you may see."""
    ovc.out.pages(ovc.client.pages("/hosts", most=most, tag=tag), COLUMNS)


@hosts.add("show", calls=["getHost"], watch=True, examples=["ovc hosts show kvm-a"])
@reference("host")
def show(ovc: Ovc, name: str) -> None:
    """Show one host."""
    ovc.out.one(find(ovc.client, "host", name), COLUMNS)


def _place(ovc: Ovc, names: tuple[str, ...], *, enabled: bool) -> None:
    def change(host: dict[str, Any]) -> None:
        ovc.client.call("PATCH", f"/hosts/{host['id']}", {"enabled": enabled})

    bulk.run(ovc, "host", names, change)


@hosts.add("enable", calls=["editHost"], examples=["ovc hosts enable kvm-a"])
@references("host")
def enable(ovc: Ovc, names: tuple[str, ...]) -> None:
    """Let placement choose hosts again."""
    _place(ovc, names, enabled=True)


@hosts.add("disable", calls=["editHost"], examples=["ovc hosts disable kvm-a kvm-b"])
@references("host")
def disable(ovc: Ovc, names: tuple[str, ...]) -> None:
    """Keep placement from choosing hosts; what runs there goes on."""
    _place(ovc, names, enabled=False)


@hosts.add("shell", calls=["openHostShell"], examples=["ovc hosts shell kvm-a"])
@reference("host")
def shell(ovc: Ovc, name: str) -> None:
    """Type into a host itself, for those who may; Ctrl-] leaves it."""
    from ovcadmin.cli.console import QUIET_SECONDS, talk  # noqa: PLC0415 - only this one needs it

    host = find(ovc.client, "host", name)
    answer = ovc.client.call("POST", f"/hosts/{host['id']}/consoles").body
    talk(ovc, f"Shell on {text.clean(host['name'])}", answer, QUIET_SECONDS)


host_changes.add_to_hosts(hosts, COLUMNS)
add_figures(hosts, "host", "getHostMeasurements")
