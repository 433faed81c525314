"""What owners of pools arrange, sets, tags and articles: by the REST API."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ovcadmin.models import utcnow
from tests.functional.world import Api


@pytest.fixture
def admin(world) -> Api:
    return world.api(world.admin())


def test_a_request_for_quota_is_asked_once_decided_and_read(world, admin):
    pool = world.pool("Engineering", vcpus=2)
    anna = world.user("anna", "User", pool)
    api = world.api(anna)
    ask = {"level_id": pool.id, "amounts": {"vcpus": 3}}
    path = f"/pools/{pool.id}/quota-requests"
    made = api("POST", path, ask, Idempotency_Key="q")
    assert api("POST", path, ask, Idempotency_Key="q").json["id"] == made.json["id"]
    one = f"/quota-requests/{made.json['id']}"
    assert api("POST", f"{one}/decision", {"action": "approve"}).status_int == 403
    wrong = admin("POST", f"{one}/decision", {"action": "approve", "limits": {"nics": 3}})
    assert wrong.json["fields"][0]["field"] == "limits.nics"
    done = admin("POST", f"{one}/decision", {"action": "approve", "reason": "Fine"})
    assert (done.json["state"], done.json["reason"]) == ("approved", "Fine")
    assert admin("GET", f"/pools/{pool.id}/quota").json["levels"][0]["limits"]["vcpus"] == 5
    assert api("POST", f"{one}/seen").status_int == 204
    again = api("POST", path, ask)
    left = api("POST", f"/quota-requests/{again.json['id']}/withdraw")
    assert left.json["state"] == "withdrawn"


def test_persons_policy_and_loans(world, admin):
    lender, borrower = world.pool("Lender", vcpus=8), world.pool("Borrower", vcpus=2)
    world.user("anna", "User", lender)
    path = f"/pools/{lender.id}"
    set_ = admin("PUT", f"{path}/persons", {"who": "anna", "limits": {"vcpus": 4}})
    (line,) = set_.json["items"]
    assert (line["who"], line["limits"]["vcpus"]) == ("anna@internal", 4)
    assert admin("PUT", f"{path}/persons", {"who": "anna", "limits": {}}).json["items"] == []
    policy = admin("PUT", f"{path}/policy", {"warnings": {"vcpus": 90}, "defaults": {"nics": 3}})
    assert policy.json["warnings"]["vcpus"] == 90
    assert admin("GET", f"{path}/policy").json["defaults"]["nics"] == 3

    until = f"{utcnow() + timedelta(days=3):%Y-%m-%d}"
    terms = {"borrower_id": borrower.id, "resource": "vcpus", "amount": 3, "until": until}
    loan = admin("POST", f"{path}/loans", terms, Idempotency_Key="l")
    assert loan.status_int == 201, loan
    assert admin("POST", f"{path}/loans", terms, Idempotency_Key="l").json == loan.json
    assert admin("GET", f"/pools/{borrower.id}/loans").json["items"][0]["lends"] is False
    assert admin("POST", f"{path}/loans", {**terms, "borrower_id": 1}).status_int == 422
    back = admin("POST", f"/loans/{loan.json['id']}/return")
    assert back.json["returned_at"]
    assert admin("GET", f"{path}/loans").json["items"] == []


def test_sets_and_tags(world, admin):
    pool = world.pool("Web")
    world.host()
    world.image()
    machine = world.machine("web01", pool)
    made = admin("POST", f"/pools/{pool.id}/logical-groups", {"name": "Shop"}, Idempotency_Key="s")
    again = admin("POST", f"/pools/{pool.id}/logical-groups", {"name": "Shop"}, Idempotency_Key="s")
    assert again.json["id"] == made.json["id"]
    path = f"/logical-groups/{made.json['id']}"
    member = {"kind": "machine", "name": "web01"}
    assert admin("POST", f"{path}/members", member).json["id"] == machine.id
    assert admin("GET", path).json["members"][0]["name"] == "web01"
    edited = admin("PATCH", path, {"name": "Store"}, If_Match=made.headers["ETag"])
    assert edited.json["name"] == "Store"
    assert admin("PATCH", path, {"name": "X"}, If_Match=made.headers["ETag"]).status_int == 412
    gone = admin("DELETE", f"{path}/members?kind=machine&object_id={machine.id}")
    assert gone.status_int == 204
    assert admin("GET", path).json["members"] == []

    put = admin("PUT", f"/machines/{machine.id}/tags", {"tags": ["Production", "shop"]})
    assert put.json["tags"] == ["production", "shop"]
    assert admin("GET", "/tags?word=shop").json["items"][0]["name"] == "web01"
    assert admin("PUT", f"/pools/{pool.id}/tags", {"tags": ["no good"]}).status_int == 200
    assert admin("PUT", f"/pools/{pool.id}/tags", {"tags": ["§"]}).status_int == 422
    assert admin("DELETE", path).status_int == 204


def test_an_article_is_written_published_and_restored(world, admin):
    new = {"section": "tutorials", "title": "Backups at night", "body": "One.", "publish": True}
    made = admin("POST", "/knowledge", new)
    assert made.status_int == 201, made
    path = f"/knowledge/tutorials/{made.json['slug']}"
    reader = world.api(world.user("anna", "User"))
    assert reader("GET", path).json["body"] == "One.\n"
    assert reader("PUT", path, {"body": "x"}, If_Match="*").status_int == 403
    tag = admin("GET", path).headers["ETag"]
    draft = admin("PUT", path, {"body": "Two.", "note": "better"}, If_Match=tag)
    assert (draft.json["draft"], reader("GET", path).json["body"]) == (True, "One.\n")
    assert admin("PUT", path, {"body": "Three."}, If_Match=tag).status_int == 412
    care = admin("GET", "/knowledge-care").json["drafts"]
    assert [one["slug"] for one in care] == [made.json["slug"]]
    assert admin("DELETE", f"{path}/draft", If_Match="*").status_int == 204
    admin("PUT", path, {"body": "Four.", "publish": True}, If_Match="*")
    numbers = [one["number"] for one in admin("GET", f"{path}/versions").json["items"]]
    first = admin("GET", f"{path}/versions/{numbers[-1]}").json
    assert first["body"] == "One.\n"
    back = admin("POST", f"{path}/versions/{numbers[-1]}", If_Match="*")
    assert back.json["body"] == "One.\n"
    assert reader("PUT", f"{path}/opinion", {"helped": True}).status_int == 204
    assert reader("GET", path).json["helped"] is True
    found = reader("GET", "/knowledge?q=backups+at+night").json["items"]
    assert found[0]["slug"] == made.json["slug"]
    assert admin("DELETE", path, If_Match="*").status_int == 204
    assert reader("GET", path).status_int == 404
    shipped = reader("GET", "/knowledge/errors/quota.exceeded").json
    assert shipped["title"]
