"""The whole main job by `ovc` alone: from a token to a running guest, its console and its end.

What `ovc` did is looked at with virsh and on the host itself.
"""

from __future__ import annotations

import hashlib
import os
import pty
import re
import subprocess
from pathlib import Path

import pycdlib
import pytest

from ovcadmin.drivers.storage.base import whole_blocks
from tests.rig.base import wait_until
from tests.rig.guest import Guest
from tests.rig.ovc import OVC, Shell
from tests.rig.served import SECONDS, served, shell_of

BRIDGE = "ovccli0"


@pytest.fixture(scope="module")
def site(tmp_path_factory, shared_host):
    """A whole console on a real host; yields it and its address."""
    directory = tmp_path_factory.mktemp("site")
    with served(directory, f"sqlite:///{directory}/ovcadmin.db", shared_host) as found:
        yield found
    shared_host.recover()


@pytest.fixture(scope="module")
def shell(site, tmp_path_factory) -> Shell:
    found = shell_of(*site, tmp_path_factory.mktemp("home"))
    _prepare(found)
    return found


def _prepare(shell: Shell) -> None:
    """Wait until the host is up and the starter image is on its storage."""
    wait_until(
        lambda: [row["state"] for row in shell.json("hosts", "list")] == ["up"], "a host", SECONDS
    )
    wait_until(lambda: shell.json("operations", "list"), "the copy of the image", SECONDS)
    shell("operations", "wait", *shell("operations", "list", "-q").lines, "--timeout", SECONDS)


def _quota_used(shell: Shell, pool: str) -> tuple[int, int]:
    used = shell.json("pools", "quota", "show", pool)["levels"][0]["used"]
    return used["machines"], used["vcpus"]


@pytest.mark.timeout(300)
@pytest.mark.requirement("KVM-18")
def test_from_a_token_to_a_running_guest_and_back(shell, shared_host):
    image = shell.json("images", "list")[0]["name"]
    shell("pools", "create", "Web", "--parent", shell.json("pools", "list")[0]["name"])
    shell("pools", "quota", "set", "Web", "--vcpus", 4, "--machines", 1, "--storage", "10GB")

    order = ("--pool", "Web", "--image", image, "--size", "tiny", "--wait", "--timeout", SECONDS)
    created = shell("machines", "create", "web01", "web02", *order, "--json")
    assert [(row["name"], row["result"]) for row in created.json] == [
        ("web01", "done"), ("web02", "done"),
    ]  # fmt: skip
    assert "Create web01: done" in created.err
    started = shell("machines", "start", "web01", "--wait", "--timeout", SECONDS)
    assert started.table[0][1:3] == ["web01", "done"]

    machine = shell.json("machines", "show", "web01")
    assert (machine["shown"], _quota_used(shell, "Web")[0]) == ("running", 1)
    domain = machine["uuid"]
    assert domain in _domains(shared_host)

    refused = shell.run("machines", "start", "web02")
    assert (refused.code, "running machines 1 of 1 used" in refused.err) == (3, True)
    assert "quota.exceeded" in refused.err

    shell("machines", "suspend", "web01", "--wait")
    assert shared_host.virsh("domstate", domain) == "paused"
    shell("machines", "resume", "web01", "--wait")
    assert "uname-Linux" in _typed(shell, "web01", "echo uname-$(uname)\r", "uname-Linux")

    unasked = shell.run("machines", "poweroff", "web01")
    assert (unasked.code, "--yes" in unasked.err) == (2, True)
    shell("machines", "poweroff", "--selector", "pool=Web,state=running", "--yes", "--wait")
    assert shared_host.virsh("domstate", domain) == "shut off"
    assert _quota_used(shell, "Web") == (0, 0)

    _report(shell, machine["id"])
    gone = shell("machines", "remove", "web01", "web02", "--yes", "--wait", "-o", "csv")
    assert [line.split(",")[1:3] for line in gone.lines[1:]] == [
        ["web01", "done"], ["web02", "done"],
    ]  # fmt: skip
    assert domain not in _domains(shared_host)
    assert "web01" not in [row["name"] for row in shell.json("machines", "list")]


def _domains(host) -> list[str]:
    return host.virsh("list", "--all", "--uuid").split()


@pytest.mark.timeout(400)
@pytest.mark.requirement("KVM-20", "KVM-21", "KVM-24", "KVM-25", "KVM-27", "KVM-29", "KVM-30")
def test_the_bare_stage_by_commands_alone(shell, shared_host):
    """Resources, placement, power, drives, taps and addresses; ISOs stand in the next test."""
    (host,) = shell.json("hosts", "list")
    node = dict(line.split(":", 1) for line in shared_host.virsh("nodeinfo").splitlines())
    assert host["cpus"] == int(node["CPU(s)"])
    # Not that of nodeinfo: that adds up NUMA cells, which know less where memory was added later.
    (total,) = re.findall(r"total *: *(\d+) KiB", shared_host.virsh("nodememstats"))
    assert host["memory"] == int(total)
    root, image = shell.json("pools", "list")[0]["name"], shell.json("images", "list")[0]["name"]
    places = shell.json("pools", "placement", root, "--image", image, "--size", "tiny")
    assert [(one["host"]["name"], one["fits"]) for one in places["items"]] == [(host["name"], True)]

    order = ("--pool", root, "--image", image, "--size", "tiny", "--start", "--wait")
    shell("machines", "create", "left", "right", *order, "--timeout", SECONDS)
    domains = {name: shell.json("machines", "show", name)["uuid"] for name in ("left", "right")}
    _resets(shell, shared_host, domains["left"])
    guests = {name: Guest(shared_host, domain) for name, domain in domains.items()}
    for guest in guests.values():
        guest.run("true")  # a guest that boots lets no device go
    _drives(shell, shared_host)
    try:
        _taps_and_addresses(shell, shared_host, guests)
    finally:
        shared_host.run("ip", "link", "delete", BRIDGE)
    running = shell.run("machines", "remove", "left", "--yes")
    assert (running.code, "running" in running.err) == (3, True)
    shell("machines", "poweroff", "left", "right", "--yes", "--wait")
    shell("machines", "remove", "left", "right", "--yes", "--wait")
    assert not set(domains.values()) & set(_domains(shared_host))


def _resets(shell: Shell, host, domain: str) -> None:
    number = host.virsh("domid", domain)
    shell("machines", "reset", "left", "--yes", "--wait")
    assert (host.virsh("domstate", domain), host.virsh("domid", domain)) == ("running", number)


def _drives(shell: Shell, host) -> None:
    """A volume appears with its size and goes; one in use stays."""
    (store,) = shell.json("storage", "list")
    of = ("--storage-pool", store["name"])
    shell("volumes", "create", "data", "--size", "1GB", "--pool", 1, *of, "--wait")
    volume = next(one for one in shell.json("volumes", "list", *of) if one["name"] == "data")
    (file,) = (path for path in (host.images / "volumes").iterdir() if "data" in path.name)
    assert (volume["size"], file.stat().st_size) == (10**9, whole_blocks(10**9))
    shell("machines", "add-drive", "left", "1GB", "--wait")
    held = shell.run("volumes", "delete", "data", *of, "--yes")
    assert (held.code, file.exists()) == (3, True)
    shell("machines", "remove-drive", "left", "vdb", "--keep", "--yes", "--wait")
    shell("volumes", "delete", "data", *of, "--yes", "--wait")
    assert not file.exists()


def _taps_and_addresses(shell: Shell, host, guests: dict[str, Guest]) -> None:
    """Cards on a bridge are taps there, and send from the address that they were assigned."""
    host.run("ip", "link", "add", BRIDGE, "type", "bridge")
    host.run("ip", "link", "set", BRIDGE, "up")
    macs = {"left": "52:54:00:00:aa:01", "right": "52:54:00:00:aa:02"}
    for number, (name, mac) in enumerate(macs.items(), 1):
        card = ("--network", f"bridge:{BRIDGE}", "--mac", mac)
        shell("machines", "add-card", name, *card, "--wait")
        shell("machines", "assign-address", name, mac, f"10.98.0.{number}", "--wait")
        find = f"for i in /sys/class/net/*; do grep -q {mac} $i/address && echo ${{i##*/}}; done"
        link = guests[name].run(find)
        guests[name].run(f"ip link set {link} up; ip addr add 10.98.0.{number}/24 dev {link}")
        guests[name].run(f"ip addr add 10.98.0.{number + 10}/24 dev {link}")
    assert len(_taps(host)) == 2
    taken = shell.run("machines", "assign-address", "right", macs["right"], "10.98.0.1")
    assert (taken.code, "has the address 10.98.0.1" in taken.err) == (3, True)

    assert "52:54:00:00:aa:01" in host.run("ebtables", "-t", "nat", "-L")
    ask = "ping -c 2 -w 8 -I 10.98.0.{} 10.98.0.2 > /dev/null && echo heard || echo silence"
    assert guests["left"].run(ask.format(1)) == "heard"
    assert guests["left"].run(ask.format(11)) == "silence"
    shell("machines", "assign-address", "left", macs["left"], "none", "--wait")
    assert guests["left"].run(ask.format(11)) == "heard"

    for name, mac in macs.items():
        shell("machines", "remove-card", name, mac, "--yes", "--wait")
    assert _taps(host) == []


def _taps(host) -> list[str]:
    return host.run("ip", "-br", "link", "show", "master", BRIDGE).splitlines()


@pytest.mark.timeout(200)
@pytest.mark.requirement("KVM-26", "KVM-28")
def test_an_iso_is_registered_and_put_in_by_commands_alone(shell, shared_host, tmp_path):
    iso = tmp_path / "tools.iso"
    made = pycdlib.PyCdlib()
    made.new()
    made.write(str(iso))
    made.close()
    shell("images", "upload", iso, "--name", "Tools", "--kind", "iso", "--pool", 1, "--wait")
    image = shell.json("images", "show", "Tools")
    assert (image["size"], image["checksum"]) == (
        iso.stat().st_size, hashlib.sha256(iso.read_bytes()).hexdigest(),
    )  # fmt: skip
    start = shell.json("images", "list")[0]["name"]
    order = ("--pool", 1, "--image", start, "--size", "tiny", "--start", "--wait")
    shell("machines", "create", "reader", *order, "--timeout", SECONDS)
    drive = ("domblklist", shell.json("machines", "show", "reader")["uuid"])
    shell("machines", "cdrom", "reader", "--iso", "Tools", "--wait")
    (line,) = (one for one in shared_host.virsh(*drive).splitlines() if "hda" in one)
    assert Path(line.split()[1]).read_bytes() == iso.read_bytes()
    used = shell.run("images", "delete", "Tools", "--yes")
    assert (used.code, "reader" in used.err) == (3, True)
    shell("machines", "cdrom", "reader", "--eject", "--wait")
    (line,) = (one for one in shared_host.virsh(*drive).splitlines() if "hda" in one)
    assert line.split()[1:] == ["-"]
    shell("images", "delete", "Tools", "--yes")
    assert "Tools" not in [row["name"] for row in shell.json("images", "list")]
    shell("machines", "poweroff", "reader", "--yes", "--wait")
    shell("machines", "remove", "reader", "--yes", "--wait")


def _typed(shell: Shell, name: str, keys: str, wanted: str) -> str:
    """Type into the console on a terminal, wait for `wanted`, leave by Ctrl-]."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [OVC, "console", name], env=shell.environment, stdin=its, stdout=its, stderr=its
    )
    os.close(its)
    screen = b""

    def read_until(text: bytes) -> None:
        nonlocal screen
        while text not in screen:
            screen += os.read(ours, 4096)

    try:
        read_until(b"starter:~#")
        os.write(ours, keys.encode())
        read_until(wanted.encode())
        os.write(ours, b"\x1d")
        assert process.wait(20) == 0
    finally:
        process.kill()
        os.close(ours)
    return screen.decode(errors="replace")


def _report(shell: Shell, machine_id: int) -> None:
    """The machine stands in this month's report with what it used."""
    report = shell.json("consumption", "report")
    machines = [
        machine
        for account in report["accounts"]
        for space in account["spaces"]
        for machine in space["machines"]
    ]
    used = next(machine["used"] for machine in machines if machine["id"] == machine_id)
    assert used["vcpu_hours"] > 0
    assert used["storage_gb_hours"] > 0


@pytest.mark.timeout(200)
def test_a_failed_operation_is_an_exit_code_and_an_article(shell, site):
    made, _ = site
    image = shell.json("images", "list")[0]["id"]
    order = ("--pool", 1, "--image", image, "--size", "tiny")
    key = shell.json("machines", "create", "spoilt", *order)[0]["operation_id"]
    shell("operations", "wait", key)
    volume = shell.json("machines", "devices", "spoilt")["drives"][0]["volume"]
    disk = next((made.host.images / "volumes").glob(f"*{volume}*"))
    disk.unlink()
    failed = shell.run("machines", "start", "spoilt", "--wait")
    assert failed.code == 1
    assert "/help/errors/" in failed.err
    again = shell.run("operations", "retry", shell.json("operations", "list")[0]["id"], "--wait")
    assert again.code == 1
