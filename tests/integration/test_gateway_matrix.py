"""The authorization matrix where bytes stay open: live events (SSE) and consoles (WebSocket).

Every role x own pool, sub-pool, sibling pool, unknown id; what is expected comes from the role's
privileges.  The guests are in memory; the gateway is the real process.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from ovcadmin.domain.states import State
from ovcadmin.gateway import sessions as codes
from ovcadmin.models.database import announce
from ovcadmin.security.privileges import SHIPPED_ROLES, SUPER_ADMIN, Privilege
from ovcadmin.services import grants, people, pools, roles, sessions
from tests.integration import fake_gateway
from tests.integration.gateway import gateway_rig

NOBODY = "nobody"
HOLDS = {**SHIPPED_ROLES, NOBODY: frozenset()}
REACHED = ("own", "sub")
UNKNOWN = 999_999


class Cloud:
    """A machine in a pool, in one below it and in one beside it; a browser for each role."""

    def __init__(self, rig) -> None:
        world = self.world = rig.world
        world.host()
        world.image()
        own = world.pool("Own")
        self.pools = {"own": own, "sub": world.pool("Sub", own), "sibling": world.pool("Beside")}
        self.machines = {
            place: world.machine(f"{place}-machine", pool, state=State.RUNNING)
            for place, pool in self.pools.items()
        }
        self.visitors = {
            role: rig.visitor(f"user{number}", None if role == NOBODY else role, own)
            for number, role in enumerate(HOLDS)
        }

    def may(self, role: str, privilege: Privilege, place: str) -> bool:
        return place in REACHED and privilege in HOLDS[role]


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    directory = tmp_path_factory.mktemp("matrix")
    with gateway_rig(directory, f"sqlite:///{directory}/ovcadmin.db") as made:
        made.start(Path(fake_gateway.__file__))
        yield made


@pytest.fixture(scope="module")
def cloud(rig):
    return Cloud(rig)


@pytest.mark.requirement("OVT-37")
def test_fault_11_everybody_hears_of_what_he_may_see_and_of_nothing_else(rig, cloud):
    pages = {role: rig.sign_in(visitor.user) for role, visitor in cloud.visitors.items()}
    with ExitStack() as stack:
        streams = {role: stack.enter_context(rig.events(page)) for role, page in pages.items()}
        for stream in streams.values():
            assert stream.next()["event"] == "hello"
        with rig.world.work() as work:
            for place, machine in cloud.machines.items():
                announce(work.db, "machine", machine.id, cloud.pools[place].id)
            announce(work.db, "machine", UNKNOWN, UNKNOWN)
        expected = {
            role: {
                machine.id
                for place, machine in cloud.machines.items()
                if cloud.may(role, Privilege.VIEW, place)
            }
            for role in pages
        }
        heard: dict[str, set[int]] = {role: set() for role in pages}

        def listen(role: str) -> bool:
            """Take in one event; False at the end."""
            event = streams[role].next()
            if event["data"].get("kind") == "machine":
                heard[role].add(event["data"]["id"])
            return event["event"] != "ended"

        while heard[SUPER_ADMIN] != expected[SUPER_ADMIN]:  # what one has heard, all were told
            assert listen(SUPER_ADMIN)
        with rig.world.work() as work:  # the end of each stream says that this was all
            for page in pages.values():
                sessions.close(work, page.session_id)
        for role in pages:
            while listen(role):
                pass
        assert heard == expected


def ticket(rig, visitor, machine) -> str:
    """A ticket that was good when it was made: all rights were held that are gone since."""
    with rig.world.work() as work:
        everything = next(one for one in roles.listing(work) if one.name == SUPER_ADMIN)
        user = people.get(work, visitor.user.id)
        number = grants.write(work, pools.root(work), user, everything).id
    made = rig.ticket(visitor, machine)
    with rig.world.work() as work:
        work.db.delete(grants.get(work, number))
    return made


@pytest.mark.requirement("OVT-37", "PEER-22")
def test_fault_11_a_console_opens_for_who_may_control_its_machine_and_nobody_else(rig, cloud):
    for role, visitor in cloud.visitors.items():
        for place, machine in cloud.machines.items():
            page = rig.enter(visitor, ticket(rig, visitor, machine), machine)
            if cloud.may(role, Privilege.CONTROL, place):
                page.expect_state("connected")
                page.close()
            else:
                assert page.expect_end()[0] == codes.REFUSED, (role, place)
        key = ticket(rig, visitor, cloud.machines["own"])
        unknown = rig.enter(visitor, key, SimpleNamespace(id=UNKNOWN))
        assert unknown.expect_end()[0] == codes.REFUSED, role
