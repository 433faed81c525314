"""How commands end that do not succeed, what they say, and whom they tell the token."""

from __future__ import annotations

import json
import stat
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from ovcadmin.domain.states import State
from tests.functional.cli.conftest import key_of
from tests.rig.ovc import Shell


@pytest.fixture
def cloud(sqlite_world):
    """Three machines in a pool: web01 runs, web02 and mail01 are stopped."""
    world = sqlite_world
    world.host()
    world.image()
    pool = world.pool("Web")
    world.machine("web01", pool, state=State.RUNNING)
    world.machine("web02", pool)
    world.machine("mail01", pool)
    return world


@pytest.mark.requirement("KVM-18", "PEER-26")
def test_each_class_of_refusal_has_its_exit_code(shell, shell_of, cloud):
    watcher = shell_of(cloud.user("wanda", "Monitor"))
    wrong_token = shell.but(OVC_TOKEN="ovc_wrong")
    codes = {
        "typed wrongly": shell.run("machines", "list", "--state", "tired"),
        "impossible value": shell.run("consumption", "report", "yesterday"),
        "refused": shell.run("machines", "start", "web01"),
        "not found": shell.run("machines", "show", "web99"),
        "not for you": watcher.run("machines", "start", "web02"),
        "not signed in": wrong_token.run("whoami"),
        "unreachable": shell.but(OVC_URL="http://127.0.0.1:9").run("whoami"),
        "no profile": shell.but(OVC_URL=None, OVC_TOKEN=None).run("whoami"),
    }
    assert {name: said.code for name, said in codes.items()} == {
        "typed wrongly": 2, "impossible value": 2, "refused": 3, "not found": 4,
        "not for you": 5, "not signed in": 5, "unreachable": 6, "no profile": 5,
    }  # fmt: skip
    assert all(said.err and not said.out for said in codes.values())
    assert "cannot be reached" in codes["unreachable"].err
    assert "ovc login" in codes["no profile"].err


def test_a_refusal_tells_code_and_article_also_to_programs(shell, url, cloud):
    said = shell.run("machines", "start", "web01")
    assert f"machine.state: {url}/help/errors/machine.state" in said.err
    told = json.loads(shell.run("machines", "start", "web01", "--json").err)
    assert (told["code"], told["exit_code"], told["status"]) == ("machine.state", 3, 409)
    assert told["article"] == f"{url}/help/errors/machine.state"


def test_many_at_once_each_get_a_result(shell, cloud):
    said = shell.run("machines", "start", "web01", "web02", "web99", "--json")
    assert [(row["name"], row["result"]) for row in json.loads(said.out)] == [
        ("web01", "refused"), ("web02", "queued"), ("web99", "refused"),
    ]  # fmt: skip
    assert said.code == 1  # refused and not found: no class of their own
    assert "machine.state" in said.out


def test_a_selector_and_a_dry_run(shell, cloud):
    before = cloud.fingerprint()["operation"]
    said = shell("machines", "start", "--selector", "pool=Web,name=WEB*", "--dry-run")
    assert [row[1:3] for row in said.table] == [["web01", "refused"], ["web02", "would start"]]
    assert cloud.fingerprint()["operation"] == before
    queued = shell.json("machines", "start", "-l", "state=stopped,pool=Web")
    assert sorted(row["name"] for row in queued) == ["mail01", "web02"]
    none = shell.run("machines", "start", "-l", "state=saved")
    assert (none.code, "No machine fits" in none.err) == (4, True)
    assert shell.run("machines", "start").code == 2
    assert shell.run("machines", "start", "-l", "colour=red").code == 2
    listed = shell("machines", "list", "--state", "running", "-q").out
    assert shell("machines", "suspend", "-", stdin=listed).table[0][1:3] == ["web01", "queued"]


def test_nothing_is_lost_unasked(shell, cloud):
    said = shell.run("machines", "delete", "web02")
    assert (said.code, "The bin keeps them for some days." in said.err) == (2, True)
    assert shell.json("machines", "show", "web02")["shown"] == "stopped"


def test_a_name_that_fits_two_is_asked_again(shell, cloud):
    cloud.machine("web01", cloud.pool("Other"))
    said = shell.run("machines", "show", "web01")
    assert (said.code, "2 machines are called “web01”: use an id" in said.err) == (2, True)
    assert shell.json("machines", "show", "Other/web01")["pool"]["name"] == "Other"
    assert shell.run("machines", "show", "Elsewhere/web01").code == 4


def test_waiting_that_ends_before_the_operation(shell, cloud):
    said = shell.run("machines", "start", "web02", "--wait", "--timeout", "0.3")
    assert (said.code, "to wait again: ovc operations wait" in said.err) == (7, True)
    key = shell.json("operations", "list", "--open", "--machine", "web02")[0]["id"]
    assert shell.json("operations", "cancel", key)[0]["result"] in ("queued", "cancelled")
    ended = shell.run("operations", "wait", key)
    assert (ended.code, "cancelled" in ended.err) == (1, True)
    assert shell.json("operations", "retry", key)[0]["result"] == "queued"


@pytest.fixture
def home(sqlite_world, url, tmp_path):
    """A shell without any settings, and a token."""
    return Shell(tmp_path), key_of(sqlite_world, sqlite_world.admin())


def test_a_token_is_kept_for_its_owner_and_its_console_alone(home, url, tmp_path):
    shell, token = home
    shell("login", url, stdin=token)
    shell("login", url, "--profile", "test", stdin=token)
    file = tmp_path / ".config/ovc/profiles.ini"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert shell.json("whoami", "--profile", "test")["user"]["name"] == "admin@internal"
    assert shell("profiles").lines == [f"* default  {url}", f"  test  {url}"]

    elsewhere = shell.but(OVC_URL="http://127.0.0.1:9").run("whoami")
    assert (elsewhere.code, "There is no token for http://127.0.0.1:9" in elsewhere.err) == (
        5,
        True,
    )
    file.chmod(0o644)
    assert "chmod 600" in shell.run("whoami").err
    file.chmod(0o600)
    shell("logout", "--profile", "test")
    assert shell.run("whoami", "--profile", "test").code == 5


def test_a_bad_token_or_address_is_not_kept(home, url, tmp_path):
    shell, token = home
    wrong = shell.run("login", url, stdin="ovc_wrong")
    assert (wrong.code, "does not know this token" in wrong.err) == (5, True)
    assert shell.run("login", "ftp://cloud", stdin=token).code == 2
    plain = shell.run("login", "http://cloud.example.org", stdin=token)
    assert (plain.code, "--insecure-http" in plain.err) == (2, True)
    assert not Path(tmp_path, ".config/ovc/profiles.ini").exists()


class _Elsewhere(BaseHTTPRequestHandler):
    seen: ClassVar[list[str]] = []

    def do_GET(self):
        self.seen.append(self.path)
        if self.path.endswith("/session"):
            self.send_response(302)
            self.send_header("Location", "/stolen")
            self.end_headers()
        else:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<p>Hello")

    def log_message(self, *words):
        pass


def test_a_server_that_is_no_console_is_told_so_and_not_followed(shell):
    server = HTTPServer(("127.0.0.1", 0), _Elsewhere)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        other = shell.but(OVC_URL=f"http://127.0.0.1:{server.server_port}")
        moved = other.run("whoami")
        assert (moved.code, "sends to /stolen" in moved.err) == (6, True)
        html = other.run("machines", "list")
        assert (html.code, "no OpenvCloud console" in html.err) == (6, True)
        assert "/stolen" not in _Elsewhere.seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_any_call_of_the_api(shell, cloud):
    said = shell("api", "GET", "/machines", "-p", "state=running")
    assert [row["name"] for row in said.json["items"]] == ["web01"]
    assert len(shell("api", "get", "/api/v1/machines", "--all").json) == 3
    pool = shell("api", "POST", "/pools/1/pools", "-d", "-", stdin='{"name": "Shop"}').json
    assert shell("api", "DELETE", f"/pools/{pool['id']}").out == ""
    single = shell.run("api", "GET", "/session", "--all")
    assert (single.code, "limit: There is no such parameter here." in single.err) == (2, True)
    bad = shell.run("api", "POST", "/pools/1/pools", "-d", "{")
    assert (bad.code, "no JSON" in bad.err) == (2, True)
    field = shell.run("api", "POST", "/pools/1/pools", "-d", '{"nome": "Shop"}')
    assert (field.code, "nome: There is no such field here." in field.err) == (2, True)


def test_a_word_that_is_nearly_a_command_is_answered_with_it(shell):
    for words, meant in ((["machnes"], "machines"), (["machines", "strt"], "start")):
        refused = shell.run(*words)
        assert (refused.code, f"'{meant}'" in refused.err) == (2, True)
