"""Rights where the matrix does not reach: fields, many at once, subtrees, one's own things."""

from __future__ import annotations

import pytest

from ovcadmin.domain.states import Action, State
from ovcadmin.models import Pool
from ovcadmin.services import machines
from tests.functional.world import ROLES, World

SECRET = "Zanzibar"
"""Part of every foreign name: it may be in no answer."""


class Cloud:
    """Two pools side by side with one of everything in each; a user per role on the first."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.own = self._side("Own")
        self.foreign = self._side(SECRET)
        self.users = {
            role: world.user(f"user{number}", role, self.own["pool"])
            for number, role in enumerate(ROLES)
        }

    def _side(self, name: str) -> dict[str, object]:
        world = self.world
        pool = world.pool(name)
        host = world.host(f"{name}-host", pool)
        image = world.image(f"{name}-image", pool)
        machine = world.machine(f"{name}-machine", pool, image=image, host=host)
        with world.work(world.admin()) as work:
            started = machines.act(work, machines.get(work, machine.id), Action.START)
        return {
            "pool": pool,
            "host": host,
            "image": image,
            "machine": machine,
            "storage_pool": world.store(host),
            "operation": started,
        }


@pytest.fixture
def cloud(world) -> Cloud:
    return Cloud(world)


def test_a_grant_reaches_the_whole_subtree_and_ends_with_it(world):
    upper = world.pool("Upper")
    lower = world.pool("Lower", world.pool("Middle", upper))
    anna = world.user("anna", "Monitor", upper)
    api = world.api(anna)
    assert api("GET", f"/pools/{lower.id}").status_int == 200
    assert api("GET", f"/pools/{world.root().id}").status_int == 404
    assert api("POST", f"/pools/{lower.id}/pools", {"name": "x"}).status_int == 403

    world.grant(anna, "Administrator", lower)
    assert api("POST", f"/pools/{lower.id}/pools", {"name": "x"}).status_int == 201
    assert api("POST", f"/pools/{upper.id}/pools", {"name": "x"}).status_int == 403


def test_an_image_is_seen_by_those_whom_it_serves(world):
    space = world.pool("Space", world.pool("Account"))
    image = world.image("Debian")
    anna = world.api(world.user("anna", "User", space))
    assert [row["name"] for row in anna("GET", "/images").json["items"]] == ["Debian"]
    assert anna("GET", f"/images/{image.id}").json["name"] == "Debian"
    assert anna("GET", "/hosts").json["items"] == []


def test_fault_15_fields_that_are_not_asked_for_change_nothing(cloud):
    anna = cloud.users["User"]
    pool, image = cloud.own["pool"], cloud.own["image"]
    order = {"name": "new01", "image_id": image.id, "size": "tiny"}
    smuggled = {
        "owner": "admin@internal", "owner_id": 1, "pool_id": cloud.foreign["pool"].id,
        "is_admin": True, "state": "running", "vcpus": 512,
    }  # fmt: skip
    api = cloud.world.api(anna)
    for name, value in smuggled.items():
        answer = api("POST", f"/pools/{pool.id}/machines", {**order, name: value})
        assert answer.status_int == 422
        assert answer.json["fields"] == [{"field": name, "text": "There is no such field here."}]
    elsewhere = {"host_id": cloud.foreign["host"].id}
    assert api("POST", f"/pools/{pool.id}/machines", {**order, **elsewhere}).status_int == 404

    browser = cloud.world.signed_in(anna)
    fields = {"name": "new02", "image": image.id, "size": "tiny", **smuggled}
    made = browser.send(f"/machines/new?pool={pool.id}", fields)
    assert made.status_int == 303
    found = api("GET", "/machines?q=new02").json["items"][0]
    assert found["owner"] == f"{anna.name}@internal"
    assert found["pool"] == {"id": pool.id, "name": "Own"}
    assert (found["state"], found["vcpus"]) == (State.NEW, 1)


def test_fault_15_an_image_of_others_makes_no_machine(cloud):
    anna = cloud.users["User"]
    order = {"name": "new01", "image_id": cloud.foreign["image"].id, "size": "tiny"}
    answer = cloud.world.api(anna)("POST", f"/pools/{cloud.own['pool'].id}/machines", order)
    assert answer.status_int == 422
    assert SECRET not in answer.text


def test_fault_12_bulk_actions_judge_each_machine(cloud):
    own, foreign = cloud.own["machine"].id, cloud.foreign["machine"].id
    browser = cloud.world.signed_in(cloud.users["Monitor"])
    refused = browser.send("/machines/bulk", {"action": "shutdown", "machine": [own]})
    assert refused.status_int == 200
    assert "privilege “control”" in refused
    browser = cloud.world.signed_in(cloud.users["User"])
    fields = [("action", "shutdown"), ("machine", own), ("machine", foreign)]
    assert browser.send("/machines/bulk", fields).status_int == 404


def test_one_s_own_things_are_one_s_own(world):
    anna, ben = world.user("anna"), world.user("ben")
    one, two = world.signed_in(anna), world.signed_in(ben)
    with world.work() as work:
        from ovcadmin.services import sessions, tokens  # noqa: PLC0415

        session = sessions.listing(work, anna.id)[0]
        token, _ = tokens.create(work, anna.id, name="script", days=None)
    for path in (f"/profile/sessions/{session.id}/revoke", f"/profile/tokens/{token.id}/revoke"):
        assert two.send(path).status_int == 404
    assert one.send(f"/profile/tokens/{token.id}/revoke").status_int == 303
    assert one.send(f"/profile/sessions/{session.id}/revoke").status_int == 303
    assert one.fetch("/profile").status_int == 303
    assert isinstance(world.root(), Pool)
