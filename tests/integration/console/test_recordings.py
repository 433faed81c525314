"""Recordings on the real thing: a gateway process, a guest that runs, and who may look at what."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import select

from ovcadmin.domain import recordings as form
from ovcadmin.errors import NotFound
from ovcadmin.models import Audit, ConsolePolicy, Machine, Pool, Recording
from ovcadmin.services import console_policies, console_sharing, consoles, recordings
from ovcadmin.work import Work
from tests.rig.base import wait_until

SECONDS = 60
BOOT_SECONDS = 120
"""What a guest may take on a busy machine."""


@pytest.fixture
def recorded(rig, machine):
    """The machine's pool wants its consoles recorded, from now on."""
    with rig.world.work() as work:
        for row in work.db.scalars(select(Recording)):
            recordings.remove(work, row)
        pool = work.db.get_one(Pool, machine.pool_id)
        console_policies.put(work, pool, records=True, keep_days=7)


def kept(rig, kind="serial"):
    """The bytes of the newest complete recording of a kind, and its row."""
    with rig.world.work() as work:
        row = work.db.scalars(
            select(Recording)
            .where(Recording.kind == kind, Recording.ended_at.is_not(None))
            .order_by(Recording.id.desc())
        ).first()
        if row is None:
            return None, b""
        data, number = recordings.look(work, row), 0
        while found := recordings.following(work, row.id, number):
            number, data = found[0], data + found[1]
        return row, data


def printed(data):
    """What a cast shows."""
    events = [json.loads(line) for line in data.splitlines()[1:]]
    return "".join(text for _, code, text in events if code == "o")


@pytest.mark.requirement("NEW-07")
def test_a_console_is_recorded_where_its_pool_wants_it(rig, machine, guest, anna, recorded):
    page = rig.at_prompt(anna, machine)
    page.socket.say(size=[100, 30])
    assert page.told[0]["recorded"] is True
    page.type("echo se'cr'et-$((40+2))\r")
    page.expect("secret-42")
    page.socket.say(end=True)
    page.expect_end()
    row, data = wait_until(lambda: (found := kept(rig))[0] and found, "the recording", SECONDS)
    head = json.loads(data.splitlines()[0])
    assert (head["version"], head["title"]) == (2, "web-1")
    assert "secret-42" in printed(data)
    events = [json.loads(line) for line in data.splitlines()[1:]]
    assert "100x30" in {text for _, code, text in events if code == "r"}
    assert "i" not in {code for _, code, _ in events}  # keys are not kept unless asked for
    assert (row.machine_id, row.user_id, row.title) == (machine.id, anna.user.id, "web-1")
    times = [at for at, _, _ in events]
    assert times == sorted(times)
    assert times[-1] * 1000 == row.length

    with rig.world.work() as work:  # masked for good
        # A guest prints in pieces: the secret may be in several events.
        answer = next(at for at, _, text in events if "cr" in text and at > 0)
        recordings.mask(work, work.db.get_one(Recording, row.id), begin=answer, end=times[-1])
    assert "secret-42" not in printed(kept(rig)[1])
    assert "[masked]" in printed(kept(rig)[1])


def test_keys_are_kept_only_where_the_policy_says_so(rig, machine, guest, anna, recorded):
    with rig.world.work() as work:
        work.db.get_one(ConsolePolicy, machine.pool_id).keys = True
    page = rig.at_prompt(anna, machine)
    page.type("echo t'yp'ed\r")
    page.expect("typed")
    page.socket.say(end=True)
    page.expect_end()
    _, data = wait_until(lambda: (found := kept(rig))[0] and found, "the recording", SECONDS)
    events = [json.loads(line) for line in data.splitlines()[1:]]
    assert "".join(text for _, code, text in events if code == "i").lstrip("\r") == "echo t'yp'ed\r"


def test_nothing_is_recorded_without_a_policy(rig, machine, guest, anna):
    page = rig.at_prompt(anna, machine)
    assert page.told[0]["recorded"] is False
    with rig.world.work() as work:
        of_hers = select(Recording).where(Recording.user_id == anna.user.id)
        assert work.db.scalars(of_hers).all() == []


def test_a_gateway_that_stops_or_dies_leaves_complete_recordings(
    rig, machine, guest, anna, recorded
):
    page = rig.at_prompt(anna, machine)
    page.type("echo la'st'\r")
    page.expect("last\r\n")
    assert rig.process.stop() == 0
    assert page.expect_end()[0] == 1001  # a page comes back by itself
    row, data = kept(rig)
    assert row is not None
    assert "last\r\n" in printed(data)

    rig.start()
    page = rig.at_prompt(anna, machine)
    wait_until(lambda: _parts(rig) > 1, "what was shown until now", SECONDS)
    rig.process.kill()
    rig.start()
    again, _ = wait_until(
        lambda: (found := kept(rig))[0] and found[0].id != row.id and found, "its end", SECONDS
    )
    assert again.ended_at is not None


def _parts(rig):
    with rig.world.work() as work:
        return len(work.db.scalars(select(recordings.RecordingPart)).all())


def test_a_screen_is_recorded_as_fbs(rig, machine, guest, anna, recorded):
    with rig.world.database.writing() as db:
        work = Work(db=db, actor=anna.work_actor(), settings=rig.settings)
        key = consoles.issue(work, work.db.get_one(Machine, machine.id), "graphics")
    page = rig.socket(anna)
    page.say(ticket=key, kind="graphics")
    assert json.loads(page.receive())["recorded"] is True
    wait_until(lambda: _parts(rig) > 0, "a picture", SECONDS)
    page.close()
    row, data = wait_until(
        lambda: (found := kept(rig, "graphics"))[0] and found, "the recording", SECONDS
    )
    assert data.startswith(form.FBS_HEAD)
    blocks = list(form.blocks(data[len(form.FBS_HEAD) :]))
    assert blocks[0][1].startswith(b"RFB 003.008\n\x01\x01\0\0\0\0")
    assert b"\x89PNG" in blocks[1][1]
    with rig.world.work() as work:
        whole = work.db.get_one(Recording, row.id)
        recordings.mask(work, whole, begin=0, end=whole.length / 1000)
    left = list(form.blocks(kept(rig, "graphics")[1][len(form.FBS_HEAD) :]))
    assert [data for _, data in left] == [blocks[0][1]]


class Pair:
    """Anna has the console, Bert asks to watch it."""

    def __init__(self, rig, machine, anna):
        self.rig, self.anna = rig, anna
        self.bert = rig.visitor("bert", "User", machine.pool)
        self.own = rig.at_prompt(anna, machine)
        self.watching = _watch(rig, self.bert, machine)
        self.watching.expect_state("waiting")
        self.asked = _told(self.own, "watching")["people"][0]

    def say(self, allow):
        """What Anna's page posts."""
        with self.rig.world.database.writing() as db:
            work = Work(db=db, actor=self.anna.work_actor(), settings=self.rig.settings)
            console_sharing.decide(work, self.anna.user.id, self.asked["id"], allow)

    def ask(self):
        with self.rig.world.database.writing() as db:
            work = Work(db=db, actor=self.bert.work_actor(), settings=self.rig.settings)
            console_sharing.ask_for_keyboard(work, self.bert.user.id, self.asked["id"])


def test_who_watches_needs_a_yes_and_types_nothing(rig, machine, guest, anna):
    pair = Pair(rig, machine, anna)
    assert (pair.asked["who"], pair.asked["wants"]) == ("bert@internal", "watch")
    assert b"starter" not in pair.watching.screen  # nothing before the yes
    pair.say("watch")
    pair.watching.expect("starter:~# ", BOOT_SECONDS)  # with what was there before
    pair.own.type("echo bo'th'\r")
    pair.watching.expect("both\r\n")
    pair.watching.type("echo in'tru'der\r")
    pair.own.type("echo af'ter'\r")
    pair.own.expect("after\r\n")
    assert b"intruder" not in pair.own.screen
    pair.own.socket.say(end=True)
    assert pair.watching.expect_end()[1] == "Closed."


def test_a_no_ends_it(rig, machine, guest, anna):
    pair = Pair(rig, machine, anna)
    pair.say("nothing")
    assert pair.watching.expect_end()[1] == "anna@internal does not let you watch."
    with pytest.raises(NotFound):  # nobody says yes for another
        console_sharing_by(pair, pair.bert)


def console_sharing_by(pair, visitor):
    with pair.rig.world.database.writing() as db:
        work = Work(db=db, actor=visitor.work_actor(), settings=pair.rig.settings)
        console_sharing.decide(work, visitor.user.id, pair.asked["id"], "watch")


@pytest.mark.requirement("NEW-07")
def test_one_at_a_time_types_by_consent_and_the_replay_shows_who(
    rig, machine, guest, anna, recorded
):
    pair = Pair(rig, machine, anna)
    pair.say("watch")
    pair.watching.expect("starter:~# ", BOOT_SECONDS)
    pair.ask()
    _told(pair.own, "watching", lambda one: one["people"][0]["wants"] == "keyboard")
    pair.say("keyboard")
    _told(pair.watching, "granted", lambda one: one["granted"] == "keyboard")
    pair.watching.type("echo gu'est'\r")
    pair.own.expect("guest\r\n")
    pair.own.type("echo sil'ent'\r")
    pair.watching.type("echo en'd'\r")
    pair.own.expect("end\r\n")
    assert b"silent" not in pair.own.screen
    pair.say("nothing")
    pair.watching.expect_end()
    pair.own.type("echo min'e'\r")
    pair.own.expect("mine\r\n")
    pair.own.socket.say(end=True)
    pair.own.expect_end()
    _, data = wait_until(lambda: (found := kept(rig))[0] and found, "the recording", SECONDS)
    remarks = [text for _, code, text in map(json.loads, data.splitlines()[1:]) if code == "m"]
    assert remarks == [f"bert@internal {did}" for did in WATCHED]
    with rig.world.work() as work:
        said = work.db.scalars(
            select(Audit)
            .where(Audit.action == "console.allow", Audit.user_id == anna.user.id)
            .order_by(Audit.id)
        )
        assert [row.after["allowed"] for row in said] == ["watch", "keyboard", "nothing"]


WATCHED = ("watches", "has the keyboard", "no longer watches")


def _watch(rig, visitor, machine):
    with rig.world.database.writing() as db:
        work = Work(db=db, actor=visitor.work_actor(), settings=rig.settings)
        key = consoles.issue(work, work.db.get_one(Machine, machine.id), "watch")
    return rig.enter(visitor, key)


def _told(terminal, kind, fits=lambda _one: True):
    """Read until the gateway has said something of this kind."""
    found = []

    def heard():
        found[:] = [one for one in terminal.told if one.get("type") == kind and fits(one)]
        return found

    terminal._until(heard, kind, SECONDS)
    return found[-1]


def test_a_recording_is_forgotten_after_its_days(rig, machine, guest, anna, recorded):
    page = rig.at_prompt(anna, machine)
    page.socket.say(end=True)
    page.expect_end()
    row, _ = wait_until(lambda: (found := kept(rig))[0] and found, "the recording", SECONDS)
    with rig.world.work() as work:
        assert recordings.due(work) == []
        work.db.get_one(Recording, row.id).expires_at = work.now() - timedelta(seconds=1)
    with rig.world.work() as work:
        recordings.expire(work, recordings.due(work))
    assert kept(rig)[0] is None
    assert _parts(rig) == 0
