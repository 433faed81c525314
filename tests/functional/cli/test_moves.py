"""Moves with a look at what they mean, states of pools, requests for quota, grants by name."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ovcadmin.domain.states import State
from ovcadmin.models import utcnow


@pytest.fixture
def cloud(sqlite_world):
    """A running machine in Web; Small has no room for it."""
    world = sqlite_world
    world.host()
    world.image()
    world.pool("Small", vcpus=0)
    world.pool("Other")
    world.machine("web01", world.pool("Web"), state=State.RUNNING)
    return world


def test_a_move_is_looked_at_first(shell, cloud):
    before = cloud.fingerprint()
    looked = shell.run("pools", "move", "Web", "--parent", "Small", "--dry-run")
    assert (looked.code, "Small: vCPUs 0 of 0 used" in looked.out) == (3, True)
    assert shell("pools", "move", "Web", "--parent", "Other", "--dry-run").code == 0
    assert shell.json("machines", "move", "web01", "--pool", "Other", "--dry-run")["done"] is False
    assert cloud.fingerprint() == before

    refused = shell.run("pools", "move", "Web", "--parent", "Small", "--yes")
    assert (refused.code, "quota.exceeded" in refused.err) == (3, True)
    shell("pools", "move", "Web", "--parent", "Other", "--yes")
    other = shell.json("pools", "show", "Other")["id"]
    assert shell.json("pools", "show", "Other/Web")["parent_id"] == other
    shell("machines", "move", "web01", "--pool", "Other", "--yes")
    assert shell.json("machines", "show", "web01")["pool"]["name"] == "Other"
    nowhere = shell.run("machines", "move", "web01", "--pool", "Other", "--yes")
    assert (nowhere.code, "It is there already" in nowhere.err) == (2, True)


@pytest.mark.requirement("NEW-03")
def test_a_lower_limit_is_looked_at_first(shell, cloud):
    before = cloud.fingerprint()
    lower = ("pools", "quota", "set", "Web", "--machines", 0)
    assert shell.json(*lower, "--dry-run") == {
        "used": [{"resource": "machines", "limit": 0, "amount": 1, "person": None}],
        "promised": [],
        "stuck": [],
    }
    unasked = shell.run(*lower)
    assert (unasked.code, "machines 1, the limit would be 0" in unasked.err) == (2, True)
    assert cloud.fingerprint() == before
    shell(*lower, "--yes")
    assert shell.json("pools", "quota", "show", "Web")["levels"][0]["limits"]["machines"] == 0


@pytest.mark.requirement("NEW-03")
def test_a_lower_limit_of_a_person_is_looked_at_first(shell, cloud):
    before = cloud.fingerprint()
    lower = ("pools", "limit-person", "Web", "--machines", 0)
    looked = shell(*lower, "--dry-run")
    owner = cloud.admin().name
    assert f"{owner}@internal: machines 1, the limit would be 0" in looked.out
    assert "Nothing was changed." in looked.err
    unasked = shell.run(*lower)
    assert (unasked.code, "Set the limits of everybody else in Web?" in unasked.err) == (2, True)
    assert cloud.fingerprint() == before
    shell(*lower, "--yes")
    assert shell.json("pools", "persons", "Web")[0]["limits"]["machines"] == 0
    assert shell("pools", "persons", "Web").table == [["everybody else", "machines 0", "-"]]
    # What takes nothing away is not asked.
    shell("pools", "limit-person", "Web", "--machines", 3)


@pytest.mark.requirement("NEW-03")
def test_a_loan_is_looked_at_first(shell, cloud):
    giver = cloud.pool("Giver", machines=2)
    cloud.pool("Taker", machines=0)
    cloud.machine("spare", cloud.pool("Part", giver, machines=2))
    before = cloud.fingerprint()
    until = f"{utcnow() + timedelta(days=3):%Y-%m-%d}"
    lend = ("loans", "lend", "Giver", "--to", "Taker", "--resource", "machines", "--until", until)
    told = shell.json(*lend, "--amount", 2, "--dry-run")
    assert [one["name"] for one in told["stuck"]] == ["spare"]
    assert "promised to sub-pools" in shell(*lend, "--amount", 1, "--dry-run").out
    unasked = shell.run(*lend, "--amount", 2)
    assert (unasked.code, "Lend it to Taker?" in unasked.err) == (2, True)
    assert shell.run(*lend, "--amount", 3, "--dry-run").code == 3
    assert cloud.fingerprint() == before
    shell(*lend, "--amount", 2, "--yes")
    assert [row["lent"] for row in shell.json("loans", "list", "Giver")] == [2]


def test_who_loses_rights_by_a_move_is_told_before(shell, cloud):
    anna = cloud.user("anna", "User", cloud.pool("Team"))
    shell("pools", "move", "Web", "--parent", "Team", "--dry-run")
    shown = shell("pools", "move", "Web", "--parent", "Team", "--dry-run").out
    assert "gains" in shown
    assert f"{anna.name}" in shown
    unasked = shell.run("pools", "move", "Web", "--parent", "Team")
    assert (unasked.code, "Move Web?" in unasked.err) == (2, True)


def test_a_pool_is_frozen_retired_and_brought_back(shell, cloud):
    assert shell.json("pools", "freeze", "Other")["frozen"] is True
    again = shell.run("pools", "freeze", "Other")
    assert again.code == 3
    assert shell.json("pools", "unfreeze", "Other")["frozen"] is False
    assert shell.json("pools", "retire", "Other")["retired"] is True
    back = shell.json("pools", "list")[0]["id"]
    assert shell.run("pools", "retire", back).code == 3  # the cloud itself


def test_quota_is_asked_for(shell, shell_of, cloud):
    pool = cloud.pool("Full", machines=1)
    anna = shell_of(cloud.user("anna", "User", pool))
    fits = anna.json("pools", "forecast", "Full")
    assert {one["size"]: one["count"] for one in fits["fits"]}["tiny"] == 1
    made = anna.json("requests", "ask", "Full", "--machines", 2, "--note", "a shop")
    assert (made["state"], made["amounts"]) == ("open", {"machines": 2})
    assert "machines 2" in shell("requests", "list").out
    assert "machines 2" in shell("requests", "show", made["id"]).out
    assert [row["id"] for row in anna.json("requests", "list", "--mine")] == [made["id"]]
    assert anna.run("requests", "ask", "Full").code == 2


def test_a_role_is_given_by_name_and_revoked(shell, cloud):
    cloud.user("anna")
    assert shell.json("users", "list", "--q", "ann")[0]["name"] == "anna@internal"
    given = shell.json("grants", "give", "Web", "--role", "user", "--user", "anna")
    assert (given["user"]["name"], given["role"]["name"]) == ("anna@internal", "User")
    changed = shell.json("grants", "change", given["id"], "--role", "Monitor")
    assert changed["role"]["name"] == "Monitor"
    listed = shell.json("grants", "list", "Web")
    assert [row["user"]["name"] for row in listed if not row["inherited"]] == ["anna@internal"]
    shell("grants", "revoke", given["id"], "--yes")
    assert shell.run("grants", "show", given["id"]).code == 4
    assert shell.run("grants", "give", "Web", "--role", "User").code == 2


def test_hosts_storage_images_and_roles_are_shown(shell, cloud):
    shell("hosts", "disable", "kvm-a")
    assert shell.json("hosts", "show", "kvm-a")["enabled"] is False
    shell("hosts", "enable", "kvm-a")
    assert shell("hosts", "list").table[0][1:4] == ["kvm-a", "up", "yes"]
    assert shell("storage", "show", "kvm-a-local").out.count("1 PB") == 2
    assert shell.json("images", "show", "Starter")["name"] == "Starter"
    assert "small" in shell("sizes", "list", "-q").lines
    assert "Help Desk" in shell("roles", "list").out
    assert shell.json("groups", "list") == []
    key = shell.json("operations", "list", "--machine", "web01")[0]["id"]
    assert "Create web01" in shell("operations", "show", key).out
