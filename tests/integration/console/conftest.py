"""A gateway process and a machine that really runs, for a module; who uses them, for a test."""

from __future__ import annotations

import pytest

from ovcadmin.domain.states import State
from tests.integration.gateway import Guest, gateway_rig


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("gateway")


@pytest.fixture(scope="module")
def own_settings():
    """Settings of this module's gateway."""
    return {}


@pytest.fixture(scope="module")
def shared_rig(directory, own_settings):
    url = f"sqlite:///{directory}/ovcadmin.db"
    with gateway_rig(directory, url, **own_settings) as made:
        made.start()
        yield made


@pytest.fixture
def rig(shared_rig):
    yield shared_rig
    shared_rig.leave()


@pytest.fixture(scope="module")
def shared_machine(shared_rig, shared_host):
    """A machine in a pool of its own, running on the real host as far as the records know."""
    host = shared_rig.host(shared_host.uri)
    shared_rig.world.host("with-storage")
    shared_rig.world.image()
    pool = shared_rig.world.pool("Lab")
    yield shared_rig.world.machine("web-1", pool, host=host, state=State.RUNNING)
    shared_host.recover()


@pytest.fixture
def machine(rig, shared_machine):
    rig.set_state(shared_machine, State.RUNNING)
    return shared_machine


@pytest.fixture(scope="module")
def shared_guest(shared_machine, shared_host, starter_image):
    return Guest(shared_host, shared_machine, starter_image)


@pytest.fixture
def guest(machine, shared_guest):
    """The machine's real domain: booting, or at the prompt where another test left it."""
    shared_guest.start()
    return shared_guest


@pytest.fixture
def anna(rig, machine):
    return rig.visitor("anna", "User", machine.pool)
