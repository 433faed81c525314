"""One connection to one server: bound as somebody, searched, closed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import ldap3
from ldap3.core import results as code
from ldap3.core.exceptions import (
    LDAPAttributeError,
    LDAPException,
    LDAPInvalidDnError,
    LDAPInvalidFilterError,
    LDAPObjectClassError,
)

from ovcadmin.drivers.directory import results
from ovcadmin.drivers.directory.network import BROKEN, Deadlined, dial, hang_up, unreachable
from ovcadmin.drivers.directory.results import Result
from ovcadmin.drivers.directory.settings import Address, DirectorySettings
from ovcadmin.errors import DirectoryRefused, DomainError

PAGED_RESULTS = "1.2.840.113556.1.4.319"
Entry = Mapping[str, Any]
"""ldap3's form of an entry: `dn`, and `raw_attributes` by name without regard to case."""
Changes = Mapping[str, Sequence[tuple[str, Sequence[str | bytes]]]]

_OURS = (LDAPAttributeError, LDAPInvalidDnError, LDAPInvalidFilterError, LDAPObjectClassError)
"""What ldap3 raises before it sends anything: a filter or name in the settings is wrong."""


class LdapConnection:
    """Opens in the constructor; every method may raise `DirectoryUnreachable`."""

    def __init__(
        self, settings: DirectorySettings, address: Address, *, service: bool = False
    ) -> None:
        """Connect; with `service` also become the service account."""
        self._settings = settings
        self.address = address
        self._ldap = dial(settings, address)
        if service:
            try:
                self.bind_service()
            except DomainError:
                self.close()
                raise

    @property
    def server(self) -> str:
        return str(self.address)

    def close(self) -> None:
        hang_up(self._ldap)

    # --- who we are ---
    def bind_service(self) -> None:
        """Become the service account, or anonymous; raises `DirectoryRefused`."""
        result = self.bind(self._settings.bind_dn, self._settings.bind_password)
        results.must_be_good(result, self.server, "signing in the service account")

    def bind(self, dn: str, password: str) -> Result:
        """Become `dn`, anonymous when both are blank; the answer may be a no."""
        if bool(dn) != bool(password):
            # Name without password: many directories say yes to it, as to an anonymous.
            raise AssertionError("a bind needs both name and password, or neither")
        self._ldap.user = dn
        self._ldap.password = password.encode()  # as typed: nobody else normalises it either
        self._ldap.authentication = ldap3.SIMPLE if dn else ldap3.ANONYMOUS
        return self._ask(self._ldap.bind, read_server_info=False, controls=[results.POLICY_REQUEST])

    def own_sids(self) -> Sequence[bytes]:
        """Return the security ids of whom we bound as: one of a person, the others of groups.

        Of Active Directory.  It has no other way to tell that Samba's domains have too.
        """
        found = self.read("", "(objectClass=*)", ["tokenGroups"])
        return found["raw_attributes"].get("tokenGroups") or () if found else ()

    # --- reading ---
    def find(
        self, base: str, query: str, attributes: Sequence[str], *, limit: int = 2
    ) -> list[Entry]:
        """Return up to `limit` entries below `base`."""
        result, entries = self._search(base, query, attributes, size_limit=limit)
        if not (results.is_(result, code.RESULT_SIZE_LIMIT_EXCEEDED) and entries):
            results.must_be_good(result, self.server, f"searching {base}")
        return entries[:limit]

    def read(self, dn: str, query: str, attributes: Sequence[str]) -> Entry | None:
        """Return one entry by its DN if it is there and matches."""
        result, entries = self._search(dn, query, attributes, search_scope=ldap3.BASE)
        if results.is_(result, code.RESULT_NO_SUCH_OBJECT):
            return None
        results.must_be_good(result, self.server, f"reading {dn}")
        return entries[0] if entries else None

    def pages(
        self, base: str, query: str, attributes: Sequence[str], *, seconds: float | None = None
    ) -> Iterator[Entry]:
        """Yield all entries below `base`; ends only after a complete answer, else raises.

        A page may take `seconds`, by default the `page_timeout` of the settings.
        """
        cookie: bytes | None = None
        while True:
            result, entries = self._search(
                base,
                query,
                attributes,
                seconds=seconds or self._settings.page_timeout,
                paged_size=self._settings.page_size,
                paged_cookie=cookie,
                paged_criticality=True,
            )
            # With a limit exceeded ldap3 still calls the search a success.
            results.must_be_good(result, self.server, f"listing {base}")
            for number, entry in enumerate(entries):
                if not number % 50:
                    time.sleep(0)  # as in Deadlined.recv
                yield entry
            control = (result.get("controls") or {}).get(PAGED_RESULTS)
            cookie = control["value"]["cookie"] if control else None
            if not cookie:
                return

    def _search(
        self,
        base: str,
        query: str,
        attributes: Sequence[str],
        *,
        seconds: float | None = None,
        **options: Any,
    ) -> tuple[Result, list[Entry]]:
        result = self._ask(
            self._ldap.search,
            base,
            query,
            attributes=list(attributes),
            dereference_aliases=ldap3.DEREF_NEVER,
            seconds=seconds,
            **options,
        )
        # References to other directories come among the entries and are left aside.
        return result, [e for e in self._ldap.response or () if e["type"] == "searchResEntry"]

    # --- writing ---
    def add(self, dn: str, attributes: Mapping[str, Sequence[str | bytes]]) -> Result:
        return self._ask(self._ldap.add, dn, attributes=dict(attributes))

    def modify(self, dn: str, changes: Changes) -> Result:
        return self._ask(self._ldap.modify, dn, dict(changes))

    def delete(self, dn: str) -> Result:
        return self._ask(self._ldap.delete, dn)

    def modify_password(self, dn: str, new: str, old: str | None = None) -> Result:
        """Ask for the password modify extended operation."""
        return self._ask(
            self._ldap.extend.standard.modify_password,
            dn,
            old_password=old.encode() if old else None,
            new_password=new.encode(),
            controls=[results.POLICY_REQUEST],
        )

    def _ask(
        self, verb: Callable[..., Any], *args: Any, seconds: float | None = None, **options: Any
    ) -> Result:
        timeout = self._settings.timeout
        if isinstance(self._ldap.socket, Deadlined):
            self._ldap.socket.allow(seconds or timeout)
        try:
            verb(*args, **options)
        except _OURS as error:
            raise DirectoryRefused(f"The settings of the directory do not fit: {error}.") from None
        except (LDAPException, *BROKEN) as error:
            raise unreachable(error, self.address, timeout) from None
        return dict(self._ldap.result)
