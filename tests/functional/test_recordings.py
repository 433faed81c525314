"""Recordings of consoles by the doors that people use: who sees what, masks, sharing, the end."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest
from sqlalchemy import select

from ovcadmin.domain import recordings as form_of
from ovcadmin.models import Audit, Machine, Recording
from ovcadmin.services import console_policies, recordings
from ovcadmin.services.consoles import Holder
from tests.functional.world import form

EVENTS = [(100, "o", "login: "), (2500, "o", "token=s3same"), (4000, "o", "bye")]


@pytest.fixture
def web(world):
    pool = world.pool("Web")
    host = world.host()
    world.image()
    world.machine_id = world.machine("web01", pool, host=host).id
    return pool


@pytest.fixture
def anna(world, web):
    return world.user("anna", "User", web)


@pytest.fixture
def recording(world, web, anna):
    """A complete recording of Anna's console."""
    with world.work() as work:
        machine = work.db.get_one(Machine, world.machine_id)
        console_policies.put(work, machine.pool, records=True, keep_days=3)
        holder = Holder(user_id=anna.id, machine_id=machine.id, session_id=1)
        order = recordings.order(work, holder, 7, machine)
        for part in (EVENTS[:1], EVENTS[1:]):
            data = b"".join(form_of.cast_line(*event) for event in part)
            recordings.add(work, order.recording_id, data, length=part[-1][0])
        recordings.finish(work, [7])
        return order.recording_id


def shown(answer):
    """What a downloaded cast prints."""
    lines = [json.loads(line) for line in answer.body.splitlines()]
    assert lines[0]["version"] == 2
    return "".join(text for _, code, text in lines[1:] if code == "o")


def test_a_pool_wants_its_consoles_recorded_and_one_below_does_not(world, web):
    below = world.pool("Below", web)
    browser = world.signed_in(world.user("carl", "Administrator", web))
    path = f"/pools/{web.id}/console-policy"
    assert path in browser.get(f"/pools/{web.id}").text
    entry = form(browser.get(path), "")
    entry["records"], entry["keep_days"] = True, "14"
    assert "recorded and kept for 14 days" in entry.submit().follow().text
    console = browser.get(f"/machines/{world.machine_id}/console")
    assert "This console is recorded." in console.text
    assert "14 days" in console.text
    with world.work() as work:
        assert console_policies.recording(work, below).keep_days == 14
        console_policies.put(work, below, records=False)
        assert console_policies.recording(work, below) is None
    assert "Take it away" in browser.get(path).text
    form(browser.get(path), "").submit("remove")
    assert "is recorded" not in browser.get(f"/machines/{world.machine_id}/console").text


def test_days_that_are_none_are_refused(world, web):
    browser = world.signed_in(world.admin())
    entry = form(browser.get(f"/pools/{web.id}/console-policy"), "")
    entry["keep_days"] = "0"
    assert "1 to 3650" in entry.submit(status=422).text


def test_who_was_recorded_and_who_changes_the_pool_look_at_it(world, web, anna, recording):
    path = f"/recordings/{recording}"
    owner, carl = world.signed_in(anna), world.signed_in(world.user("carl", "Administrator", web))
    bert = world.signed_in(world.user("bert", "User", web))
    for browser in (owner, carl):
        assert path in browser.get(f"/recordings?machine={world.machine_id}").text
        assert shown(browser.get(f"{path}/content")) == "login: token=s3samebye"
    assert "There is no recording here" in bert.get("/recordings").text
    bert.get(path, status=404)
    bert.get(f"{path}/content", status=404)
    assert "Mask, share" not in owner.get(path).text
    with world.work() as work:
        looks = work.db.scalars(select(Audit).where(Audit.action == "recording.look"))
        assert sorted(row.actor for row in looks) == ["anna@internal", "carl@internal"]


def test_a_secret_is_taken_out_before_it_is_shared(world, web, anna, recording):
    path = f"/recordings/{recording}"
    carl = world.signed_in(world.user("carl", "Administrator", web))
    bert = world.signed_in(world.user("bert", "Monitor", web))
    entry = form(carl.get(path), f"{path}/mask")
    entry["begin"], entry["end"] = "nonsense", "3"
    assert "Write seconds" in entry.submit(status=422).text
    entry["begin"] = "2.4"
    assert "taken out for good" in entry.submit().follow().text
    form(carl.get(path), f"{path}/share").submit("shared")
    seen = shown(bert.get(f"{path}/content"))
    assert "s3same" not in seen
    assert "[masked]" in seen
    assert seen.endswith("bye")
    form(carl.get(path), f"{path}/share").submit("shared")
    bert.get(path, status=404)


def test_the_same_by_rest(world, web, anna, recording):
    api = world.api(world.user("carl", "Administrator", web))
    listed = api("GET", f"/recordings?machine_id={world.machine_id}").json["items"]
    assert [(row["id"], row["user"], row["seconds"]) for row in listed] == [
        (recording, "anna@internal", 4.0)
    ]
    data, cursor = b"", ""
    while cursor is not None:
        piece = api("GET", f"/recordings/{recording}/content{cursor and f'?cursor={cursor}'}").json
        data, cursor = data + base64.b64decode(piece["data"]), piece["next"]
    assert b"s3same" in data
    api("POST", f"/recordings/{recording}/mask", {"begin": 2, "end": 3})
    assert api("PUT", f"/recordings/{recording}/share", {"shared": True}).json["shared"] is True
    assert api("GET", f"/pools/{web.id}/console-policy").json["keep_days"] == 3
    assert api("DELETE", f"/recordings/{recording}").status_int == 204
    assert api("GET", f"/recordings/{recording}").status_int == 404


def test_one_that_is_being_made_is_neither_masked_nor_deleted(world, web, recording):
    with world.work() as work:
        work.db.get_one(Recording, recording).ended_at = None
    api = world.api(world.admin())
    refused = api("DELETE", f"/recordings/{recording}").json
    assert "still being made" in refused["detail"]


def test_days_that_are_over_end_it_and_those_that_are_not_do_not(world, web, recording):
    with world.work() as work:
        assert recordings.due(work) == []
        work.db.get_one(Recording, recording).expires_at = work.now() - timedelta(seconds=1)
        recordings.expire(work, recordings.due(work))
    with world.work() as work:
        assert work.db.scalars(select(Recording)).all() == []
        assert work.db.scalars(select(recordings.RecordingPart)).all() == []
