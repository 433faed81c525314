"""Doing something at most once: the header Idempotency-Key.

The answer is kept beside the key, in the transaction that does it, and given again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pyramid.renderers import render
from pyramid.response import Response

from ovcadmin.api.contract import Call
from ovcadmin.services import idempotency
from ovcadmin.work import Work

KEPT_HEADERS = ("Location", "ETag")


@dataclass(frozen=True)
class Secret:
    """A field of an answer that is kept nowhere; who asks again gets a new one in its place."""

    field: str
    renew: Callable[[Any, Any, dict[str, Any]], str]
    """Gets context, request and the rest of the answer."""


def once(
    context: Any, request: Any, call: Call, make: Callable[[], Any], secret: Secret | None
) -> Any:
    """Make what is asked for, or answer as when it was made by the same key."""
    key = request.headers.get("Idempotency-Key")
    if key is None or not call.once or _only_looks(request):
        return make()
    with _work(request, call) as work:
        claim = idempotency.claim(work, key, fingerprint=_fingerprint(request))
        told = claim.told
        if told is None and not call.apart:
            return _keep(request, claim, make(), secret)
    if told is not None:
        return _again(context, request, told, secret)
    answer = make()
    with _work(request, call) as work:
        claim = idempotency.claim(work, key, fingerprint=_fingerprint(request))
        return _keep(request, claim, answer, secret)


@contextmanager
def _work(request: Any, call: Call) -> Iterator[Work]:
    """Give the setting that the key is written down in: with what is made, where that can be."""
    if not call.apart:
        yield request.work
        return
    with request.work_apart(write=True) as work:
        yield work


def _only_looks(request: Any) -> bool:
    body = request.openapi_validated.body
    return isinstance(body, Mapping) and bool(body.get("dry_run"))


def _fingerprint(request: Any) -> str:
    told = b"\0".join((request.method.encode(), request.path.encode(), request.body))
    return hashlib.sha256(told).hexdigest()


def _keep(request: Any, claim: idempotency.Claim, answer: Any, secret: Secret | None) -> Any:
    bare = isinstance(answer, Response)
    response = answer if bare else request.response
    body: Any = None if bare else json.loads(render("json", answer, request=request))
    if secret is not None:
        del body[secret.field]
    claim.keep(
        {
            "status": response.status_int,
            "headers": {
                name: response.headers[name] for name in KEPT_HEADERS if name in response.headers
            },
            "body": body,
        }
    )
    return answer


def _again(context: Any, request: Any, told: dict[str, Any], secret: Secret | None) -> Any:
    if told["body"] is None:
        return Response(status=told["status"])
    request.response.status_int = told["status"]
    request.response.headers.update(told["headers"])
    body = dict(told["body"])
    if secret is not None:
        body[secret.field] = secret.renew(context, request, body)
    return body
