"""People by the REST API: users, groups, roles, realms, rights, tokens, sessions, the audit log."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from ovcadmin.models import Grant, Group, Role
from ovcadmin.services import realms, tokens
from tests.functional.test_grants import group
from tests.functional.test_realm_ends import Corp
from tests.functional.world import PASSWORD, Api, World


@pytest.fixture
def admin(world) -> Api:
    return world.api(world.admin())


def named(answer, name: str) -> dict[str, object]:
    return next(row for row in answer.json["items"] if row["name"] == name)


def test_a_user_is_made_changed_disabled_and_deleted(world, admin):
    new = {"name": "anna", "password": PASSWORD, "full_name": "Anna A", "mail": "anna@example.org"}
    made = admin("POST", "/users", new, Idempotency_Key="anna")
    assert made.status_int == 201
    assert admin("POST", "/users", new, Idempotency_Key="anna").json == made.json
    assert made.headers["Location"].endswith(f"/api/v1/users/{made.json['id']}")
    path = f"/users/{made.json['id']}"
    assert admin("GET", path).json["mail"] == "anna@example.org"
    assert admin("POST", "/users", {**new, "password": "short", "name": "b"}).status_int == 422

    seen = admin("GET", path).headers["ETag"]
    assert admin("PATCH", path, {"mail": "a@example.org"}).status_int == 428
    edited = admin("PATCH", path, {"mail": "a@example.org"}, If_Match=seen)
    assert (edited.json["mail"], edited.json["full_name"]) == ("a@example.org", "Anna A")
    assert admin("PATCH", path, {"mail": "b@example.org"}, If_Match=seen).status_int == 412

    assert admin("PUT", f"{path}/password", {"password": "another good one"}).status_int == 204
    weak = admin("PUT", f"{path}/password", {"password": "short"})
    assert weak.json["fields"][0]["field"] == "password"
    off = admin("POST", f"{path}/state", {"action": "disable"})
    assert off.json["disabled"] is True
    assert named(admin("GET", "/users?state=disabled"), "anna@internal")
    assert admin("GET", "/users?realm=nowhere").json["items"] == []
    assert admin("POST", f"{path}/state", {"action": "enable"}).json["disabled"] is False
    assert admin("DELETE", path).status_int == 204
    assert admin("GET", path).status_int == 404


def test_sessions_tokens_and_the_second_factor_of_somebody_are_ended(world, admin):
    anna = world.user("anna", "User")
    browser, api = world.signed_in(anna), world.api(anna)
    path = f"/users/{anna.id}"
    assert len(admin("GET", f"{path}/sessions").json["items"]) == 1
    (token,) = admin("GET", f"{path}/tokens").json["items"]
    assert "key" not in token
    assert admin("DELETE", f"{path}/sessions").status_int == 204
    assert browser.fetch("/profile").status_int == 303
    assert admin("DELETE", f"{path}/tokens?token_id={token['id']}").status_int == 204
    assert api("GET", "/session").status_int == 401
    assert admin("DELETE", f"{path}/second-factor").status_int == 204


@pytest.mark.requirement("PEER-04")
def test_a_token_makes_others_that_hold_no_more_and_last_no_longer(world):
    own = world.pool("Engineering")
    anna = world.user("anna", "User")
    api = world.api(anna)  # of one day
    made = api("POST", "/tokens", {"name": "x", "days": 1, "pool_id": own.id})
    assert made.status_int == 422, "it would outlive the token by some seconds"
    with world.work() as work:
        _, key = tokens.create(work, anna.id, name="own", days=None)
    api = Api(world.app, key)
    made = api(
        "POST", "/tokens", {"name": "x", "days": 9, "pool_id": own.id, "privileges": ["control"]}
    )
    assert made.status_int == 201
    narrow = Api(world.app, made.json["key"])
    assert narrow("GET", "/pools").json["items"][0]["name"] == "Engineering"
    assert narrow("POST", "/tokens", {"name": "y"}).status_int == 403
    listed = named(api("GET", "/tokens"), "x")
    assert (listed["pool_id"], listed["privileges"]) == (own.id, ["control", "view"])
    assert "key" not in listed
    assert (
        narrow("DELETE", f"/tokens/{named(api('GET', '/tokens'), 'own')['id']}").status_int == 403
    )
    assert narrow("DELETE", f"/tokens/{listed['id']}").status_int == 204, "itself it may revoke"
    assert narrow("GET", "/session").status_int == 401


def test_ones_own_password_and_sessions(world):
    anna = world.user("anna", "User")
    api, browser = world.api(anna), world.signed_in(anna)
    new = {"old": "wrong", "new": "a fine new one", "again": "a fine new one"}
    assert api("PUT", "/password", new).json["fields"][0]["field"] == "old"
    unlike = {**new, "old": PASSWORD, "again": "x"}
    assert api("PUT", "/password", unlike).json["fields"][0]["field"] == "again"
    assert api("PUT", "/password", {**new, "old": PASSWORD}).status_int == 204
    assert browser.fetch("/profile").status_int == 303, "other sessions end"
    browser = world.signed_in(anna)
    (session,) = api("GET", "/sessions").json["items"]
    assert api("DELETE", f"/sessions/{session['id']}").status_int == 204
    assert browser.fetch("/profile").status_int == 303


@pytest.mark.requirement("PEER-03")
def test_roles_are_data(world, admin):
    new = {"name": "Operator", "privileges": ["view", "control"]}
    made = admin("POST", "/roles", new, Idempotency_Key="op")
    assert made.status_int == 201
    assert admin("POST", "/roles", new, Idempotency_Key="op").json["id"] == made.json["id"]
    path = f"/roles/{made.json['id']}"
    assert made.json["use"] == {"grants": 0, "pools": 0, "people": 0}
    changed = admin("PATCH", path, {"privileges": ["view"]}, If_Match=made.headers["ETag"])
    assert changed.json["privileges"] == ["view"]
    late = admin("PATCH", path, {"name": "X"}, If_Match=made.headers["ETag"])
    assert late.status_int == 412
    assert admin("DELETE", path).status_int == 204
    assert admin("POST", "/roles", {"name": "Y", "privileges": ["fly"]}).status_int == 422


def test_many_grants_of_a_pool_are_read_to_the_end_and_searched(world, admin):
    pool = world.pool("Engineering")
    anna = world.user("anna", "Monitor", pool)
    with world.work() as work:
        role = work.db.scalars(select(Role).where(Role.name == "User")).one()
        realm_id = realms.listing(work)[0].id
        crowd = [
            Group(realm_id=realm_id, directory_key=name, dn="", name=name, name_key=name)
            for name in (f"team{number:04}" for number in range(1200))
        ]
        work.db.add_all(crowd)
        work.db.flush()
        work.db.add_all(
            Grant(group_id=one.id, role_id=role.id, pool_id=pool.id, created_at=work.now())
            for one in crowd
        )
    path = f"/pools/{pool.id}/grants"
    for sort in ("id", "-id"):
        rows, cursor = [], ""
        while cursor is not None:
            page = admin("GET", f"{path}?sort={sort}&limit=200{cursor and f'&cursor={cursor}'}")
            rows += page.json["items"]
            cursor = page.json["next"]
        assert len(rows) == 1202, "the administrator's on the root among them"
        assert [row["id"] for row in rows] == sorted(
            {row["id"] for row in rows}, reverse=sort == "-id"
        )
    (found,) = admin("GET", f"{path}?q=TEAM0007").json["items"]
    assert (found["group"]["name"], found["inherited"]) == ("team0007@internal", False)
    (found,) = admin("GET", f"{path}?q=monitor").json["items"]
    assert found["user"]["id"] == anna.id
    (found,) = admin("GET", f"{path}?q=super&fields=inherited,role.name").json["items"]
    assert found == {"inherited": True, "role": {"name": "Super Admin"}}
    assert admin("GET", f"{path}?q=%25").json["items"] == []
    assert admin("GET", f"{path}?sort=role").status_int == 422


@pytest.mark.requirement("NEW-03")
def test_what_a_grant_would_mean_is_told_and_why_somebody_may(world, admin):
    pool = world.pool("Engineering")
    anna = world.user("anna")
    dev = group(world, "dev", anna)
    role = named(admin("GET", "/roles"), "User")
    body = {"group_id": dev.id, "role_id": role["id"]}
    told = admin("POST", f"/pools/{pool.id}/grants/preview", body).json
    assert (told["people"], told["changed"], told["pools"]) == (1, 1, 1)
    assert "control" in told["changes"][0]["gains"]
    grant = admin("POST", f"/pools/{pool.id}/grants", body, Idempotency_Key="g")
    assert admin("POST", f"/pools/{pool.id}/grants", body, Idempotency_Key="g").json == grant.json
    lost = admin("POST", f"/pools/{pool.id}/grants/preview", {"grant_id": grant.json["id"]}).json
    assert "control" in lost["changes"][0]["loses"]

    why = admin("GET", f"/users/{anna.id}/rights?pool_id={pool.id}").json
    assert "because group dev@" in why["here"]["reasons"][0]["text"] or why["groups"]
    own = world.api(anna)("GET", f"/rights?pool_id={pool.id}").json
    assert own["here"]["privileges"] == why["here"]["privileges"]
    shown = admin("GET", f"/groups/{dev.id}").json
    assert shown["grants"][0]["role"]["name"] == "User"
    assert named(admin("GET", f"/groups/{dev.id}/members"), "anna@internal")


def test_a_realm_is_deleted_after_a_look(world, admin):
    corp = Corp(world)
    path = f"/realms/{corp.realm_id}"
    assert admin("POST", f"{path}/state", {"action": "disable"}).json["enabled"] is False
    looked = admin("DELETE", f"{path}?dry_run=true").json
    assert (looked["done"], looked["lost"]["users"]) == (False, 2)
    assert admin("DELETE", path).status_int == 422
    assert admin("DELETE", f"{path}?name=corp").json["done"] is True
    assert admin("GET", path).status_int == 404


@pytest.mark.requirement("PEER-27")
def test_the_audit_log_is_read_and_filtered(world, admin):
    pool = world.pool("Engineering")
    admin("POST", f"/pools/{pool.id}/pools", {"name": "Web"})
    found = admin("GET", f"/audit?action=pool.create&actor=admin&pool_id={pool.id}").json
    assert [row["object_name"] for row in found["items"]] == ["Web"]
    assert admin("GET", "/audit?outcome=refused").json["items"] == []
    first = admin("GET", "/audit?limit=1").json
    second = admin("GET", f"/audit?limit=1&cursor={first['next']}").json
    assert second["items"][0]["id"] < first["items"][0]["id"]
    assert admin("GET", "/audit?since=2020-01-01&until=2020-01-02").json["items"] == []
    mona = world.user("mona", "Monitor")
    assert world.api(mona)("GET", "/audit").status_int == 403


def test_realms_of_a_directory_by_rest(sqlite_world: World):
    admin = sqlite_world.api(sqlite_world.admin())
    new = {
        "name": "corp", "kind": "openldap", "label": "Corp", "servers": "localhost:9",
        "base": "dc=example,dc=org", "transport": "plain", "bind_dn": "cn=x",
        "bind_password": "secret",
    }  # fmt: skip
    made = admin("POST", "/realms", new)
    assert made.status_int == 201, made
    assert "secret" not in made.text
    path = f"/realms/{made.json['id']}"
    checked = admin("POST", f"{path}/check").json
    assert checked["good"] is False
    assert checked["findings"][0]["step"] == "connection"
    edited = admin("PATCH", path, {"label": "The Corp"}, If_Match=made.headers["ETag"])
    assert (edited.json["label"], edited.json["settings"]["base"]) == ("The Corp", new["base"])
    assert admin("PATCH", path, {"label": "X"}, If_Match=made.headers["ETag"]).status_int == 412
    asked = admin("POST", f"{path}/sync", {"dry_run": True})
    assert (asked.status_int, asked.json["operation"]["type"]) == (202, "realm.sync")
    assert admin("GET", f"{path}/changes").json["operation"] is None
    assert {row["name"] for row in admin("GET", "/realms").json["items"]} == {"internal", "corp"}
