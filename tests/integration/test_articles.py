"""The steps of shipped articles, on a real host: what an article tells to type is typed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig import LibvirtHost, starter_image
from tests.rig.articles import blocks, body, typed
from tests.rig.cloud import Cloud
from tests.rig.guest import Guest
from tests.rig.ovc import Shell
from tests.rig.served import SECONDS, served, shell_of
from tests.rig.tgt import INITIATOR, IQN, Target, iscsi_target

pytestmark = pytest.mark.timeout(400)
MIB = 2**20
POOL = "Web"


@pytest.fixture(scope="module")
def made(
    shared_host: LibvirtHost, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Cloud, Shell]]:
    """One console for all walks, with a pool, and a shell."""
    directory = tmp_path_factory.mktemp("articles")
    with served(directory, f"sqlite:///{directory}/ovcadmin.db", shared_host) as (on, url):
        on.ready()
        shell = shell_of(on, url, directory / "home")
        shell("pools", "create", POOL, "--parent", shell.json("pools", "list")[0]["name"])
        yield on, shell
    shared_host.recover()


@pytest.fixture
def target(made: tuple[Cloud, Shell]) -> Iterator[Target]:
    with iscsi_target(made[0].host) as found:
        found.ask_for_chap()
        yield found


def _storage(made: tuple[Cloud, Shell], target: Target) -> str:
    """Return the article on iSCSI and NFS, with the names of this test in it."""
    on, shell = made
    names = {
        "kvm-a": on.host_row().name, "Cloud": shell.json("pools", "list")[0]["name"],
        "san.example.org": "127.0.0.1", "nfs.example.org": "127.0.0.1",
        "--user console": f"--user {target.user}",
        "--initiator iqn.2024-05.org.example:kvm-a": f"--initiator {INITIATOR}",
        "--device iqn.2024-05.org.example:vm": f"--device {IQN}",
    }  # fmt: skip
    # The host's name stands in that of its initiator too.
    order = sorted(names, key=len, reverse=True)
    return body("administration", "iscsi-nfs", {name: names[name] for name in order})


def _volumes(shell: Shell) -> dict[str, dict]:
    return {row["name"]: row for row in shell.json("volumes", "list", "--storage-pool", "array")}


@pytest.mark.requirement("NEW-08", "OVT-24")
def test_iscsi_from_the_target_to_the_first_drive_and_back(
    made: tuple[Cloud, Shell], target: Target
) -> None:
    on, shell = made
    add = typed(_storage(made, target), "ovc storage add array")
    target.add_lun(1, 64 * MIB)
    refused = shell.run(*add, "--wait", stdin="not the password")
    assert (refused.code, "storage.failed" in refused.err) == (1, True), refused.err
    assert [row["name"] for row in shell.json("storage", "list")].count("array") == 0
    shell(*add, "--wait", stdin=target.password)
    assert target.password not in shell("storage", "show", "array").out

    lun = _volumes(shell)["unit:0:0:1"]
    assert (lun["size"], lun["offered"], lun["machine"]) == (64 * MIB, True, None)
    target.add_lun(2, 32 * MIB)
    shell("storage", "refresh", "array", "--wait")
    assert _volumes(shell)["unit:0:0:2"]["offered"]

    order = ("--pool", POOL, "--image", "Starter Linux", "--size", "tiny", "--wait")
    shell("machines", "create", "db01", *order)
    shell("machines", "add-drive", "db01", "64MiB", "--wait")
    assert _volumes(shell)["unit:0:0:1"]["machine"]["name"] == "db01"
    shell("machines", "start", "db01", "--wait", "--timeout", SECONDS)
    domain = on.machine(shell.json("machines", "show", "db01")["id"]).domain_name
    guest = Guest(on.host, domain)
    assert guest.run("cat /sys/block/vdb/size") == str(64 * MIB // 512)

    kept = shell.run("storage", "remove", "array", "--yes")
    assert (kept.code, "object.in_use" in kept.err) == (3, True), kept.err
    shell("machines", "poweroff", "db01", "--yes", "--wait")
    shell("machines", "remove", "db01", "--yes", "--wait")
    assert _volumes(shell)["unit:0:0:1"]["machine"] is None, "it is given back"
    text = _storage(made, target)
    keep = [word.replace("NAME", "unit:0:0:1") for word in typed(text, "ovc volumes offer")]
    assert shell.json("volumes", "list", "--storage-pool", "array")[0]["pool"] is not None
    shell(*keep)
    shell("storage", "remove", "array", "--yes", "--wait")
    assert "array" not in shell("storage", "list", "-o", "csv").out


@pytest.mark.requirement("NEW-08")
def test_nfs_as_far_as_this_machine_goes(made: tuple[Cloud, Shell], target: Target) -> None:
    """No kernel of a test machine can mount NFS: the failure is told, and nothing is left."""
    _, shell = made
    add = typed(_storage(made, target), "ovc storage add vm")
    failed = shell.run(*add, "--wait")
    assert failed.code == 1
    assert "/help/errors/storage." in failed.err, failed.err
    assert [row["name"] for row in shell.json("storage", "list")].count("vm") == 0


@pytest.mark.requirement("NEW-08")
def test_a_qcow2_disk_becomes_an_image_that_boots(
    made: tuple[Cloud, Shell], tmp_path: Path
) -> None:
    on, shell = made
    text = body("tutorials", "own-disk", {"--pool NAME --name NAME": f"--pool {POOL} --name Moved"})
    old = tmp_path / "old.qcow2"
    words = ("qemu-img", "convert", "-f", "raw", "-O", "qcow2", starter_image(), old)
    subprocess.run(words, check=True)
    (convert,) = blocks(text)
    told = subprocess.run(
        ["sh", "-ec", convert], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout
    checksum = told.splitlines()[-1].split()[0]
    refused = shell.run("images", "upload", old, "--pool", POOL, "--name", "Raw?", "--wait")
    assert (refused.code, "image.invalid" in refused.err) == (1, True), refused.err
    upload = [
        str(tmp_path / word) if word == "disk.raw" else word
        for word in typed(text, "ovc images upload")
    ]
    shell(*upload, "--wait")
    image = next(row for row in shell.json("images", "list") if row["name"] == "Moved")
    assert image["checksum"] == checksum
    order = ("--pool", POOL, "--image", "Moved", "--size", "tiny", "--start", "--wait")
    shell("machines", "create", "moved01", *order, "--timeout", SECONDS)
    domain = on.machine(shell.json("machines", "show", "moved01")["id"]).domain_name
    assert "Linux" in Guest(on.host, domain).run("uname")


@pytest.mark.requirement("NEW-08")
def test_a_snapshot_is_taken_and_gone_back_to(made: tuple[Cloud, Shell]) -> None:
    """What the guest sees of it is tested in test_snapshots; here, what the article says."""
    _, shell = made
    order = ("--pool", POOL, "--image", "Starter Linux", "--size", "tiny", "--wait")
    shell("machines", "create", "web01", *order)
    take = typed(body("tutorials", "snapshots", {}), "ovc snapshots take")
    shell(*take)
    shell(*take)
    listed = shell.json("snapshots", "list", "web01")
    assert [row["name"] for row in listed] == ["before the update"] * 2
    shell("snapshots", "rollback", listed[0]["id"], "--yes", "--wait")
    assert len(shell.json("snapshots", "list", "web01")) == 2, "the snapshot stays"
