"""`ovc` and the API: how soon they answer, and a list of 10,000 machines; beside what does less.

Start-up stands beside an interpreter that does nothing and beside `virsh`, in turns on the same
cores.  The list comes from the real web process: the API's beside plain SQL with the same rows as
JSON, that of `ovc` beside curl and jq, which follow the same cursors; memory is that of the largest
process.  Answers a second stand beside an application of one line on the same server with as many
threads.
"""

from __future__ import annotations

import http.client
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from bench._report import percentile, report, timed
from bench.pages import populate
from ovcadmin.services import people, tokens
from tests import rig
from tests.rig.base import wait_until
from tests.rig.console import Console, Process, console
from tests.rig.network import LOOPBACK, free_port
from tests.rig.ovc import OVC

STARTS = 25
MACHINES = 10_000
HELP_AIM = 150.0
CLIENTS = 4
ASK_SECONDS = 5.0
WAITRESS = """
import sys, waitress
def nothing(environ, start):
    start("200 OK", [("Content-Type", "application/json"), ("Content-Length", "2")])
    return [b"{}"]
waitress.serve(nothing, listen=sys.argv[1], threads=int(sys.argv[2]))
"""
CURL_AND_JQ = """
set -e
cursor=
while :; do
  page=$(curl -sSf -H "Authorization: Bearer $OVC_TOKEN" \\
    "$OVC_URL/api/v1/machines?limit=200${cursor:+&cursor=$cursor}")
  jq -c '.items[]' <<< "$page"
  cursor=$(jq -r '.next // empty' <<< "$page")
  [ -n "$cursor" ] || break
done
"""
HELP = (OVC, "--help")
COMMAND_HELP = (OVC, "machines", "list", "--help")
PEAK = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:])
_, status, used = os.wait4(process.pid, 0)
print(used.ru_maxrss, flush=True)
sys.exit(status != 0)
"""
"""Runs a command and tells its peak memory, KiB, in the last line; a process of its own, because a
child starts with the peak of its parent."""
VIRSH_HELP = ("virsh", "help")
NOTHING = (sys.executable, "-c", "pass")


def main() -> None:
    _starts()
    with (
        rig.base.private_directory("bench") as directory,
        tempfile.TemporaryDirectory() as data,
    ):
        port = free_port()
        listen = {"web_listen": f"{LOOPBACK}:{port}", "log_level": "warning", "api_rate": "0"}
        with console(directory, f"sqlite:///{data}/bench.db", **listen) as on:
            populate(on, MACHINES)
            web = on.start(sys.executable, "-m", "ovcadmin.manage.web", on.ini)
            wait_until(lambda: _answers(port, web), "the web process", 60)
            token = _token(on)
            _read_by_the_api(port, token)  # the web process is warm for what is measured
            plain = timed(lambda: _read_by_sql(f"{data}/bench.db"))
            report("list by the API", timed(lambda: _read_by_the_api(port, token)), "s", peer=plain)
            _whole_lists(port, token)
            bare = _bare_server(on)
            for path in ("/session", "/machines/1", "/machines?limit=50"):
                told = _answers_per_second(port, token, path)
                report(f"GET {path}, {CLIENTS} clients", told, "answers/s", peer=bare)


def _bare_server(on: Console) -> float:
    """How many empty answers the same server gives a second."""
    port = free_port()
    listen = f"{LOOPBACK}:{port}"
    process = on.start(sys.executable, "-c", WAITRESS, listen, str(on.settings.web_threads))
    wait_until(lambda: _answers(port, process), "a bare server", 60)
    return _answers_per_second(port, "", "/")


def _read_by_sql(file: str) -> None:
    """Read every column of the machines and write it as JSON: no rights, no shape."""
    with closing(sqlite3.connect(file)) as connection:
        connection.row_factory = sqlite3.Row
        rows = connection.execute("SELECT * FROM machine ORDER BY id").fetchall()
        assert len(json.dumps([dict(row) for row in rows])) > MACHINES
    assert len(rows) == MACHINES


def _answers_per_second(port: int, token: str, path: str) -> float:
    """Ask for the same from several clients at once, each on a connection of its own."""
    until = time.monotonic() + ASK_SECONDS

    def ask(_number: int) -> int:
        connection, count = http.client.HTTPConnection(LOOPBACK, port), 0
        while time.monotonic() < until:
            connection.request(
                "GET", f"/api/v1{path}", headers={"Authorization": f"Bearer {token}"}
            )
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            answer.read()
            count += 1
        return count

    with ThreadPoolExecutor(CLIENTS) as clients:
        total = sum(clients.map(ask, range(CLIENTS)))
    return total / ASK_SECONDS


def _starts() -> None:
    """Report the start-up of help, and of one command's help, by that of an empty program."""
    times: dict[tuple[Path | str, ...], list[float]] = {
        words: [] for words in (HELP, COMMAND_HELP, VIRSH_HELP, NOTHING)
    }
    for _ in range(STARTS):
        for words, taken in times.items():
            taken.append(1000 * timed(lambda words=words: _quietly(words)))  # type: ignore[misc]
    nothing = percentile(times[NOTHING], 50)
    report("help p50", percentile(times[HELP], 50), "ms", aim=HELP_AIM, peer=nothing)
    report(
        "help p50, by that of virsh",
        percentile(times[HELP], 50),
        "ms",
        peer=percentile(times[VIRSH_HELP], 50),
    )
    report("help p95", percentile(times[HELP], 95), "ms", aim=HELP_AIM)
    report("help of a command p50", percentile(times[COMMAND_HELP], 50), "ms", peer=nothing)


def _quietly(words: tuple[Path | str, ...]) -> None:
    subprocess.run(words, stdout=subprocess.DEVNULL, check=True)


def _answers(port: int, web: Process) -> bool:
    """Whether whatever serves there gives answers."""
    if web.code is not None:
        raise RuntimeError(web.log)
    try:
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
        connection.request("GET", "/signin")
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False


def _token(on: Console) -> str:
    with on.work(write=True) as work:
        user = people.get(work, work.actor.user_id or 0)
        return tokens.create(work, user.id, name="bench", days=1)[1]


def _read_by_the_api(port: int, token: str) -> None:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=60)
    headers = {"Authorization": f"Bearer {token}"}
    cursor, count = "", 0
    while cursor is not None:
        more = f"&cursor={cursor}" if cursor else ""
        connection.request("GET", f"/api/v1/machines?limit=200{more}", headers=headers)
        page = json.loads(connection.getresponse().read())
        cursor, count = page["next"], count + len(page["items"])
    assert count == MACHINES


def _whole_lists(port: int, token: str) -> None:
    environment = {**os.environ, "OVC_URL": f"http://{LOOPBACK}:{port}", "OVC_TOKEN": token}
    first, whole, peak = _listed(["bash", "-c", CURL_AND_JQ], environment)
    for form in ("table", "json"):
        ours = _listed([OVC, "machines", "list", "-o", form], environment)
        report(f"list {form}, first row", ours[0], "ms", peer=first)
        report(f"list {form}", ours[1], "s", peer=whole)
        report(f"list {form}, memory", ours[2], "MiB", peer=peak)


def _listed(words: list[Path | str], environment: dict[str, str]) -> tuple[float, float, float]:
    """Return milliseconds to the first row, seconds to the last, and MiB of the largest process."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", PEAK, *words], env=environment, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    lines = sum(len(process.stdout.readline()) > 0 for _ in range(2))
    first = 1000 * (time.perf_counter() - begun)
    *rest, peak = process.stdout.read().splitlines()
    assert process.wait() == 0
    assert lines + len(rest) >= MACHINES
    return first, time.perf_counter() - begun, int(peak) / 1024


if __name__ == "__main__":
    main()
