"""The embedded terminal on the real thing: `ovc` in the gateway, the REST API of a web process."""

from __future__ import annotations

import os
import re
import time
from functools import partial
from pathlib import Path

import psutil
import pytest
from sqlalchemy import select

from ovcadmin.domain.states import State
from ovcadmin.errors import Forbidden, InvalidInput
from ovcadmin.gateway import sessions as codes
from ovcadmin.models import Audit, ConsoleSession, Grant, Token
from ovcadmin.services import console_sessions, consoles, sessions
from ovcadmin.work import Actor, Work
from tests.rig.base import wait_until
from tests.rig.console import Process
from tests.rig.terminal import Terminal

SECONDS = 30
CUT_SECONDS = 5
READY = "\x1b[?2004h"
"""What the line editor says when it waits for keys."""
WEB = ("-m", "ovcadmin.manage.web")


@pytest.fixture(scope="module")
def own_settings():
    return {"log_level": "info"}


@pytest.fixture(scope="module")
def shared_rig(shared_rig, directory):
    """With the web process that the commands of terminals ask."""
    web = Process((os.sys.executable, *WEB, shared_rig.ini), directory / "web.log")
    wait_until(lambda: shared_rig.get("/signin").status == 200, "the pages", SECONDS)
    yield shared_rig
    web.stop()


@pytest.fixture(scope="module")
def pool(shared_rig):
    shared_rig.world.host()
    shared_rig.world.image()
    return shared_rig.world.pool("Lab")


@pytest.fixture
def anna(rig, pool):
    return rig.visitor("anna", "User", pool)


@pytest.fixture(scope="module")
def machines(shared_rig, pool):
    shared_rig.world.machine("web-1", pool, state=State.STOPPED)
    shared_rig.world.machine("web-2", pool, state=State.STOPPED)
    shared_rig.world.machine("secret", shared_rig.world.pool("Elsewhere"), state=State.STOPPED)


def _processes(rig):
    """The processes of the terminals that are open."""
    hosts = psutil.Process(rig.process.pid).children()
    return [child for one in hosts for child in one.children()]


def at_prompt(rig, visitor, number=1) -> Terminal:
    terminal = rig.terminal(visitor, number)
    terminal.socket.say(size=[100, 30])
    terminal.expect(READY, SECONDS)
    return terminal


def _has(terminal, start, wanted):
    return wanted in terminal.screen[start:]


def says(terminal: Terminal, line: str, *expected: str, end: str = "\r") -> str:
    """Type a line, wait for what it must say, return all that came since."""
    start = len(terminal.screen)
    terminal.type(f"{line}{end}")
    for text in expected:
        wanted = text.encode()
        terminal._until(partial(_has, terminal, start, wanted), f"{wanted!r} after {line}", SECONDS)
    return terminal.screen[start:].decode(errors="replace")


@pytest.mark.requirement("NEW-09")
def test_ovc_runs_with_the_users_own_rights_and_names_its_page(rig, machines, anna):
    terminal = at_prompt(rig, anna)
    said = says(terminal, "machines list", "web-2", "→", "/machines")
    assert "web-1" in said
    assert "secret" not in said
    says(terminal, "ovc whoami", "anna", "Privileges")
    says(terminal, "machines show secret", "There is no machine")
    with rig.world.work() as work:
        row = work.db.scalars(select(Audit).where(Audit.user_id == anna.user.id)).one()
        assert (row.action, row.after, row.address) == (
            "console.open", {"kind": "terminal"}, "127.0.0.1",
        )  # fmt: skip


def test_what_is_typed_by_hand_is_edited_completed_and_remembered(rig, machines, anna):
    terminal = at_prompt(rig, anna)
    says(terminal, "machi\t", "nes", end="")
    says(terminal, " show web\t\t", "web-1", "web-2", end="")  # offered by their live names
    says(terminal, "1", "→", "/machines/")
    says(terminal, "\x1b[A", "→", "/machines/")  # the line before


LINES = (
    "machines list; touch {mark}",
    "machines list && touch {mark}",
    "machines list | tee {mark}",
    "$(touch {mark})",
    "`touch {mark}`",
    "machines show $(touch {mark})",
    "machines list > {mark}",
    "!touch {mark}",
    "machines show 'a\"b' \\$(touch {mark})",
    "api GET /machines --output @{mark}",
    'python -c \'open("{mark}", "w")\'',
    'machines show "web\ntouch {mark}"',
    "sh -c 'touch {mark}'",
)


def test_fault_30_nothing_of_a_line_means_anything_to_a_shell(rig, anna, tmp_path):
    mark = tmp_path / "mark"
    terminal = at_prompt(rig, anna)
    for line in LINES:
        says(terminal, line.format(mark=mark), "rror")
        says(terminal, "whoami", "Realm")
        assert not mark.exists(), line


def test_fault_30_no_file_and_no_process_of_the_server_is_reachable(rig, anna, tmp_path):
    terminal = at_prompt(rig, anna)
    for line in ("login http://127.0.0.1:1", "completion bash", "profiles", "shell"):
        says(terminal, line, "No such command")
    wait_until(lambda: len(_processes(rig)) == 1, "the end of those of earlier tests", SECONDS)
    own = _processes(rig)
    assert own[0].children() == []
    if os.geteuid() == 0:
        assert own[0].uids().real != 0
    assert {name for name in own[0].environ() if name.startswith("OVC")} == set()  # of its birth
    limits = Path(f"/proc/{own[0].pid}/limits").read_text()
    assert re.search(r"Max file size +0 +0 ", limits)


def test_fault_30_an_open_quote_a_long_line_and_a_megabyte_are_survived(rig, anna):
    terminal = at_prompt(rig, anna)
    says(terminal, "machines show 'web", "quote is open")
    terminal.type("\x1b[200~")
    for _ in range(20):
        terminal.type("x" * 50_000)
    terminal.type("\x1b[201~")
    says(terminal, "whoami", "anna")
    terminal.type("\x1b[200~whoami\nwhoami\n\x1b[201~\r")
    start = len(terminal.screen)
    terminal._until(lambda: terminal.screen[start:].count(b"Realm") >= 2, "both lines", SECONDS)


def test_fault_30_ctrl_c_ends_the_command_and_not_the_terminal(rig, machines, anna):
    terminal = at_prompt(rig, anna)
    says(terminal, "machines list --watch 1", "web-2")
    start = len(terminal.screen)
    terminal.type("\x03")
    terminal._until(lambda: b"Interrupted" in terminal.screen[start:], "the end", SECONDS)
    says(terminal, "whoami", "anna")


def test_fault_30_ctrl_c_in_the_middle_of_a_task_leaves_it_to_its_worker(rig, pool, anna):
    rig.world.machine("web-3", pool, state=State.STOPPED)
    terminal = at_prompt(rig, anna)
    says(terminal, "machines start web-3 --wait", "queued")
    says(terminal, "\x03", "They go on without you", "Interrupted", end="")
    says(terminal, "operations list", "web-3", "queued")


def test_fault_27_the_size_of_the_page_is_known_and_a_foolish_one_is_not(rig, anna):
    terminal = at_prompt(rig, anna)
    wait_until(lambda: len(_processes(rig)) == 1, "the end of those of earlier tests", SECONDS)
    own = _processes(rig)[0]
    handle = os.open(Path(f"/proc/{own.pid}/fd/0").readlink(), os.O_RDONLY | os.O_NOCTTY)
    before = rig.memory
    for _ in range(50):
        for size in ([77, 30], [500, 500]):
            terminal.socket.say(size=size)
    for foolish in ([501, 500], [5000, 5000], [0, 0], [-1, 30], ["a", None], [77], 77):
        terminal.socket.say(size=foolish)
    says(terminal, "whoami", "anna")
    assert os.get_terminal_size(handle) == (500, 500)
    assert rig.memory - before < 4 * 2**20
    os.close(handle)


def test_a_reload_shows_it_again_and_exit_ends_it(rig, anna):
    first = at_prompt(rig, anna)
    says(first, "whoami", "Realm")
    first.close()
    again = rig.terminal(anna)
    again.expect("Realm", SECONDS)
    assert again.told[0]["kind"] == "terminal"
    again.type("exit\r")
    assert again.expect_end()[0] == codes.OVER
    wait_until(lambda: not _tokens(rig), "the end of its token")


def test_several_terminals_stand_side_by_side_and_can_be_listed_and_ended(rig, anna):
    first, second = at_prompt(rig, anna, 1), at_prompt(rig, anna, 2)
    says(first, "consoles list", "ovc 2")
    with rig.world.work() as work:
        rows = console_sessions.listing(work, anna.user.id)
        assert [row.title for row in rows] == ["ovc 1", "ovc 2"]
    says(first, f"consoles end {rows[1].id}", "is ended")
    assert second.expect_end(CUT_SECONDS) == (codes.GONE, "Ended by yourself.")
    says(first, "whoami", "Realm")


@pytest.mark.requirement("PEER-22")
def test_fault_13_a_terminal_ends_with_its_sign_in_and_so_does_its_token(rig, anna):
    terminal = at_prompt(rig, anna)
    assert _tokens(rig)
    started = time.monotonic()
    with rig.world.work() as work:
        sessions.close(work, anna.session_id)
    assert terminal.expect_end(CUT_SECONDS) == (codes.GONE, "You are signed out.")
    assert time.monotonic() - started < CUT_SECONDS
    wait_until(lambda: not _tokens(rig), "the end of its token")
    wait_until(lambda: not _processes(rig), "the end of it")


def test_fault_13_rights_that_went_count_at_once(rig, machines, anna):
    terminal = at_prompt(rig, anna)
    says(terminal, "machines list", "web-1")
    with rig.world.work() as work:
        for grant in work.db.scalars(select(Grant).where(Grant.user_id == anna.user.id)):
            work.db.delete(grant)
    said = says(terminal, "machines list -q; whoami", "Error")
    assert "web-1" not in said


def test_a_terminal_is_for_a_browser_of_its_own_sign_in(rig, anna):
    program = Actor(user_id=anna.user.id, name="anna", door="api", token_id=1)
    for actor, number, error in ((program, 1, Forbidden), (anna.work_actor(), 10, InvalidInput)):
        with rig.world.database.writing() as db:
            work = Work(db=db, actor=actor, settings=rig.settings)
            with pytest.raises(error):
                consoles.issue_terminal(work, number)
    other = rig.sign_in(anna.user)
    hers = at_prompt(rig, anna)
    his = at_prompt(rig, other)
    says(hers, "whoami", "Realm")
    says(his, "whoami", "Realm")  # the same number, and yet another one


def test_a_restarted_gateway_leaves_no_console_behind(rig, anna):
    at_prompt(rig, anna)
    rig.process.kill()
    rig.start()
    wait_until(lambda: not _tokens(rig), "the end of its token", SECONDS)
    with rig.world.work() as work:
        hers = select(ConsoleSession).where(ConsoleSession.user_id == anna.user.id)
        rows = work.db.scalars(hers).all()
        assert [row.end_reason for row in rows] == ["The gateway was started again."]
    at_prompt(rig, anna)


def _tokens(rig) -> list[Token]:
    with rig.world.work() as work:
        return list(work.db.scalars(select(Token).where(Token.revoked_at.is_(None))))
