"""Shells of hosts on the real thing: a gateway process, ssh, and an sshd of the test's own."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import select

from ovcadmin.config import Settings
from ovcadmin.errors import ConsoleUnavailable
from ovcadmin.gateway import sessions as codes
from ovcadmin.models import Audit, Grant
from ovcadmin.services import consoles
from ovcadmin.work import Work
from tests.rig.ssh import make_key, ssh_server
from tests.rig.terminal import Terminal

SECONDS = 30
CUT_SECONDS = 5


@pytest.fixture(scope="module")
def shared_server(directory):
    """An sshd that leads to this machine."""
    with ssh_server(directory / "ssh") as made:
        yield made


@pytest.fixture
def server(shared_server):
    yield shared_server
    shared_server.is_known_by(shared_server.public)


@pytest.fixture(scope="module")
def own_settings(shared_server):
    return {
        "log_level": "info",
        "host_shell": "true",
        "host_shell_user": shared_server.user,
        "host_shell_port": shared_server.port,
        "host_shell_key": shared_server.key,
        "host_shell_known_hosts": shared_server.known_hosts,
    }


@pytest.fixture(scope="module")
def host(shared_rig):
    return shared_rig.host("qemu:///system")


@pytest.fixture
def anna(rig):
    return rig.visitor("anna", "Super Admin")


def open_shell(rig, visitor, host) -> Terminal:
    with rig.world.database.writing() as db:
        work = Work(db=db, actor=visitor.work_actor(), settings=rig.settings)
        key = consoles.issue_shell(work, host)
    shell = Terminal(rig.socket(visitor), ticket=key, kind="shell")
    shell.socket.say(size=[91, 33])
    rig.terminals.append(shell)
    return shell


@pytest.mark.requirement("PEER-21")
def test_what_is_typed_runs_on_the_host_and_a_reload_keeps_it(rig, host, anna):
    shell = open_shell(rig, anna, host)
    shell.expect_state("connected")
    shell.type("echo mark-$((40 + 2)); stty size\n")
    shell.expect("mark-42", SECONDS)
    shell.expect("33 91", SECONDS)
    shell.close()
    again = open_shell(rig, anna, host)
    again.expect("mark-42", SECONDS)
    again.type("~.\n~C\necho still-$((1 + 1))\n")  # means nothing to ssh
    again.expect("still-2", SECONDS)
    again.type("exit\n")
    assert again.expect_end()[0] == codes.OVER
    with rig.world.work() as work:
        hers = select(Audit).where(Audit.action == "console.open", Audit.user_id == anna.user.id)
        assert {(row.object_kind, row.object_id) for row in work.db.scalars(hers)} == {
            ("host", host.id)
        }


def test_a_host_whose_key_is_another_is_refused(rig, host, anna, server, tmp_path):
    server.is_known_by(make_key(tmp_path / "other"))
    shell = open_shell(rig, anna, host)
    shell.expect("Host key verification failed", SECONDS)
    assert shell.expect_end()[0] == codes.OVER


@pytest.mark.requirement("PEER-22")
def test_fault_13_a_shell_is_cut_when_its_right_goes(rig, host, anna):
    shell = open_shell(rig, anna, host)
    shell.expect_state("connected")
    shell.type("echo mark-$((40 + 2))\n")
    shell.expect("mark-42", SECONDS)
    started = time.monotonic()
    with rig.world.work() as work:
        work.db.delete(work.db.scalars(select(Grant).where(Grant.user_id == anna.user.id)).one())
    assert shell.expect_end(CUT_SECONDS)[0] == codes.GONE
    assert time.monotonic() - started < CUT_SECONDS


def test_a_ticket_is_worth_nothing_without_the_privilege(rig, host):
    bert = rig.visitor("bert", "Administrator")
    assert open_shell(rig, bert, host).expect_end()[0] == codes.REFUSED


def test_shells_are_off_unless_switched_on(rig, host, anna):
    named = {"database_url": rig.settings.database_url, "data_dir": str(rig.settings.data_dir)}
    rig.settings = Settings.from_mapping({f"ovc.{name}": value for name, value in named.items()})
    with pytest.raises(ConsoleUnavailable):
        open_shell(rig, anna, host)
