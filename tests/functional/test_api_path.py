"""The main path through the REST API: pool, quota, machine, actions, console, consumption."""

from __future__ import annotations

from ovcadmin.domain.states import State


def test_a_pool_is_made_changed_and_deleted(world):
    anna = world.api(world.user("anna", "Administrator"))
    root = world.root()

    made = anna("POST", f"/pools/{root.id}/pools", {"name": "Web", "description": "shops"})
    assert made.status_int == 201
    pool = made.json
    assert made.headers["Location"] == f"http://localhost/api/v1/pools/{pool['id']}"

    edited = anna("PATCH", f"/pools/{pool['id']}", {"name": "Shop"}, If_Match=made.headers["ETag"])
    assert edited.json["name"] == "Shop"
    assert edited.json["description"] == "shops"
    assert [row["name"] for row in anna("GET", "/pools").json["items"]] == ["Cloud", "Shop"]

    assert anna("DELETE", f"/pools/{pool['id']}").status_int == 204
    assert anna("GET", f"/pools/{pool['id']}").status_int == 404


def test_a_machine_is_made_and_acted_on(world):
    anna = world.api(world.user("anna", "User"))
    world.host()
    image, pool = world.image(), world.pool("Web")

    accepted = anna(
        "POST",
        f"/pools/{pool.id}/machines",
        {"name": "web01", "image_id": image.id, "size": "small"},
    )
    assert accepted.status_int == 202
    machine, operation = accepted.json["machine"], accepted.json["operation"]
    assert accepted.headers["Location"].endswith(f"/api/v1/operations/{operation['id']}")
    assert (machine["vcpus"], machine["memory"], machine["storage"]) == (2, 262144, 15 * 10**9)
    assert {"start", "delete"} <= set(machine["actions"])

    world.finish(operation["id"])
    assert anna("GET", f"/machines/{machine['id']}").json["state"] == State.STOPPED
    done = anna("GET", f"/operations/{operation['id']}?wait=5").json
    assert (done["state"], done["error"]) == ("done", None)

    started = anna("POST", f"/machines/{machine['id']}/actions/start")
    assert started.json["operation"]["title"] == "Start web01"
    assert started.json["machine"]["shown"] == "starting (queued)"
    assert anna("POST", f"/operations/{started.json['operation']['id']}/cancel").status_int == 202
