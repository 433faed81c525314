"""People by `ovc`: users, roles, grants with a look first, tokens, realms, the audit log."""

from __future__ import annotations

import json

import pytest

from tests.functional.directory import Company
from tests.functional.test_grants import group
from tests.functional.world import PASSWORD
from tests.rig import people
from tests.rig.slapd import slapd


@pytest.mark.requirement("KVM-55")
def test_an_entry_of_the_directory_is_made_changed_and_removed(shell, sqlite_world):
    with slapd() as server:
        company = Company(sqlite_world, server)
        company.make_realm()
        new = ("users", "create", "dora", "--realm", "example", "--full-name", "Dora D")
        assert "dora@example" in shell(*new, stdin=people.PASSWORD + "\n").out
        assert "displayName: Dora D" in server.search("(uid=dora)")
        assert company.browser("dora")[1].status_int == 303
        shell("users", "edit", "dora", "--mail", "dora@example.org")
        assert "mail: dora@example.org" in server.search("(uid=dora)")
        shell("users", "password", "dora", stdin="another good one\n")
        assert company.browser("dora")[1].status_int == 422
        assert company.browser("dora", "another good one")[1].status_int == 303
        shell("users", "disable", "dora")
        assert "pwdAccountLockedTime" in server.search("(uid=dora)", "+")
        assert company.browser("dora", "another good one")[1].status_int == 422
        shell("users", "enable", "dora")
        shell("users", "delete", "dora", "--yes")
        assert "uid=dora" not in server.search("(uid=dora)")


def test_a_user_is_made_looked_after_and_deleted(shell):
    made = shell("users", "create", "anna", "--mail", "anna@example.org", stdin=PASSWORD + "\n")
    assert "anna@internal" in made.out
    shell("users", "edit", "anna", "--full-name", "Anna A")
    assert json.loads(shell("users", "show", "anna", "--json").out)["full_name"] == "Anna A"
    shell("users", "disable", "anna")
    assert "anna" in shell("users", "list", "--state", "disabled").out
    shell("users", "enable", "anna")
    shell("users", "password", "anna", stdin="another good one\n")
    assert shell("users", "sessions", "anna", "-q").out == ""
    assert shell("users", "delete", "anna", "--yes").code == 0
    assert shell.run("users", "show", "anna").code == 4


def test_roles_grants_and_rights(shell, sqlite_world):
    world = sqlite_world
    world.pool("Web")
    anna = world.user("anna")
    group(world, "dev", anna)
    shell("roles", "create", "Operator", "--may", "view", "--may", "control")
    shell("roles", "edit", "Operator", "--description", "Runs machines")
    given = ("grants", "give", "Web", "--role", "Operator", "--group", "dev")
    looked = shell(*given, "--dry-run")
    assert "control" in looked.out
    assert "1 people" in looked.err
    grant = shell(*given, "-q").out.strip()
    assert "dev" in shell("grants", "list", "Web", "--q", "operator").out
    assert "dev" not in shell("grants", "list", "Web", "--q", "super").out
    assert "loses" in shell("grants", "revoke", grant, "--dry-run", "--json").out
    why = shell("users", "rights", "anna", "--pool", "Web")
    assert "because group dev@" in why.err
    assert "anna" in shell("groups", "members", "dev").out
    assert "Operator" in shell("groups", "show", "dev", "--json").out
    assert shell.run("roles", "delete", "Operator", "--yes").code == 3
    shell("grants", "revoke", grant, "--yes")
    shell("roles", "delete", "Operator", "--yes")


def test_own_tokens_sessions_and_rights(shell, sqlite_world):
    sqlite_world.pool("Web")
    key = shell.run("tokens", "create", "ci", "--days", "1", "--pool", "Web")
    assert key.code == 2, "the token of this shell ends sooner"
    assert "outlives" in key.err
    assert "ovc" in shell("tokens", "list").out
    assert shell("sessions", "list", "-q").out == ""
    assert "set_grants" in shell("rights", "--pool", "Web", "--json").out


def test_realms_and_the_audit_log(shell):
    shell(
        "realms", "create", "corp", "--kind", "openldap", "--server", "localhost:9",
        "--base", "dc=example,dc=org", "--transport", "plain",
    )  # fmt: skip
    shell("realms", "edit", "corp", "--label", "Example Ltd")
    assert "Example Ltd" in shell("realms", "list").out
    assert shell.run("realms", "check", "corp").code == 1
    assert "no" not in shell("realms", "changes", "corp", "-q").out
    other = ("realms", "sync", "corp", "--groups-filter", "(cn=dev)")
    assert shell.run(*other).code == 2, "other groups are only tried"
    asked = json.loads(shell(*other, "--dry-run", "--json").out)
    assert asked["type"] == "realm.sync"
    shell("operations", "cancel", str(asked["id"]))
    assert shell.run("realms", "sync", "corp", "--dry-run", "--groups-base", "(").code != 0
    looked = shell("realms", "delete", "corp", "--dry-run")
    assert "machines" in looked.out
    shell("realms", "delete", "corp", "--yes")
    log = shell("audit", "list", "--kind", "realm", "-o", "csv").out
    assert log.splitlines()[1].split(",")[3] == "realm.delete"
    assert "realm.create" in log
