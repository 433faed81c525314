"""The REST API over HTTP: deadlines, refusals as `Failure`, pages of lists."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError, SSLError
from urllib3.exceptions import TimeoutError as TimedOut

from ovcadmin.cli import direct
from ovcadmin.cli.failures import Exit, Failure, exit_of, usage

PREFIX = "/api/v1"
SECONDS = 30.0
"""How long one answer may take, unless said otherwise."""
CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 60.0
"""A stream of events says at least every 15 seconds that it is still there."""
PAGE = 200
"""Items of a page: the most that the API gives at once."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: Any


class Client:
    """Speaks to one console with one token.  Its token goes nowhere else: no redirect is followed.

    Raises `Failure` for everything that is not the wanted answer.
    """

    def __init__(
        self, url: str, token: str, *, seconds: float = SECONDS, ca: str | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self.token = token
        self.ca = ca
        self.seconds = seconds
        self.page = ""
        """Path of the page that shows what the last answer is about; blank: there is none."""
        self._direct = direct.current
        self._pool: urllib3.PoolManager | urllib3.HTTPConnectionPool = (
            urllib3.PoolManager(num_pools=1, ca_certs=ca)
            if self._direct is None
            else urllib3.HTTPConnectionPool(*self._direct.web)
        )

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> Answer:
        """Send one request below /api/v1 and return the answer, its JSON read."""
        sent = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        sent.update(headers or {})
        if method == "POST":
            sent.setdefault("Idempotency-Key", str(uuid4()))
        data = None
        if isinstance(body, bytes):
            data, sent["Content-Type"] = body, "application/octet-stream"
        elif body is not None:
            data, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
        address = f"{PREFIX}{path}{_query(query)}"
        if self._direct is None:
            address = f"{self.url}{address}"
        else:
            sent |= self._direct.headers
        # What only reads, or does its thing once however often it is sent, may be sent again.
        again = None if "Idempotency-Key" in sent else frozenset({"GET"})
        whole = seconds or self.seconds
        try:
            answer = self._pool.request(
                method,
                address,
                body=data,
                headers=sent,
                redirect=False,
                timeout=urllib3.Timeout(connect=min(CONNECT_SECONDS, whole), total=whole),
                retries=urllib3.Retry(
                    2, backoff_factor=0.2, allowed_methods=again, raise_on_status=False
                ),
            )
        except (HTTPError, OSError) as error:
            raise self._unreachable(error) from error
        return self._read(answer)

    def file(self, path: str, body: Any) -> str:
        """Post to an address of the gateway and return the text that it answers with."""
        address, sent = path, {"Authorization": f"Bearer {self.token}"}
        if self._direct is None:
            address = f"{self.url}{path}"
        else:
            sent |= self._direct.headers
        try:
            answer = self._pool.request(
                "POST", address, body=json.dumps(body).encode(), headers=sent, redirect=False,
                timeout=self.seconds, retries=False,
            )  # fmt: skip
        except (HTTPError, OSError) as error:
            raise self._unreachable(error) from error
        text = answer.data.decode(errors="replace")
        if answer.status >= 300:
            raise Failure(text.strip() or f"The gateway answered {answer.status}.", Exit.REFUSED)
        return text

    def get(self, path: str, **query: Any) -> Any:
        return self.call("GET", path, query=query).body

    def lines(self, path: str, **query: Any) -> Iterator[str]:
        """Yield the lines of an answer that has no end, as they come."""
        sent = {"Authorization": f"Bearer {self.token}", "Accept": "text/event-stream"}
        try:
            answer = self._pool.request(
                "GET", f"{self.url}{path}{_query(query)}", headers=sent, redirect=False,
                preload_content=False, retries=False,
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=SILENCE_SECONDS),
            )  # fmt: skip
            if answer.status != 200:
                text = f"{self.url} answered {answer.status}: no events for this token."
                raise Failure(text, exit_of(answer.status))
            rest = b""
            for chunk in answer.stream(2**16):
                *whole, rest = (rest + chunk).split(b"\n")
                yield from (line.decode() for line in whole)
        except (HTTPError, OSError) as error:
            raise self._unreachable(error) from error

    def change(self, path: str, body: Any) -> Any:
        """Change what is at the path, as it was looked at just now."""
        seen = self.call("GET", path).headers["ETag"]
        return self.call("PATCH", path, body, headers={"If-Match": seen}).body

    def pages(
        self, path: str, *, most: int | None = None, **query: Any
    ) -> Iterator[list[dict[str, Any]]]:
        """Yield a list page by page, `most` items at the most."""
        cursor = None
        left = most
        while left is None or left > 0:
            limit = PAGE if left is None else min(PAGE, left)
            page = self.get(path, **query, limit=limit, cursor=cursor)
            if not isinstance(page, dict) or not {"items", "next"} <= page.keys():
                raise usage(f"{path} is no list.")
            yield page["items"]
            left = None if left is None else left - len(page["items"])
            cursor = page["next"]
            if cursor is None:
                return

    def items(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        for page in self.pages(path, **query):
            yield from page

    def _read(self, answer: urllib3.BaseHTTPResponse) -> Answer:
        kind = answer.headers.get("Content-Type", "").partition(";")[0]
        self.page = _page(answer.headers.get("Link", ""))
        if answer.status == 204:
            return Answer(answer.status, answer.headers, None)
        if kind in ("application/json", "application/problem+json"):
            try:
                body = json.loads(answer.data)
            except ValueError:
                body = None
            if answer.status < 300 and body is not None:
                return Answer(answer.status, answer.headers, body)
            if isinstance(body, dict) and "code" in body:
                raise self._refusal(body, answer.status)
        if kind in ("application/yaml", "text/yaml", "application/x-yaml") and answer.status < 300:
            return Answer(answer.status, answer.headers, answer.data.decode())
        if 300 <= answer.status < 400:
            elsewhere = answer.headers.get("Location", "another address")
            text = f"{self.url} sends to {elsewhere}; sign in with the address of the console."
        elif answer.status < 400:
            text = f"{self.url} answers, but it is no OpenvCloud console."
        elif answer.status in (502, 503, 504):
            text = (
                f"{self.url} answers, but the console behind it does not ({answer.status}): it "
                "starts, or is down. Try again in a moment."
            )
        else:
            text = f"{self.url} answered {answer.status} without saying why."
        raise Failure(text, exit_of(answer.status) if answer.status >= 400 else Exit.UNREACHABLE)

    def _refusal(self, problem: dict[str, Any], status: int) -> Failure:
        text = problem.get("detail") or problem.get("title") or "It was refused."
        link = f"{self.url}{problem.get('type', '')}"
        return Failure(text, exit_of(status), problem=problem, link=link)

    def _unreachable(self, error: Exception) -> Failure:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, SSLError):
            text = f"The certificate of {self.url} is not trusted: {reason}"
        elif isinstance(reason, TimedOut | TimeoutError) and not isinstance(
            reason, NewConnectionError
        ):
            text = f"{self.url} did not answer in time."
        else:
            text = f"{self.url} cannot be reached: {_short(reason)}"
        return Failure(text, Exit.UNREACHABLE)


def _page(link: str) -> str:
    """Return the path of the page that an answer names as its other form."""
    target, _, more = link.partition(">")
    return target[1:] if 'rel="alternate"' in more and target.startswith("</") else ""


def _short(error: object) -> str:
    """Return the text of an error of urllib3 without the object that it starts with."""
    text = str(error)
    return text.partition(": ")[2] or text


def _query(given: Mapping[str, Any] | None) -> str:
    named = {name: _word(value) for name, value in (given or {}).items() if value is not None}
    return f"?{urlencode(named)}" if named else ""


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
