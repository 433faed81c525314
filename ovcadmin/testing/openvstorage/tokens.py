"""OAuth2 client credentials, and the limit of five calls a minute."""

from __future__ import annotations

import base64
import binascii
import secrets
import string
import threading
import time
from dataclasses import dataclass

from ovcadmin.testing.openvstorage.answers import Fault
from ovcadmin.testing.openvstorage.faults import Faults
from ovcadmin.testing.openvstorage.plan import Plan

ALPHABET = string.ascii_letters + string.digits + "|_=+*#@!/-[]{}<>.?,;:~"
CALLS = 5
WINDOW = 60.0


@dataclass
class Token:
    ends: float
    roles: tuple[str, ...]


class Tokens:
    def __init__(self, plan: Plan, faults: Faults) -> None:
        self._plan = plan
        self._faults = faults
        self._tokens: dict[str, Token] = {}
        self._calls: dict[str, list[float]] = {}
        self._blocked: dict[str, float] = {}
        self._lock = threading.Lock()
        self.given = 0
        """Tokens given out: what a client that shares its token keeps low."""

    def give(self, address: str, authorization: str, form: dict[str, str]) -> dict[str, object]:
        self._limit(address)
        if "grant_type" not in form:
            raise Fault(400, "invalid_request", "No grant type specified")
        if form["grant_type"] != "client_credentials":
            raise Fault(400, "unsupported_grant_type", "Unsupported grant type")
        if not authorization.startswith("Basic "):
            raise Fault(400, "missing_header", "Authorization header missing")
        self._check_client(authorization.removeprefix("Basic "))
        roles = self._scope(form.get("scope", ""))
        key = "".join(secrets.choice(ALPHABET) for _ in range(64))
        self._tokens[key] = Token(time.time() + self._plan.token_seconds, roles)
        self.given += 1
        return {
            "access_token": key, "token_type": "bearer", "expires_in": self._plan.token_seconds,
        }  # fmt: skip

    def roles(self, authorization: str | None) -> tuple[str, ...]:
        """Return the roles of whoever calls; raises the real refusals."""
        if authorization is None:
            raise Fault(403, detail="Authentication credentials were not provided.")
        word, _, key = authorization.partition(" ")
        if word != "Bearer":
            raise Fault(401, "invalid_authorization_type", "Invalid authorization type")
        if self._faults.forget_tokens:
            self._tokens.clear()
        token = self._tokens.get(key)
        if token is None:
            raise Fault(401, "invalid_token", "Invalid token")
        if token.ends < time.time():
            del self._tokens[key]
            raise Fault(401, "token_expired", "Token expired")
        return token.roles

    def expire(self) -> None:
        """Let every token be over."""
        for token in self._tokens.values():
            token.ends = 0

    def _check_client(self, encoded: str) -> None:
        try:
            client, _, secret = base64.b64decode(encoded).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise Fault(400, "invalid_client", "Invalid client") from None
        if client != self._plan.client_id:
            raise Fault(400, "invalid_client", "Client could not be found")
        if secret != self._plan.client_secret:
            raise Fault(400, "invalid_client", "Invalid client")

    def _scope(self, scope: str) -> tuple[str, ...]:
        wanted = [role for role in scope.split() if role in ("read", "write", "manage")]
        if not set(wanted) <= set(self._plan.roles):
            raise Fault(400, "invalid_scope", "Invalid scope requested")
        return tuple(wanted) or self._plan.roles

    def _limit(self, address: str) -> None:
        now = time.monotonic()
        with self._lock:
            left = self._blocked.get(address, 0) - now
            if left > 0:
                text = f"Rate limit timeout ({left:.1f}s remaining)"
                raise Fault(429, "rate_limit_timeout", text)
            recent = [call for call in self._calls.get(address, []) if call > now - WINDOW]
            self._calls[address] = [*recent, now]
            if len(recent) >= CALLS:
                self._blocked[address] = now + WINDOW
                text = f"Rate limit reached ({len(recent) + 1} in last 60s)"
                raise Fault(429, "rate_limit_reached", text)
