"""Enrolling, editing, trying out, clearing and retiring hosts; the domains of nobody's on them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

import click

from ovcadmin.cli import bulk, text
from ovcadmin.cli.command import Noun, Ovc, agreed, most_option, yes_option
from ovcadmin.cli.failures import usage
from ovcadmin.cli.names import find, id_of, option, reference, references
from ovcadmin.cli.output import Column
from ovcadmin.cli.progress import timeout_option, wait_option

Columns = tuple[Column, ...]
DOMAINS = (
    Column("name"),
    Column("power"),
    Column("uuid"),
    Column("vcpus", right=True),
    Column("memory", show=text.memory, right=True),
    Column("storage", show=text.storage, right=True),
    Column("fits"),
    Column("machine_id", right=True, usual=False),
    Column("seen_at", show=text.age, right=True),
    Column("looked_at", show=text.age, usual=False),
    Column("obstacles", usual=False),
    Column("kept", usual=False),
    Column("drives", usual=False),
    Column("cards", usual=False),
)


def _details(function: Callable[..., Any]) -> Callable[..., Any]:
    """Declare the options that describe a host."""
    for declare in reversed(
        (
            click.option("--description", metavar="TEXT"),
            click.option(
                "--virt-type", "virt_type_setting", type=click.Choice(("auto", "kvm", "qemu"))
            ),
            click.option("--cpu-ratio", type=float, help="vCPUs promised for each CPU."),
            click.option("--memory-ratio", type=float, help="1 promises no more than there is."),
            click.option("--memory-reserve", type=int, metavar="KIB", help="Kept for the host."),
            click.option("--migration-uri", metavar="URI", help="Such as tcp://10.0.0.5."),
            click.option("--worker-group", metavar="GROUP", help="Whose workers look after it."),
        )
    ):
        function = declare(function)
    return function


def add_to_hosts(hosts: Noun, columns: Columns) -> None:
    _add_changes(hosts, columns)
    _add_upkeep(hosts)
    _add_rest(hosts, columns)


def _add_changes(hosts: Noun, columns: Columns) -> None:
    @hosts.add(
        "enrol",
        calls=["enrolHost"],
        examples=["ovc hosts enrol kvm-b --uri qemu+ssh://root@kvm-b/system --pool Cloud --wait"],
    )
    @click.argument("name", metavar="NAME")
    @click.option("--uri", required=True, metavar="ADDRESS", help="Its libvirt address.")
    @option("pool", "The pool that it serves, with all below.", required=True)
    @_details
    @wait_option
    @timeout_option
    def enrol(
        ovc: Ovc, *, name: str, pool: str, wait: bool, timeout: float | None, **given: Any
    ) -> None:
        """Enrol a host, and try the way to it."""
        pool_id = id_of(ovc.client, "pool", pool)

        def ask(host: dict[str, Any]) -> dict[str, Any]:
            body = {"name": host["name"], **_said(given)}
            return _operation(ovc.client.call("POST", f"/pools/{pool_id}/hosts", body).body)

        bulk.run(ovc, "host", [{"id": None, "name": name}], ask, wait=wait, timeout=timeout)

    @hosts.add(
        "edit",
        calls=["editHost"],
        examples=["ovc hosts edit kvm-b --memory-reserve 2097152 --cpu-ratio 8"],
    )
    @reference("host")
    @click.option("--new-name", metavar="NAME")
    @click.option("--uri", metavar="ADDRESS", help="Its libvirt address.")
    @_details
    def edit(ovc: Ovc, *, name: str, new_name: str | None, **given: Any) -> None:
        """Change what is said about a host."""
        body = _said(given | {"name": new_name})
        if not body:
            raise usage("Say what is to be changed.")
        host_id = find(ovc.client, "host", name)["id"]
        ovc.out.one(ovc.client.call("PATCH", f"/hosts/{host_id}", body).body, columns)

    for verb, retired, words in (
        ("retire", True, "Take hosts out of use; their history stays."),
        ("bring-back", False, "Undo the retirement of hosts."),
    ):
        _add_retirement(hosts, verb, retired=retired, words=words)


def _add_retirement(hosts: Noun, verb: str, *, retired: bool, words: str) -> None:
    @hosts.add(verb, calls=["editHost"], help=words, examples=[f"ovc hosts {verb} kvm-b"])
    @references("host")
    def change(ovc: Ovc, names: tuple[str, ...]) -> None:
        def ask(host: dict[str, Any]) -> None:
            ovc.client.call("PATCH", f"/hosts/{host['id']}", {"retired": retired})

        bulk.run(ovc, "host", names, ask)


def _add_upkeep(hosts: Noun) -> None:
    @hosts.add("check", calls=["checkHost"], examples=["ovc hosts check kvm-b --wait"])
    @references("host")
    @wait_option
    @timeout_option
    def check(ovc: Ovc, names: tuple[str, ...], *, wait: bool, timeout: float | None) -> None:
        """Try the way to hosts, step by step."""

        def ask(host: dict[str, Any]) -> dict[str, Any]:
            return _operation(ovc.client.call("POST", f"/hosts/{host['id']}/check").body)

        bulk.run(ovc, "host", names, ask, wait=wait, timeout=timeout)

    @hosts.add(
        "maintain",
        calls=["maintainHost"],
        examples=["ovc hosts maintain kvm-a --mode evacuate --wait"],
    )
    @references("host")
    @click.option("--mode", type=click.Choice(("evacuate", "stop")), default="evacuate")
    @yes_option
    @wait_option
    @timeout_option
    def maintain(
        ovc: Ovc, names: tuple[str, ...], *, mode: str, yes: bool, wait: bool,
        timeout: float | None,
    ) -> None:  # fmt: skip
        """Clear hosts: they take no machines, those that run there leave or stop."""
        agreed(f"Clear {', '.join(names)}?", yes=yes or mode == "evacuate")

        def ask(host: dict[str, Any]) -> dict[str, Any]:
            path = f"/hosts/{host['id']}/maintenance"
            return _operation(ovc.client.call("POST", path, {"mode": mode}).body)

        bulk.run(ovc, "host", names, ask, wait=wait, timeout=timeout)


def _add_rest(hosts: Noun, columns: Columns) -> None:
    @hosts.add("end-maintenance", calls=["endMaintenance"],
               examples=["ovc hosts end-maintenance kvm-a"])  # fmt: skip
    @reference("host")
    def end(ovc: Ovc, name: str) -> None:
        """Open a host again; what was moved away stays where it is."""
        host_id = find(ovc.client, "host", name)["id"]
        ovc.out.one(ovc.client.call("DELETE", f"/hosts/{host_id}/maintenance").body, columns)

    @hosts.add("domains", calls=["listDomains"], examples=["ovc hosts domains kvm-a"])
    @reference("host")
    @most_option
    def domains(ovc: Ovc, name: str, most: int | None) -> None:
        """List the domains on a host that are none of the machines living there."""
        host_id = find(ovc.client, "host", name)["id"]
        ovc.out.pages(ovc.client.pages(f"/hosts/{host_id}/domains", most=most), DOMAINS)

    _add_adoption(hosts)


def _add_adoption(hosts: Noun) -> None:
    @hosts.add(
        "adopt",
        calls=["adoptDomain", "listDomains"],
        examples=["ovc hosts adopt kvm-a old-web --pool Customers --wait"],
    )
    @reference("host")
    @click.argument("domains", metavar="DOMAIN...", nargs=-1, required=True)
    @option("pool", "The pool that they are to be in.", required=True)
    @click.option("--name", "called", metavar="NAME", help="That of the domain when not given.")
    @click.option("--os-type", type=click.Choice(("linux", "windows", "freebsd")))
    @wait_option
    @timeout_option
    def adopt(
        ovc: Ovc, *, name: str, domains: tuple[str, ...], pool: str, called: str | None,
        os_type: str | None, wait: bool, timeout: float | None,
    ) -> None:  # fmt: skip
        """Make machines of domains on a host, by name or uuid; their guests go on as they are."""
        if called and len(domains) > 1:
            raise usage("One name is for one domain.")
        host_id = find(ovc.client, "host", name)["id"]
        pool_id = id_of(ovc.client, "pool", pool)
        known = list(chain.from_iterable(ovc.client.pages(f"/hosts/{host_id}/domains")))
        chosen = [_domain(known, one) for one in domains]

        def ask(domain: dict[str, Any]) -> dict[str, Any]:
            body = {"uuid": domain["uuid"], "pool_id": pool_id, "name": called or domain["name"]}
            body |= _said({"os_type": os_type})
            return _operation(ovc.client.call("POST", f"/hosts/{host_id}/domains", body).body)

        bulk.run(ovc, "domain", chosen, ask, wait=wait, timeout=timeout)


def _domain(known: list[dict[str, Any]], word: str) -> dict[str, Any]:
    """Find a domain by its name or uuid; libvirt lets no two of a host have the same."""
    for domain in known:
        if word in (domain["uuid"], domain["name"]):
            return {"id": None, **domain}
    raise usage(f"The host has no domain {word} that is no machine; see ovc hosts domains.")


def _said(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


def _operation(body: Any) -> dict[str, Any]:
    operation: dict[str, Any] = body["operation"]
    return operation
