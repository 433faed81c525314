"""The API as verbs: calls with the shared token, tasks followed to their end, whole lists.

Every change answers a task; whether it worked is only in the task's `status`.  A task that is not
known any more reads PENDING for ever, so each has a deadline of our own.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, urlencode

from ovcadmin import green
from ovcadmin.drivers.storage.openvstorage.routers import SERVER_ERROR, Answer, Routers
from ovcadmin.drivers.storage.openvstorage.settings import ClusterSettings
from ovcadmin.drivers.storage.openvstorage.tokens import TokenFile
from ovcadmin.errors import (
    StorageFailed,
    StorageFull,
    StorageInUse,
    StorageRefused,
    StorageTaskLost,
    StorageUnreachable,
)

ACCEPT = "application/json; version=6"
"""The one version that both release lines know."""
PAGE = 100
"""One of the four sizes that the older line takes."""
UNAUTHORISED = 401
FORBIDDEN = 403
NOT_FOUND = 404
TOO_MANY = 429
ENDED = ("SUCCESS", "FAILURE")
FULL = ("no space", "out of space", "not enough space", "enospc")
IN_USE = ("has clones", "cloned from it", "still has children")

Item = dict[str, Any]


class Client:
    """One cluster.  Raises `StorageFailed` and its kinds, with the cluster's own text kept."""

    def __init__(self, settings: ClusterSettings, token_file: Path) -> None:
        self.name = settings.name
        self.patience = settings.patience
        self.threads = green.HostThreads(settings.name, size=2, ceiling=4)
        """For reading whole volumes on the mount point, which may hang."""
        self._settings = settings
        self._routers = Routers(settings)
        self._tokens = TokenFile(token_file, settings.name)

    def close(self) -> None:
        self._routers.close()

    # calls

    def root(self) -> Item:
        """What the cluster says of itself and of us."""
        found: Item = self.get("")
        return found

    def get(self, path: str, **query: str) -> Any:
        return self._good(self._call("GET", path, query=query)).body

    def find(self, path: str, **query: str) -> Item | None:
        """Return an object, or None when there is none of this guid."""
        answer = self._call("GET", path, query=query)
        if answer.status == NOT_FOUND:
            return None
        found: Item = self._good(answer).body
        return found

    def post(self, path: str, body: Mapping[str, Any] | None = None, *, once: bool = False) -> str:
        """Ask for a change; return the id of its task.

        With `once` a call whose answer is lost is not sent again: `StorageUnreachable` then says
        `unsure` in its context.
        """
        answer = self._call("POST", path, body=json.dumps(body or {}), once=once)
        return str(self._good(answer).body)

    def every(self, path: str, **query: str) -> list[Item]:
        """Return a whole list, page by page.

        One name that is not ASCII makes every sorted list fail there: then all at once, unsorted.
        """
        found: list[Item] = []
        query = {"contents": "", **query}
        page = 1
        while True:
            paging = {"sort": "name", "page": str(page), "page_size": str(PAGE)}
            answer = self._call("GET", path, query={**query, **paging})
            if answer.status == SERVER_ERROR:
                whole: list[Item] = self.get(path, **query)["data"]
                return whole
            body = self._good(answer).body
            found += body["data"]
            if page >= body["_paging"]["max_page"]:
                return found
            page += 1

    # tasks

    def finish(self, task: str, seconds: float, enough: Callable[[], bool] = lambda: False) -> Any:
        """Wait for a task and return its result; None when `enough` says so, whatever it does.

        Raises `StorageTaskLost` after `seconds`, and what its text says when it failed.
        """
        begun = time.monotonic()
        pause = self.patience.first_look
        while True:
            told = self._task(task, begun + seconds)
            if told["status"] == "SUCCESS":
                return told["result"]
            if told["status"] == "FAILURE":
                raise self._failure(str(told["result"]), task=task)
            waited = time.monotonic() - begun
            # What nobody has begun for so long is lost, or the cluster's workers are down.
            limit = min(seconds, self.patience.task) if told["status"] == "PENDING" else seconds
            if waited + pause > limit:
                raise StorageTaskLost(
                    f"Task {task} of storage cluster {self.name} is still {told['status']} after "
                    f"{limit:g} seconds.",
                    task=task,
                    status=told["status"],
                )
            if enough():
                return None
            green.sleep(pause)
            pause = min(pause * 1.5, self.patience.last_look)

    def _task(self, task: str, until: float) -> Item:
        """Read a task; that nobody answers well for a moment does not end it."""
        while True:
            try:
                found: Item = self.get(f"tasks/{quote(task, safe='')}/")
            except StorageFailed as error:
                passing = isinstance(error, StorageUnreachable) or (
                    error.context.get("status") == SERVER_ERROR
                )
                if not passing or time.monotonic() + self.patience.last_look > until:
                    raise
                green.sleep(self.patience.last_look)
            else:
                return found

    # how

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: str | None = None,
        once: bool = False,
    ) -> Answer:
        address = f"/api/{path}" + (f"?{urlencode(query)}" if query else "")
        token = self._tokens.get(self._fetch_token)
        answer = self._send(method, address, token, body, once=once)
        if answer.status == UNAUTHORISED:
            token = self._tokens.get(self._fetch_token, unlike=token)
            answer = self._send(method, address, token, body, once=once)
        return answer

    def _send(
        self, method: str, address: str, token: str, body: str | None, *, once: bool
    ) -> Answer:
        headers = {"Accept": ACCEPT, "Authorization": f"Bearer {token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        return self._routers.call(method, address, headers, body, once=once)

    def _fetch_token(self) -> tuple[str, float]:
        pair = f"{self._settings.client_id}:{self._settings.client_secret}"
        headers = {
            "Authorization": "Basic " + base64.b64encode(pair.encode()).decode(),
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        form = urlencode({"grant_type": "client_credentials", "scope": "read write manage"})
        answer = self._routers.call("POST", "/api/oauth2/token/", headers, form)
        if answer.status != 200 or not isinstance(answer.body, dict):
            self._refuse_token(answer)
        return str(answer.body["access_token"]), float(answer.body.get("expires_in", 300))

    def _refuse_token(self, answer: Answer) -> NoReturn:
        text = _text(answer)
        kind = StorageUnreachable if answer.status >= SERVER_ERROR else StorageRefused
        raise kind(
            f"Storage cluster {self.name} gave no access token: {text}.",
            status=answer.status,
            original=text,
        )

    def _good(self, answer: Answer) -> Answer:
        if answer.good:
            return answer
        text = _text(answer)
        if answer.status in (UNAUTHORISED, FORBIDDEN, TOO_MANY):
            raise StorageRefused(
                f"Storage cluster {self.name} refused: {text}.",
                status=answer.status,
                original=text,
            )
        raise self._failure(text, status=answer.status)

    def _failure(self, text: str, **context: Any) -> StorageFailed:
        lower = text.lower()
        kind: type[StorageFailed] = StorageFailed
        if any(words in lower for words in IN_USE):
            kind = StorageInUse
        elif any(words in lower for words in FULL):
            kind = StorageFull
        told = text.strip(" .") or "it gives no reason"
        return kind(f"Storage cluster {self.name}: {told}.", original=text, **context)


def _text(answer: Answer) -> str:
    """Return what an error answer says, in whichever of its shapes."""
    if isinstance(answer.body, dict):
        told = answer.body.get("error_description") or answer.body.get("detail")
        return str(told or answer.body.get("error") or f"it answers {answer.status}")
    return f"it answers {answer.status}"
