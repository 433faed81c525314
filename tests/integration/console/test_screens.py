"""A guest's screen on the real thing: QEMU, a gateway process, and the remote-viewer of Debian."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from sqlalchemy import select

from ovcadmin.gateway import rfb
from ovcadmin.gateway import sessions as codes
from ovcadmin.models import Grant, Host, Machine
from ovcadmin.services import consoles
from ovcadmin.work import Work
from tests.rig import certificates
from tests.rig.base import wait_until
from tests.rig.network import free_port
from tests.rig.ssh import make_key, ssh_server

SECONDS = 30
CUT_SECONDS = 5


@pytest.fixture(scope="module")
def own_settings():
    return {"viewer_listen": f"127.0.0.1:{free_port()}", "ticket_seconds": 10}


def ticket(rig, visitor, machine, kind):
    with rig.world.database.writing() as db:
        work = Work(db=db, actor=visitor.work_actor(), settings=rig.settings)
        return consoles.issue(work, work.db.get_one(Machine, machine.id), kind)


def screen(rig, visitor, machine):
    """A page with the screen on it: a WebSocket that the gateway greeted."""
    opened = rig.socket(visitor)
    opened.say(ticket=ticket(rig, visitor, machine, "graphics"), kind="graphics")
    return opened


def viewer_file(rig, visitor, machine, **headers):
    key = ticket(rig, visitor, machine, "viewer")
    sent = {"Origin": rig.origin, "Cookie": f"ovc_session={visitor.key}", **headers}
    return rig.request("POST", "/live/viewer", sent, json.dumps({"ticket": key}))


def settings_of(text):
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def test_a_screen_greets_and_is_cut_when_its_right_goes(rig, machine, guest, anna):
    page = screen(rig, anna, machine)
    assert json.loads(page.receive())["type"] == "attached"
    assert page.receive() == b"RFB 003.008\n"
    started = time.monotonic()
    with rig.world.work() as work:
        work.db.delete(work.db.scalars(select(Grant).where(Grant.user_id == anna.user.id)).one())
    assert page.drain(CUT_SECONDS) == codes.GONE
    assert time.monotonic() - started < CUT_SECONDS
    page.close()


@pytest.fixture
def server(rig, machine, shared_host, tmp_path, monkeypatch):
    """An sshd inside the host, the machine's host behind it, and a gateway whose ssh goes there."""
    with ssh_server(tmp_path / "ssh", inside=shared_host) as made:
        monkeypatch.setenv("PATH", str(made.client), prepend=":")
        _set_uri(rig, machine, made.uri)
        rig.restart()
        yield made
        _set_uri(rig, machine, shared_host.uri)
        monkeypatch.undo()
        rig.restart()


def _set_uri(rig, machine, uri):
    with rig.world.work() as work:
        work.db.get_one(Host, machine.host_id).uri = uri


def test_a_screen_of_a_host_behind_ssh_is_seen_through_it(
    server, rig, machine, guest, anna, tmp_path
):
    page = screen(rig, anna, machine)
    assert json.loads(page.receive())["type"] == "attached"
    assert page.receive() == b"RFB 003.008\n"
    page.close()
    wait_until(lambda: not _ssh_of(rig), "no ssh that nobody needs", SECONDS)
    server.is_known_by(make_key(tmp_path / "other"))
    page = screen(rig, anna, machine)
    assert page.drain() == codes.UNAVAILABLE
    assert page.close_reason == (
        "ssh does not reach the screens of host kvm-a: Host key verification failed."
    )
    page.close()


def _ssh_of(rig):
    """The tunnels of the gateway."""
    return [
        one
        for one in psutil.process_iter(["cmdline", "ppid"])
        if one.info["ppid"] == rig.process.pid and "-W" in (one.info["cmdline"] or ())
    ]


@pytest.mark.requirement("KVM-41")
def test_a_screen_listens_on_the_host_itself_and_closes_with_its_machine(
    rig, machine, guest, anna, shared_host
):
    page = screen(rig, anna, machine)
    assert json.loads(page.receive())["type"] == "attached"
    qemu = next(
        one for one in psutil.process_iter(["cmdline"])
        if machine.uuid in " ".join(one.info["cmdline"] or ()) and "-vnc" in one.info["cmdline"]
    )  # fmt: skip
    listening = [one.laddr.ip for one in qemu.net_connections() if one.status == "LISTEN"]
    assert set(listening) <= {"127.0.0.1"}
    shared_host.virsh("destroy", guest.name)
    assert page.drain() in (codes.MOVED, codes.UNAVAILABLE)
    page.close()


def test_two_see_the_same_screen_and_a_ticket_opens_one_kind_only(rig, machine, guest, anna):
    bert = rig.visitor("bert", "User", machine.pool)
    pages = [screen(rig, anna, machine), screen(rig, bert, machine)]
    for page in pages:
        assert json.loads(page.receive())["type"] == "attached"
        assert page.receive() == b"RFB 003.008\n"
    wrong = rig.socket(anna)
    wrong.say(ticket=ticket(rig, anna, machine, "graphics"), kind="serial")
    assert wrong.drain() == codes.REFUSED
    for page in (*pages, wrong):
        page.close()


@contextmanager
def display(number=None):
    """An X server without a screen of its own."""
    number = number or 100 + os.getpid() % 400
    server = subprocess.Popen(
        ["Xvfb", f":{number}", "-screen", "0", "1024x768x24", "-nolisten", "tcp"],
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: Path(f"/tmp/.X11-unix/X{number}").exists(), "the X server", 10)
        yield f":{number}"
    finally:
        server.terminate()
        server.wait(10)


AT_HOME = 'mount --bind "$HOME/passwd" /etc/passwd && exec "$@"'


@contextmanager
def remote_viewer(file, log, where):
    """The program of somebody whose home, also by his name, is the file's folder."""
    home = file.parent
    (home / "passwd").write_text(f"root:x:0:0::{home}:/bin/sh\n")
    alone = ("unshare", "--mount", "--map-root-user", "sh", "-c", AT_HOME, "-")
    with log.open("w") as said:
        program = subprocess.Popen(
            [*alone, "dbus-run-session", "remote-viewer", "--debug", file],
            env={**os.environ, "DISPLAY": where, "HOME": str(home), "XDG_RUNTIME_DIR": str(home)},
            stdout=said, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        yield program
    finally:
        for one in [*psutil.Process(program.pid).children(recursive=True), program]:
            with suppress(psutil.NoSuchProcess):  # it ends with its window
                one.terminate()
        program.wait(10)


@pytest.mark.requirement("OVT-44", "OVT-59", "PEER-21")
def test_the_real_remote_viewer_shows_the_screen_from_the_file_once(
    rig, machine, guest, anna, tmp_path
):
    answer = viewer_file(rig, anna, machine)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/x-virt-viewer")
    file, log = tmp_path / "web-1.vv", tmp_path / "viewer.log"
    file.write_bytes(answer.body)
    with display() as where, remote_viewer(file, log, where):
        rig.process.said("viewer.connected", SECONDS)
        wait_until(lambda: _shows(where, "web-1"), "the window", 2 * SECONDS, log)
        assert not file.exists()  # it asks to be deleted
        with rig.world.work() as work:
            work.db.delete(
                work.db.scalars(select(Grant).where(Grant.user_id == anna.user.id)).one()
            )
        rig.process.said("Your right to this console was taken away.", CUT_SECONDS)
    again = knock(rig, settings_of(answer.body.decode())["password"])
    assert b"used or too old" in again


@pytest.mark.requirement("OVT-44")
def test_the_real_remote_viewer_comes_by_tls_where_there_is_a_certificate(
    rig, machine, guest, anna, tmp_path
):
    certificates.make(tmp_path, "IP:127.0.0.1")
    both = tmp_path / "viewer.pem"
    both.write_text("".join((tmp_path / f"server.{part}").read_text() for part in ("pem", "key")))
    trusted = tmp_path / ".pki/CA"
    trusted.mkdir(parents=True)
    shutil.copy(tmp_path / "ca.pem", trusted / "cacert.pem")
    rig.restart(viewer_certificate=both)
    file, log = tmp_path / "web-1.vv", tmp_path / "viewer.log"
    file.write_bytes(viewer_file(rig, anna, machine).body)
    with display() as where, remote_viewer(file, log, where):
        wait_until(lambda: _shows(where, "web-1"), "the window", 2 * SECONDS, log)
        rig.process.said("viewer.connected", SECONDS)
    with _line(rig) as line:
        assert rfb.receive(line, 2) == bytes([1, rfb.VENCRYPT]), "nothing goes without TLS"


def _shows(where, title):
    found = subprocess.run(
        ["xwininfo", "-root", "-tree", "-display", where],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return re.search(rf'"{title}[^"]*".*\d+x\d+', found.stdout) is not None


def knock(rig, password):
    """Come as a viewer with a password; return what the gateway says to it."""
    with _line(rig) as line:
        assert rfb.receive(line, 2) == bytes([1, rfb.VNC])
        line.sendall(bytes([rfb.VNC]))
        line.sendall(rfb.answer(password, rfb.receive(line, 16)))
        return line.recv(1000)


@contextmanager
def _line(rig):
    """A line to the door of viewers, of which both know what they speak."""
    host, port = rig.settings.viewer_listen.split(":")
    with socket.create_connection((host, int(port)), SECONDS) as line:
        rfb.receive(line, len(rfb.VERSION))
        line.sendall(rfb.VERSION)
        yield line


def test_fault_25_a_guessed_and_an_expired_password_open_nothing(rig, machine, guest, anna):
    assert b"used or too old" in knock(rig, "guessed!")
    answer = viewer_file(rig, anna, machine)
    rig.process.said("was not opened in time", SECONDS)
    assert b"used or too old" in knock(rig, settings_of(answer.body.decode())["password"])
    good = settings_of(viewer_file(rig, anna, machine).body.decode())
    assert knock(rig, good["password"]) == bytes(4)
    assert b"used or too old" in knock(rig, good["password"])


def test_fault_26_a_foreign_page_gets_no_file(rig, machine, guest, anna):
    assert viewer_file(rig, anna, machine, Origin="http://evil.example").status == 403
    bert = rig.visitor("bert", "User", machine.pool)
    stolen = {"Origin": rig.origin, "Cookie": f"ovc_session={bert.key}"}
    key = ticket(rig, anna, machine, "viewer")
    answer = rig.request("POST", "/live/viewer", stolen, json.dumps({"ticket": key}))
    assert answer.status == 403
    assert rig.request("GET", "/live/viewer", stolen).status == 400
