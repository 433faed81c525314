"""Pools, quota, machines, operations and consumption by `ovc` alone."""

from __future__ import annotations

import pytest

from ovcadmin.domain.states import State
from tests.functional.cli.conftest import key_of
from tests.rig.articles import body, typed
from tests.rig.ovc import Shell


def test_a_pool_is_made_limited_changed_and_deleted(shell):
    made = shell.json("pools", "create", "Web", "--parent", "Cloud", "--description", "shops")
    assert (made["name"], made["description"]) == ("Web", "shops")
    shell("pools", "quota", "set", "Web", "--vcpus", "8", "--memory", "16GiB", "--storage", "1 TB")
    shell("pools", "quota", "set", "Web", "--vcpus", "none", "--machines", 3)
    level = shell.json("pools", "quota", "show", "Web")["levels"][0]
    assert level["limits"] == {
        "vcpus": None, "memory": 16 * 2**20, "nics": None, "machines": 3, "redundancy": None,
        "storage": 10**12,
    }  # fmt: skip
    shown = shell("pools", "quota", "show", "Web").table
    assert ["Web", "memory", "16 GiB", "0 B", "0 B", "16 GiB"] in shown

    assert shell.json("pools", "edit", "Web", "--name", "Shop")["name"] == "Shop"
    late = shell.run("pools", "edit", "Shop", "--name", "Late", "--version", made["version"])
    assert (late.code, "object.outdated" in late.err) == (3, True)
    assert shell("pools", "delete", "Shop", "--yes").table == [
        [str(made["id"]), "Shop", "done", "-"]
    ]
    assert shell.run("pools", "show", "Shop").code == 4


def test_machines_are_made_started_and_deleted(shell, sqlite_world):
    world = sqlite_world
    world.host()
    image, pool = world.image(), world.pool("Web")
    order = ("--pool", "Web", "--image", image.name, "--size", "small")
    made = shell.json("machines", "create", "web01", "web02", *order)
    assert [(row["name"], row["result"]) for row in made] == [("web01", "queued")] * 1 + [
        ("web02", "queued")
    ]
    for row in made:
        world.finish(row["operation_id"])

    machine = shell.json("machines", "show", "web01")
    assert (machine["state"], machine["pool"]["name"]) == ("stopped", pool.name)
    assert shell.json("machines", "show", machine["uuid"])["id"] == machine["id"]
    assert shell.json("machines", "show", "Web/web01")["id"] == machine["id"]

    started = shell.json("machines", "start", "web01")[0]
    world.finish(started["operation_id"])
    waited = shell("operations", "wait", started["operation_id"])
    assert "Start web01: done" in waited.err
    refused = shell.run("machines", "start", "web01")
    assert (refused.code, "machine.state" in refused.err) == (3, True)
    assert "/help/errors/machine.state" in refused.err

    deleted = shell.json("machines", "remove", "web02", "--yes")[0]
    world.finish(deleted["operation_id"])
    assert [row["name"] for row in shell.json("machines", "list")] == ["web01"]


def test_a_report_of_consumption(shell, sqlite_world):
    world = sqlite_world
    world.host()
    space = world.pool("Space", world.pool("Account"))
    world.image()
    world.machine("web01", space, state=State.RUNNING)
    months = shell.json("consumption", "list")
    report = shell.json("consumption", "report", months[0]["month"])
    assert report["accounts"][0]["pool"]["name"] == "Account"
    header, row = shell("consumption", "report", "-o", "csv").lines[:2]
    assert header.startswith("account,space,machine,created,destroyed,vcpu_hours")
    assert row.startswith("Account,Space,web01,")


@pytest.mark.requirement("NEW-08")
def test_what_the_article_on_ovc_tells_to_type(sqlite_world, url, tmp_path):
    world = sqlite_world
    world.host()
    world.image("Debian 12")
    world.machine("old", world.pool("Web"), state=State.RUNNING)
    # Nobody works here, so that nobody could be waited for.
    text = body("tutorials", "ovc", {"https://cloud.example.org": url, " --start --wait": ""})
    shell = Shell(tmp_path, OVC_KEYRING="off")
    signed_in = shell(*typed(text, "ovc login"), stdin=key_of(world, world.admin()))
    assert f"You are Administrator at {url}" in signed_in.err
    assert "admin" in shell("whoami").out
    assert "web01" in shell(*typed(text, "ovc machines create")).out
    assert {row[1] for row in shell(*typed(text, "ovc machines list")).table} == {"old", "web01"}
    told = shell(*typed(text, "ovc machines shutdown")).out
    assert "would shutdown" in told
    assert "web01" not in told
