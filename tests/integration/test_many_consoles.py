"""Many consoles at once, and one that prints without end: what a gateway bears.

Its guests are in memory here; everything else is the real thing.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from ovcadmin.domain.states import State
from ovcadmin.gateway import sessions as codes
from ovcadmin.models import Machine
from ovcadmin.services import consoles
from ovcadmin.work import Work
from tests.integration import fake_gateway, printing_gateway
from tests.integration.gateway import gateway_rig
from tests.integration.printing_gateway import CHUNK, FLOODS, printed
from tests.rig.base import wait_until

HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.fixture
def guests():
    """The program of the gateway, which says what its guests do."""
    return fake_gateway


@pytest.fixture
def rig(tmp_path, sqlite_url, guests):
    with gateway_rig(tmp_path, sqlite_url, consoles_per_user=20) as made:
        made.start(Path(guests.__file__))
        yield made


@pytest.fixture
def lab(rig):
    """A pool, with a host and an image to make machines from."""
    rig.world.host()
    rig.world.image()
    return rig.world.pool("Lab")


def machine_in(rig, pool, name):
    return rig.world.machine(name, pool, state=State.RUNNING)


def test_fault_28_two_hundred_idle_sessions_cost_little_and_answer(rig, lab):
    machines = [machine_in(rig, lab, f"m{number}") for number in range(20)]
    people = [rig.visitor(f"user{number}", "User", lab) for number in range(10)]
    first = rig.open(people[0], machines[0])
    first.expect_state("connected")
    before, threads = rig.memory, psutil.Process(rig.process.pid).num_threads()
    # One reader a machine: each user opens his own twenty, and stays attached to two.
    pages = []
    for number, anna in enumerate(people):
        mine = [machine_in(rig, lab, f"u{number}-{index}") for index in range(20 - (number == 0))]
        pages += [rig.open(anna, machine) for machine in mine]
    for page in pages:
        page.expect_state("connected")
    assert len(pages) == 199
    cost = (rig.memory - before) / len(pages)
    assert cost < 300_000, f"{cost:.0f} bytes a session"
    assert psutil.Process(rig.process.pid).num_threads() - threads < 8
    for page in (first, *pages[:: len(pages) // 7]):
        page.type("echo alive\r")
        page.expect("\r\nalive\r\n")


def test_fault_28_one_user_cannot_hold_more_than_his_share(rig, lab):
    anna = rig.visitor("anna", "User", lab)
    machines = [machine_in(rig, lab, f"m{number}") for number in range(22)]
    pages = [rig.open(anna, machine) for machine in machines[:20]]
    for page in pages:
        page.expect_state("connected")
    code, reason = rig.open(anna, machines[20]).expect_end()
    assert code == codes.LIMIT
    assert reason.startswith("You have 20 consoles open")
    # One that is left makes room; those with a page on them stay.
    pages[3].close()
    rig.process.said("path=/live/console status=101")
    last = wait_until(lambda: _opened(rig, anna, machines[21]), "room for one more")
    last.expect_state("connected")
    pages[0].type("echo still\r")
    pages[0].expect("\r\nstill\r\n")
    # His own are open to him as before, also at the limit.
    rig.open(anna, machines[0]).expect_state("connected")


def test_fault_28_of_a_thousand_from_one_user_only_his_share_stands(rig, lab):
    anna, bert = rig.visitor("anna", "User", lab), rig.visitor("bert", "User", lab)
    machine = machine_in(rig, lab, "m")
    before = rig.memory
    with ThreadPoolExecutor(8) as crowd:
        pages = [
            page
            for _ in range(10)  # a ticket does not wait for long
            for page in crowd.map(
                lambda key: _look(rig, anna, key), _screen_tickets(rig, anna, machine, 100)
            )
        ]
    ended = [page.close_code for page in pages]
    assert (ended.count(None), ended.count(codes.LIMIT)) == (20, 980)
    assert rig.memory - before < 32 * 2**20  # all of them open would take more than twice that
    for page in pages:
        if page.close_code is None:
            assert page.receive() == b"RFB 003.008\n"
            page.send(b"still")
            assert page.receive() == b"still"
        page.close()
    rig.open(bert, machine).expect_state("connected")


def test_fault_28_strangers_without_a_ticket_are_few(rig):
    anna = rig.visitor("anna")
    with ExitStack() as stack:
        for _ in range(100):
            stack.callback(rig.socket(anna).close)
        status = []

        def knock():
            status.append(rig.get("/live/console", HANDSHAKE | {"Origin": rig.origin}).status)
            return status[-1] == 503

        wait_until(knock, "the door to be shut")


def _opened(rig, visitor, machine):
    page = rig.open(visitor, machine)
    page.read()
    return page if page.socket.close_code is None else None


def _screen_tickets(rig, visitor, machine, count):
    """Tickets for as many looks at a screen: each is a console of its own."""
    with rig.world.database.writing() as db:
        work = Work(db=db, actor=visitor.work_actor(), settings=rig.settings)
        row = db.get_one(Machine, machine.id)
        return [consoles.issue(work, row, consoles.GRAPHICS) for _ in range(count)]


def _look(rig, visitor, key):
    """Come with a ticket and hear the answer; whoever was sent away hangs up."""
    page = rig.socket(visitor)
    page.say(ticket=key, kind=consoles.GRAPHICS)
    if page.receive(60) is None:
        page.close()
    return page


@pytest.mark.parametrize("guests", [printing_gateway])
def test_fault_27_a_gigabyte_for_a_slow_reader_comes_whole_and_grows_nothing(rig, lab):
    page = rig.open(rig.visitor("anna", "User", lab), machine_in(rig, lab, "m"))
    page.expect_state("connected")
    before = most = rig.memory
    page.type("G")
    undrawn = 0
    for number in range(FLOODS[b"G"] // CHUNK):
        assert page.socket.receive(60) == printed(number), f"block {number} is another"
        undrawn += CHUNK
        if undrawn > codes.HIGH:  # the guest has to wait for him
            most = max(most, rig.memory) if number % 1000 < 10 else most
            page.socket.say(drawn=undrawn)
            undrawn = 0
    assert most - before < 8 * 2**20
