"""A whole console on a real host, served on one address, and somebody at a shell with `ovc`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.rig.base import wait_until
from tests.rig.cloud import Cloud, cloud
from tests.rig.hypervisor import LibvirtHost
from tests.rig.image import starter_image
from tests.rig.network import LOOPBACK, free_ports
from tests.rig.ovc import Shell
from tests.rig.ovcadmin import ovcadmin

SECONDS = 120


@contextmanager
def served(
    directory: Path, database_url: str, host: LibvirtHost, **more: object
) -> Iterator[tuple[Cloud, str]]:
    """Yield the console and its address; worker, web and gateway run."""
    front, web = free_ports(2)
    settings = {
        "gateway_listen": f"{LOOPBACK}:{front}",
        "gateway_front": "true",
        "web_listen": f"{LOOPBACK}:{web}",
        **more,
    }
    with cloud(directory, database_url, host, starter_image(), **settings) as made:
        made.worker()
        made.start(sys.executable, "-m", "ovcadmin.manage.web", made.ini)
        made.start(sys.executable, "-m", "ovcadmin.gateway", made.ini)
        url = f"http://{LOOPBACK}:{front}"
        wait_until(lambda: answers(url), "the console", SECONDS)
        yield made, url


def shell_of(made: Cloud, url: str, home: Path) -> Shell:
    """Return a shell that was signed in with `ovc login`, and knows the console by nothing else."""
    code, token = ovcadmin("token", "create", made.ini, "admin", "laptop")
    assert code == 0, token
    found = Shell(home)
    found("login", url, stdin=token.strip())
    return found


def prepared(shell: Shell) -> None:
    """Wait until the host is up and the starter image is on its storage."""
    wait_until(
        lambda: [row["state"] for row in shell.json("hosts", "list")] == ["up"], "a host", SECONDS
    )
    wait_until(lambda: shell.json("operations", "list"), "the copy of the image", SECONDS)
    shell("operations", "wait", *shell("operations", "list", "-q").lines, "--timeout", SECONDS)


def answers(url: str) -> bool:
    """Whether a console shows its sign-in page there."""
    try:
        return httpx.get(f"{url}/signin", timeout=2).status_code == 200
    except httpx.TransportError:
        return False
