"""The articles on what stands between people and machines: the proxy with its certificate, a VPN.

Their files and commands are taken as they stand, with the addresses of this computer in the place
of their examples.
"""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from ovcadmin.services import tokens
from tests.rig.articles import blocks, body
from tests.rig.base import private_directory, spawn, wait_until
from tests.rig.console import Console, console
from tests.rig.network import LOOPBACK, free_ports

NAME = "cloud.example.org"
NGINX = """
daemon off;
pid {here}/pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {here}/body;
    proxy_temp_path {here}/proxy;
    fastcgi_temp_path {here}/fastcgi;
    uwsgi_temp_path {here}/uwsgi;
    scgi_temp_path {here}/scgi;
    {server}
}}
"""
AUTHORITY = "basicConstraints=critical,CA:TRUE"


@pytest.fixture
def here() -> Iterator[Path]:
    with private_directory("front") as directory:
        yield directory


class Desk:
    """A shell in a directory; what is typed must succeed."""

    def __init__(self, here: Path) -> None:
        self.here = here

    def types(self, command: str) -> str:
        done = subprocess.run(
            ["sh", "-ec", command], cwd=self.here, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout


def _authority(desk: Desk) -> None:
    """Make the company's authority, and the one between, which signs."""
    (desk.here / "req.conf").write_text("[req]\ndistinguished_name=n\n[n]\n")
    new = f"openssl req -config req.conf -newkey rsa:2048 -nodes -addext {AUTHORITY}"
    desk.types(f"{new} -x509 -subj /CN=Authority -keyout authority.key -out authority.crt")
    desk.types(f"{new} -x509 -subj /CN=Between -keyout intermediate.key -out intermediate.crt "
               "-CA authority.crt -CAkey authority.key")  # fmt: skip


def _signs(desk: Desk) -> None:
    desk.types(
        f"openssl x509 -req -in {NAME}.csr -out {NAME}.crt -copy_extensions copy -days 30 "
        "-CA intermediate.crt -CAkey intermediate.key -CAcreateserial"
    )


def _certified(desk: Desk, request: str, whole: str, check: str) -> None:
    """Do what the article says of a certificate, and look at what it says to look at."""
    desk.types(request)
    _signs(desk)
    desk.types(whole)
    verified, *keys = desk.types(check).splitlines()
    assert verified.endswith(": OK")
    assert len(set(keys)) == 1
    assert len(keys) == 2


class Network:
    """A computer's network and its /etc/wireguard, with somebody at its shell."""

    def __init__(self, here: Path, pid: int) -> None:
        self.here, self.pid = here, pid

    def types(self, command: str) -> str:
        within = ["nsenter", f"--target={self.pid}", "--net", "--mount", "--pid"]
        done = subprocess.run(
            [*within, "sh", "-ec", command], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def writes(self, configuration: str) -> None:
        (self.here / "wg0.conf").write_text(configuration)

    @property
    def secret(self) -> str:
        return (self.here / "key").read_text().strip()


@contextmanager
def _network(here: Path, name: str) -> Iterator[Network]:
    mine = here / name
    mine.mkdir(mode=0o700)
    script = (
        f"mkdir -p /etc/wireguard && mount --bind {mine} /etc/wireguard && "
        f"mount -t tmpfs tmpfs /run && ip link set lo up && touch {here}/{name}.up && sleep 600"
    )
    process = spawn(
        "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
        "sh", "-c", script, log=here / "log",
    )  # fmt: skip
    try:
        wait_until((here / f"{name}.up").exists, name, log=here / "log")
        (inner,) = psutil.Process(process.pid).children()
        yield Network(mine, inner.pid)
    finally:
        process.kill()
        process.wait(20)


def _run(*words: object) -> None:
    subprocess.run([str(word) for word in words], check=True, timeout=20)


@pytest.fixture
def site(here: Path) -> Iterator[tuple[Console, dict[str, str]]]:
    """A console as the article sets it; and its addresses in the place of the article's."""
    https, gateway, web = free_ports(3)
    settings = {
        "public_url": f"https://{NAME}:{https}", "trusted_proxies": f"{LOOPBACK}/32",
        "gateway_front": "false", "gateway_listen": f"{LOOPBACK}:{gateway}",
        "web_listen": f"{LOOPBACK}:{web}",
    }  # fmt: skip
    with console(here, f"sqlite:///{here}/ovcadmin.db", **settings) as on:
        on.start(sys.executable, "-m", "ovcadmin.manage.web", on.ini).said("web.listening")
        on.start(sys.executable, "-m", "ovcadmin.gateway", on.ini).said("gateway.")
        yield on, {
            "listen 443 ssl": f"listen {LOOPBACK}:{https} ssl",
            "/etc/ssl/": f"{here}/", "127.0.0.1:6543": f"{LOOPBACK}:{gateway}",
            "127.0.0.1:6544": f"{LOOPBACK}:{web}",
        }  # fmt: skip


@pytest.mark.timeout(200)
@pytest.mark.requirement("NEW-08")
def test_a_proxy_with_a_certificate_of_ones_own_and_with_a_wildcard(here: Path, site) -> None:
    on, names = site
    desk, url = Desk(here), on.settings.public_url
    server, request, whole, check = blocks(body("administration", "certificates", names))
    _authority(desk)
    _certified(desk, request, whole, check)
    (here / "nginx.conf").write_text(NGINX.format(here=here, server=server))
    nginx = ["nginx", "-e", "stderr", "-p", str(here), "-c", str(here / "nginx.conf")]
    log = here / "nginx.log"
    with ExitStack() as stack:
        process = spawn(*nginx, log=log, death="TERM")
        stack.callback(process.wait, 20)
        stack.callback(process.terminate)
        port = url.rpartition(":")[2]
        curl = (
            f"curl --silent --show-error --cacert authority.crt --resolve {NAME}:{port}:{LOOPBACK}"
        )
        page = f"{curl} --output page --write-out '%{{http_code}}' {url}/signin"
        wait_until(lambda: _answers(here, page), "the sign-in page", 30, log)
        headers = desk.types(f"{curl} --head {url}/signin")
        assert "strict-transport-security" in headers.casefold(), "the console knows of the TLS"
        _passes_on(desk, curl, url, _token(on))

        wild = request.replace(f"DNS:{NAME}", "DNS:*.example.org")
        assert "*.example.org" in body("administration", "certificates", {})
        _certified(desk, wild, whole, check)
        desk.types(" ".join([*nginx, "-s", "reload"]))
        shown = f"{curl} --verbose --output page {url}/signin 2>&1 | grep subjectAltName"
        wait_until(lambda: "*.example.org" in desk.types(shown), "the new certificate", 30, log)


def _answers(here: Path, command: str) -> bool:
    words = ["sh", "-c", command]
    done = subprocess.run(words, cwd=here, capture_output=True, text=True, check=False)
    return done.stdout == "200"


def _token(on: Console) -> str:
    with on.work(write=True) as work:
        return tokens.create(work, work.actor.user_id or 0, name="front", days=1)[1]


def _passes_on(desk: Desk, curl: str, url: str, token: str) -> None:
    """Pages, live events, WebSockets and pieces of images all come through."""
    signed = f"{curl} --header 'Authorization: Bearer {token}'"
    events = f"timeout 3 {signed} --no-buffer --include {url}/live/events || true"
    assert "200 OK" in desk.types(events)
    assert _upgraded(desk.here, url, url) == "101 Switching Protocols"
    assert _upgraded(desk.here, url, "https://evil.example.org").startswith("403")
    size = 8 * 2**20
    desk.types(f"head -c {size} /dev/zero > piece")
    made = desk.types(
        f'{signed} --json \'{{"name": "Big", "kind": "disk", "size": {size}}}\' '
        f"{url}/api/v1/pools/1/image-uploads | jq .id"
    ).strip()
    sent = desk.types(
        f"{signed} --output answer --write-out '%{{http_code}}' --request PUT "
        "--header 'Content-Type: application/octet-stream' "
        f"--data-binary @piece '{url}/api/v1/image-uploads/{made}/content?at=0'"
    )
    assert sent.startswith("2"), (sent, (desk.here / "answer").read_text())


@pytest.mark.timeout(200)
@pytest.mark.requirement("NEW-08")
def test_machines_and_desks_meet_in_a_vpn(here: Path) -> None:
    """Server and machine are networks of their own with one cable, and nothing else, between."""
    text = body("tutorials", "vpn", {"vpn.example.org": "192.0.2.1"})
    keys, server, start, machine, peer = blocks(text)
    with ExitStack() as stack:
        hub, guest = (stack.enter_context(_network(here, name)) for name in ("hub", "guest"))
        _run("ip", "link", "add", "cable", "netns", hub.pid, "type", "veth", "peer", "name",
             "cable", "netns", guest.pid)  # fmt: skip
        for number, one in enumerate((hub, guest), 1):
            one.types(f"ip addr add 192.0.2.{number}/24 dev cable; ip link set cable up")
        made = keys.partition("\n")[2]
        public = [one.types(made).strip() for one in (hub, guest)]
        hub.writes(server.replace("(the content of /etc/wireguard/key)", hub.secret))
        hub.types(start.replace("systemctl enable --now wg-quick@wg0", "wg-quick up wg0"))
        config = machine.replace("(the machine's own key)", guest.secret)
        guest.writes(config.replace("(the server's public key)", public[0]))
        hub.types(peer.replace("(the machine's public key)", public[1]))
        guest.types("wg-quick up wg0")
        guest.types("busybox ping -c 1 -w 20 10.77.0.1")
        hub.types("busybox ping -c 1 -w 20 10.77.0.11")
        assert public[1] in hub.types("cat /etc/wireguard/wg0.conf"), "it is kept"
        assert f"{public[1]}\t0" not in hub.types("wg show wg0 latest-handshakes")
        remove = re.search(r"`(wg set wg0 peer) KEY (remove)`", text)
        hub.types(f"{remove[1]} {public[1]} {remove[2]}")
        assert public[1] not in hub.types("wg")


def _upgraded(here: Path, url: str, origin: str) -> str:
    """Return the status that the opening of a WebSocket is answered with."""
    trust = ssl.create_default_context(cafile=here / "authority.crt")
    port = int(url.rpartition(":")[2])
    asked = (
        f"GET /live/console HTTP/1.1\r\nHost: {NAME}:{port}\r\nOrigin: {origin}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    with (
        socket.create_connection((LOOPBACK, port), 20) as plain,
        trust.wrap_socket(plain, server_hostname=NAME) as secured,
    ):
        secured.sendall(asked.encode())
        first: str = secured.makefile("rb").readline().decode()
        return first.strip().removeprefix("HTTP/1.1 ")
