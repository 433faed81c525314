"""The HTTPS side: one listener for each storage router, all of one cluster."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from ovcadmin.testing.openvstorage import certificate
from ovcadmin.testing.openvstorage.answers import Call, Fault
from ovcadmin.testing.openvstorage.api import Api
from ovcadmin.testing.openvstorage.cluster import Cluster
from ovcadmin.testing.openvstorage.faults import Faults
from ovcadmin.testing.openvstorage.plan import Plan
from ovcadmin.testing.openvstorage.tasks import Tasks
from ovcadmin.testing.openvstorage.tokens import Tokens

FAULTS = "/simulator/faults/"
JOBS = "/simulator/jobs/"
"""With the name of a job that the cluster runs by itself: `hourly`, `retention`, `sync`."""
LOOK_SECONDS = 0.1


class Simulator:
    """Runs in threads of this process from `start` to `stop`."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.faults = Faults()
        self.cluster = Cluster(plan, self.faults)
        self.tasks = Tasks(self.faults, plan.task_seconds)
        self.tokens = Tokens(plan, self.faults)
        self.api = Api(plan, self.cluster, self.tasks, self.tokens)
        self.stopping = threading.Event()
        self.calls: list[tuple[str, str, str]] = []
        """(storage router, method, path) of every call."""
        self._servers: dict[str, Listener] = {}

    @property
    def authority(self) -> Path:
        """The certificate that every listener shows; it is its own authority."""
        return self.plan.data / "certificate.pem"

    @property
    def addresses(self) -> dict[str, str]:
        """Where the API of each storage router is reached."""
        return {name: f"https://{server.place}" for name, server in self._servers.items()}

    def start(self) -> None:
        addresses = [address.rpartition(":")[0] for address in self.plan.routers.values()]
        certificate.ensure(self.authority, addresses)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.authority)
        for name, address in self.plan.routers.items():
            server = Listener(self, name, address, context)
            self._servers[name] = server
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self.stopping.set()
        for server in self._servers.values():
            server.shutdown()
            server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, simulator: Simulator, router: str, address: str, context: ssl.SSLContext
    ) -> None:
        host, _, port = address.rpartition(":")
        # A port of its own, said by number: it stays this one's while nobody listens on it.
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, int(port)))
            super().__init__(probe.getsockname(), Handler)
        self.simulator = simulator
        self.router = router
        self.place = f"{host}:{self.server_address[1]}"
        self._context = context
        self._listens = True

    def service_actions(self) -> None:
        """Refuse connections as a machine does on which nothing listens, while that is wanted."""
        wanted = self.router not in self.simulator.faults.refuse
        if wanted and not self._listens:
            self.socket.listen(self.request_queue_size)
        elif self._listens and not wanted:
            self.socket.shutdown(socket.SHUT_RDWR)
        self._listens = wanted

    def get_request(self) -> tuple[Any, Any]:
        """Take a connection; the handshake comes in its own thread."""
        if not self._listens:
            time.sleep(LOOK_SECONDS)
            raise OSError("refused")
        connection, address = super().get_request()
        if self.router in self.simulator.faults.refuse:
            connection.close()
            raise OSError("refused")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wrapped = self._context.wrap_socket(
            connection, server_side=True, do_handshake_on_connect=False
        )
        return wrapped, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Listener

    def do_GET(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self._hangs():
            return
        parts = urlsplit(self.path)
        if parts.path == FAULTS:
            self._faults(raw)
        elif parts.path.startswith(JOBS):
            self._job(parts.path.removeprefix(JOBS).strip("/"))
        elif parts.path.endswith("/"):
            self._answer(self._call(parts.path, parts.query, raw))
        else:
            self._send(301, b"", {"Location": f"https://{self.server.place}{parts.path}/"})

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - names that http.server calls

    def log_message(self, *_: object) -> None:
        """Say nothing: `Simulator.calls` has it all."""

    def _answer(self, call: Call) -> None:
        simulator = self.server.simulator
        simulator.calls.append((self.server.router, call.method, call.path))
        try:
            simulator.faults.raise_for(call.path)
            answer, status, kind = simulator.api.answer(call), 200, self.headers.get("Accept", "")
        except Fault as fault:
            answer, status, kind = fault.body, fault.status, "application/json"
        if not self._loses(status):
            kind = kind if "json" in kind else "application/json"
            self._send(status, json.dumps(answer).encode(), {"Content-Type": kind})

    def _call(self, path: str, query: str, raw: bytes) -> Call:
        headers = {name.lower(): value for name, value in self.headers.items()}
        form = "form-urlencoded" in headers.get("content-type", "")
        body: Any = {}
        if form:
            body = dict(parse_qsl(raw.decode()))
        elif raw:
            try:
                body = json.loads(raw)
            except ValueError:
                body = {}
        if path == "/api/oauth2/token/" and not form:
            body = {}
        return Call(
            method=self.command, path=path, address=self.client_address[0], headers=headers,
            body=body if isinstance(body, dict) else {},
            query=dict(parse_qsl(query, keep_blank_values=True)),
        )  # fmt: skip

    def _hangs(self) -> bool:
        """Wait as long as the storage router hangs, then hang up."""
        simulator = self.server.simulator
        if self.server.router in simulator.faults.refuse:
            self.close_connection = True
            return True
        if self.server.router not in simulator.faults.hang or self.path == FAULTS:
            return False
        while self.server.router in simulator.faults.hang and not simulator.stopping.is_set():
            time.sleep(LOOK_SECONDS)
        self.close_connection = True
        return True

    def _loses(self, status: int) -> bool:
        change = self.command == "POST" and "/vdisks/" in self.path and status == 200
        if change and self.server.simulator.faults.take("lose_answers"):
            self.close_connection = True
            return True
        return False

    def _faults(self, raw: bytes) -> None:
        faults = self.server.simulator.faults
        if self.command == "PUT":
            try:
                faults.change(json.loads(raw))
            except (KeyError, ValueError, AttributeError) as error:
                self._send(400, json.dumps({"error": str(error)}).encode())
                return
        self._send(200, json.dumps(faults.plain()).encode())

    def _job(self, name: str) -> None:
        cluster = self.server.simulator.cluster
        jobs = {"hourly": cluster.hourly, "retention": cluster.retention, "sync": cluster.sync}
        if self.command != "POST" or name not in jobs:
            self._send(404, json.dumps({"error": f"POST one of {', '.join(jobs)}"}).encode())
            return
        jobs[name]()
        self._send(200, b"{}")

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
