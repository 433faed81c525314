"""The event stream for programs: with a token, and by `ovc events`."""

from __future__ import annotations

import pytest

from ovcadmin.services import changes, tokens
from tests.integration.gateway import gateway_rig
from tests.integration.test_gateway import FAKE, tell
from tests.rig.ovc import Shell


@pytest.fixture
def rig(tmp_path, sqlite_url):
    with gateway_rig(tmp_path, sqlite_url) as made:
        made.start(FAKE)
        yield made


@pytest.fixture
def lab(rig):
    return rig.world.pool("Lab")


def test_a_program_listens_with_a_token_and_hears_what_the_token_leaves(rig, lab):
    below, other = rig.world.pool("Within", lab), rig.world.pool("Beside")
    root = rig.world.root()
    anna = rig.visitor("anna", "User", root)
    with rig.world.work() as work:
        token, key = tokens.create(work, anna.user.id, name="watch", days=1, pool_id=lab.id)
    with rig.events(None, Authorization=f"Bearer {key}") as events:
        assert events.next()["event"] == "hello"
        tell(rig, "machine", 1, other)
        tell(rig, "machine", 2, below)
        heard = events.next()
        assert heard["data"] == {"kind": "machine", "id": 2}
        tell(rig, "machine", 3, other)
        after = f"/live/events?after={int(heard['id']) - 2}"
        with rig.events(None, after, Authorization=f"Bearer {key}") as again:
            assert [again.next()["data"].get("id") for _ in range(2)] == [2, None]
        with rig.world.work() as work:
            tokens.revoke(work, anna.user.id, token.id)
        while events.next()["event"] != "ended":
            pass
    assert rig.get("/live/events", {"Authorization": f"Bearer {key}"}).status == 401


def test_ovc_prints_what_changes(rig, lab, tmp_path):
    anna = rig.visitor("anna", "User", lab)
    with rig.world.work() as work:
        _, key = tokens.create(work, anna.user.id, name="ovc", days=1)
        before = changes.latest(work)
    tell(rig, "machine", 7, lab)
    shell = Shell(tmp_path, OVC_URL=rig.origin, OVC_TOKEN=key)
    told = shell("events", "--after", before, "--count", 1, "--json").json
    assert (told["kind"], told["id"]) == ("machine", 7)
    stranger = shell.but(OVC_TOKEN="ovc_none").run("events")
    assert (stranger.code, "no events for this token" in stranger.err) == (5, True)
