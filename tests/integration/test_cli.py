"""The whole main job by `ovc` alone: from a token to a running guest, its console and its end.

What `ovc` did is looked at with virsh and on the host itself.
"""

from __future__ import annotations

import os
import pty
import subprocess

import pytest

from tests.rig.ovc import OVC, Shell
from tests.rig.served import SECONDS, prepared, served, shell_of


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
    prepared(found)
    return found


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
