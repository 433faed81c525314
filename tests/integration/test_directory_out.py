"""Whom the directory puts out is out of open pages, consoles and tokens, not of new ones only."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select

from ovcadmin.directories import Directories
from ovcadmin.domain.states import State
from ovcadmin.gateway import sessions as codes
from ovcadmin.models import Grant, Group, Role
from ovcadmin.services import directory_people, realms, tokens
from tests.integration import only_chores
from tests.integration.gateway import gateway_rig
from tests.integration.test_gateway import FAKE
from tests.rig import people
from tests.rig.console import Process
from tests.rig.slapd import slapd

PEOPLE = f"ou=people,{people.EXAMPLE}"
GROUPS = f"ou=groups,{people.EXAMPLE}"
WITHIN = 60
"""Seconds."""


@pytest.fixture
def rig(tmp_path, sqlite_url):
    with gateway_rig(tmp_path, sqlite_url) as made:
        made.start(FAKE)
        yield made


@pytest.fixture
def worker(rig):
    command = (sys.executable, Path(only_chores.__file__), rig.ini)
    process = Process(command, rig.directory / "worker.log")
    process.said("worker.up")
    yield process
    process.stop()


@pytest.fixture
def server():
    with slapd() as running:
        yield running


@pytest.fixture
def staff(rig, server):
    """Ann and Bob as their first sign-in leaves them; `engineering` holds User on the lab."""
    doors = Directories(rig.settings.data_dir, threads=8)
    settings = {
        "servers": f"localhost:{server.port}",
        "authority": server.ca_file.read_text(),
        "base": people.EXAMPLE,
        "bind_dn": f"cn=console,ou=services,{people.EXAMPLE}",
        "sync_minutes": 0,
    }
    draft = realms.Draft(label="Example Ltd", settings=settings, password=people.PASSWORD)
    rig.world.host()
    rig.world.image()
    lab = rig.world.pool("Lab")
    with rig.world.work() as work:
        realm = realms.create(work, doors, name="example", kind="openldap", draft=draft)
        realms.set_enabled(work, realm, enabled=True)
        driver = doors.directory(realms.contact(work, realm))
        found = {}
        for name in ("ann", "bob"):
            person = driver.person(name)
            groups = driver.groups_of(person)
            found[name] = directory_people.take_in(work, realm.id, person, groups)
        held = work.db.scalars(select(Group).where(Group.name == "engineering")).one()
        role = work.db.scalars(select(Role).where(Role.name == "User")).one()
        work.db.add(Grant(group_id=held.id, role_id=role.id, pool_id=lab.id))
    machines = [rig.world.machine(name, lab, state=State.RUNNING) for name in ("web-1", "web-2")]
    return machines, rig.sign_in(found["ann"]), rig.sign_in(found["bob"])


@pytest.mark.requirement("OVT-28", "OVT-55")
def test_fault_13_pages_consoles_and_tokens_end_with_the_directory_s_word(
    rig, server, staff, worker
):
    machines, ann, bob = staff
    with rig.world.work() as work:
        _, key = tokens.create(work, ann.user.id, name="script", days=1)
    anns, bobs = rig.open(ann, machines[0]), rig.open(bob, machines[1])
    for console in (anns, bobs):
        console.expect_state("connected")
    with rig.events(ann) as page:
        assert page.next()["event"] == "hello"
        server.modify(
            f"uid=ann,{PEOPLE}",
            "replace: pwdAccountLockedTime",
            "pwdAccountLockedTime: 000001010000Z",
        )
        server.modify(f"cn=engineering,{GROUPS}", "delete: member", f"member: uid=bob,{PEOPLE}")
        began = time.monotonic()
        with ThreadPoolExecutor() as both:
            ends = list(both.map(lambda console: console.expect_end(WITHIN)[0], (anns, bobs)))
        assert ends == [codes.GONE, codes.GONE]
        while page.next()["event"] != "ended":
            pass
        assert time.monotonic() - began < WITHIN
    with rig.world.work() as work:
        assert tokens.by_key(work, key) is None
    assert rig.get("/live/events", {"Cookie": f"ovc_session={ann.key}"}).status == 401
    with rig.events(bob) as page:
        assert page.next()["event"] == "hello", "bob lost a right, not his session"
