"""What `ovc` prints: for people, for programs, for shells."""

from __future__ import annotations

import csv
import io
import os
import pty
import signal
import subprocess
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version

import pytest
import yaml

from ovcadmin.domain.states import State
from tests.rig.base import wait_until
from tests.rig.ovc import OVC

CLEAR = b"\x1b[H\x1b[2J"


@pytest.fixture
def cloud(sqlite_world):
    """Two machines in a pool: web01 runs, web02 is stopped."""
    world = sqlite_world
    world.host()
    world.image()
    pool = world.pool("Web")
    world.machine("web01", pool, state=State.RUNNING)
    world.machine("web02", pool)
    return world


@pytest.mark.requirement("PEER-26")
def test_one_list_in_every_form(shell, cloud):
    table = shell("machines", "list")
    assert table.lines[0].split()[:4] == ["ID", "NAME", "STATE", "POOL"]
    assert [row[1:4] for row in table.table] == [
        ["web01", "running", "Web"], ["web02", "stopped", "Web"],
    ]  # fmt: skip
    assert "\x1b" not in table.out  # nobody sees colours in a pipe

    objects = shell.json("machines", "list")
    assert [row["memory"] for row in objects] == [262144, 262144] or objects[0]["memory"] > 0
    assert yaml.safe_load(shell("machines", "list", "-o", "yaml").out) == objects
    rows = list(csv.DictReader(io.StringIO(shell("machines", "list", "-o", "csv").out)))
    assert [row["memory"] for row in rows] == [str(one["memory"]) for one in objects]
    assert shell("machines", "list", "-q").lines == [str(one["id"]) for one in objects]


def test_fault_21_no_cell_of_a_csv_file_is_a_formula(shell):
    shell("pools", "create", "=cmd()", "--parent", "Cloud", "--description", "+1")
    text = shell("pools", "list", "-o", "csv", "--columns", "name,description,parent_id").out
    assert "'=cmd(),'+1,1" in text.splitlines()
    assert shell.json("pools", "show", "=cmd()")["name"] == "=cmd()"


def test_what_a_machine_consists_of_is_a_table_and_a_file(shell, cloud):
    assert ["memory", "128 MiB", "-"] in shell("machines", "devices", "web01").table
    assert "memory,128 MiB," in shell("machines", "devices", "web01", "-o", "csv").lines


def test_the_version_is_told_without_a_console(shell):
    said = shell.but(OVC_URL=None, OVC_TOKEN=None)("--version")
    assert said.lines == [f"ovc {version('ovcadmin')}"]


def test_columns_are_chosen_filtered_and_sorted(shell, cloud):
    said = shell("machines", "list", "--columns", "name,pool.name,actions", "--sort=-name")
    assert said.lines[0].split() == ["NAME", "POOL.NAME", "ACTIONS"]
    assert [row[:2] for row in said.table] == [["web02", "Web"], ["web01", "Web"]]
    chosen = shell.json("machines", "list", "--state", "running", "--columns", "name,pool.name")
    assert chosen == [{"name": "web01", "pool.name": "Web"}]
    unknown = shell.run("machines", "list", "--columns", "colour")
    assert (unknown.code, "There is no column “colour”" in unknown.err) == (2, True)
    assert shell.json("machines", "list", "--state", "saved") == []
    assert shell("machines", "list", "-o", "yaml", "--state", "saved").out == "[]\n"


def test_a_long_list_comes_page_by_page_to_its_end(shell, sqlite_world):
    names = [f"Pool {number:03}" for number in range(230)]
    for name in names:
        sqlite_world.pool(name)
    assert [row["name"] for row in shell.json("pools", "list")][1:] == names
    assert len(shell("pools", "list", "--limit", "3", "-q").lines) == 3
    short = subprocess.run(
        f"{OVC} pools list | head -n 2",
        shell=True, env=shell.environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (len(short.stdout.splitlines()), short.stderr) == (2, "")


def test_what_would_act_on_a_terminal_is_shown_as_text(shell, sqlite_world):
    shell("pools", "create", "Web", "--parent", 1, "--description", "a\x1b[2Jb\u202ec")
    assert "a\ufffd[2Jb\ufffdc" in shell("pools", "show", "Web").out
    assert shell.json("pools", "show", "Web")["description"] == "a\x1b[2Jb\u202ec"


def _on_terminal(shell, *words, **environment):
    """Run a command whose output is a terminal; return what it shows."""
    ours, its = pty.openpty()
    done = subprocess.Popen(
        [OVC, *words], env={**shell.environment, **environment}, stdin=its, stdout=its, stderr=its
    )
    os.close(its)
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:
        pass  # the other end is closed
    assert done.wait(20) == 0
    os.close(ours)
    return shown.decode()


def test_a_terminal_gets_colours_and_fitting_lines(shell, cloud):
    shown = _on_terminal(shell, "machines", "list", COLUMNS="60", TERM="xterm")
    assert "\x1b[32mrunning\x1b[0m" in shown
    plain = _on_terminal(shell, "machines", "list", COLUMNS="60", NO_COLOR="1", TERM="xterm")
    assert "\x1b" not in plain
    assert max(map(len, plain.split("\r\n"))) <= 90


@pytest.mark.requirement("PEER-26")
def test_waiting_shows_a_bar_on_a_terminal(shell, cloud):
    queued = shell.json("machines", "start", "web02")[0]
    cloud.finish(queued["operation_id"])
    shown = _on_terminal(shell, "operations", "wait", str(queued["operation_id"]), TERM="xterm")
    assert "Start web02" in shown
    assert "100 %" in shown
    assert "━" in shown


@pytest.mark.requirement("PEER-26")
def test_watch_shows_what_became_of_it(shell, cloud):
    words = ("machines", "list", "--watch", "0.2", "--columns", "name,state")
    watching = shell.start(*words, stdout=subprocess.PIPE)
    seen = b""

    def sees(text):
        nonlocal seen
        seen += os.read(watching.stdout.fileno(), 65536)
        return text in seen

    try:
        wait_until(lambda: sees(b"stopped"), "the first look")
        started = shell.json("machines", "start", "web02")[0]
        wait_until(lambda: sees(b"starting"), "the change")
        cloud.finish(started["operation_id"])
        wait_until(lambda: seen.count(b"\n") > 0 and sees(b"web02  running"), "its end")
        watching.send_signal(signal.SIGINT)
        assert watching.wait(20) == 130
    finally:
        watching.kill()
        watching.wait()
        watching.stdout.close()


def test_a_watch_on_a_terminal_replaces_one_whole_picture_by_the_next(shell, cloud):
    ours, its = pty.openpty()
    words = [OVC, "machines", "list", "--watch", "0.2", "--state", "stopped"]
    watching = subprocess.Popen(
        words, env={**shell.environment, "TERM": "xterm"}, stdin=its, stdout=its, stderr=its
    )
    os.close(its)
    seen = b""
    try:
        while seen.count(CLEAR) < 2 or b"(none)" not in seen:
            seen += os.read(ours, 4096)
            if b"web02" in seen and "started" not in locals():
                started = shell("machines", "start", "web02")
    finally:
        watching.send_signal(signal.SIGINT)
        assert watching.wait(20) == 130
        os.close(ours)
    assert seen.startswith(CLEAR + b"\x1b[1mID")
    assert b"web02" in seen.split(CLEAR)[1]


class _OneLook(BaseHTTPRequestHandler):
    """A console that answers once."""

    def do_GET(self):
        body = b'{"items": [], "next": null}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


def test_a_watch_outlives_a_console_that_is_away(shell):
    with HTTPServer(("127.0.0.1", 0), _OneLook) as console:
        watching = shell.but(OVC_URL=f"http://127.0.0.1:{console.server_port}").start(
            "pools", "list", "--watch", "0.1", stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        console.handle_request()
        assert watching.stdout.readline().startswith(b"ID")
    try:
        for _ in range(2):
            assert b"cannot be reached" in watching.stderr.readline()
    finally:
        watching.send_signal(signal.SIGINT)
        assert watching.wait(20) == 130
        watching.stdout.close()
        watching.stderr.close()


@pytest.mark.requirement("PEER-26")
def test_shells_complete_commands_options_and_living_names(shell, cloud):
    def complete(line, word):
        words = {"_OVC_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(word)}
        said = shell.but(**words)()
        return [line.partition(",")[2] for line in said.lines]

    assert "machines" in complete("ovc ma", 1)
    assert "start" in complete("ovc machines st", 2)
    assert "--selector" in complete("ovc machines start --sel", 3)
    assert complete("ovc machines start web", 3) == ["web01", "web02"]
    assert complete("ovc machines list --pool W", 4) == ["Web"]
    assert complete("ovc machines create a --size t", 5) == ["tiny"]
    queued = shell.json("machines", "start", "web02")[0]["operation_id"]
    assert str(queued) in complete("ovc operations wait ", 3)
    nowhere = shell.but(OVC_URL="http://127.0.0.1:9")
    words = {"_OVC_COMPLETE": "bash_complete", "COMP_WORDS": "ovc machines start w"}
    assert nowhere.but(**words, COMP_CWORD="3")().out.strip() == ""
    for name in ("bash", "zsh", "fish"):
        assert "_OVC_COMPLETE" in shell("completion", name).out


def test_bash_itself_completes_a_name(shell, cloud):
    script = (
        "source <(ovc completion bash); COMP_WORDS=(ovc machines start web); COMP_CWORD=3; "
        "_ovc_completion ovc; echo ${COMPREPLY[@]}"
    )
    path = f"{OVC.parent}:{shell.environment['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], env={**shell.environment, "PATH": path},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["web01", "web02"]
