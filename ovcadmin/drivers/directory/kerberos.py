"""Kerberos single sign-on: the console's side of SPNEGO."""

from __future__ import annotations

import time
from dataclasses import dataclass

import gssapi
from gssapi.raw.misc import GSSError

from ovcadmin.drivers.directory.base import Finding
from ovcadmin.drivers.directory.settings import KerberosSettings
from ovcadmin.errors import DirectoryRefused, KerberosRefused

LONGEST_TOKEN = 64 * 1024
"""Bytes.  Tickets of people in very many groups come near it."""
_NTLM = b"NTLMSSP\x00"


@dataclass(frozen=True, kw_only=True)
class Accepted:
    principal: str
    """`name@REALM`, of the realm in the settings."""
    reply: bytes
    """Proves the console to the browser; belongs into `WWW-Authenticate: Negotiate …`."""


class Spnego:
    """Takes the token of `Authorization: Negotiate …`.  Nothing is asked of the network."""

    def __init__(self, settings: KerberosSettings) -> None:
        self._settings = settings

    def accept(self, token: bytes) -> Accepted:
        """Return whose ticket it is.

        Raises `KerberosRefused` for a token that signs nobody in, `DirectoryRefused` when the
        keytab is of no use.
        """
        if not 0 < len(token) <= LONGEST_TOKEN:
            raise _refused("The browser sent no usable Kerberos token.")
        if _NTLM in token[:512]:
            raise _refused("The browser offered NTLM instead of a Kerberos ticket.")
        context = gssapi.SecurityContext(creds=self._credentials(), usage="accept")
        try:
            reply = context.step(token)
            # An error that comes with a token for the browser is raised from here on only.
            complete = context.complete
            principal = str(context.initiator_name) if complete else ""
        except GSSError as error:
            raise _refused(f"The Kerberos ticket was refused: {_reason(error)}.") from None
        if not complete:
            # Browsers send the ticket first; a second round would need the same connection.
            raise _refused("The browser did not send a Kerberos ticket at once.")
        return Accepted(principal=self._person(principal), reply=reply or b"")

    def check(self) -> Finding:
        """Try the keytab; never raises."""
        started = time.monotonic()
        try:
            self._credentials()
            text, good = f"The keytab has a key of {self._settings.principal}.", True
        except DirectoryRefused as error:
            text, good = error.text, False
        seconds = time.monotonic() - started
        return Finding(server="", step="single sign-on", good=good, text=text, seconds=seconds)

    def _credentials(self) -> gssapi.Credentials:
        """Read the keytab; each time, so that a new one counts at once."""
        name = gssapi.Name(self._settings.principal, gssapi.NameType.kerberos_principal)
        keytab = self._settings.keytab
        try:
            return gssapi.Credentials(name=name, usage="accept", store={"keytab": str(keytab)})
        except GSSError as error:
            raise DirectoryRefused(
                f"The keytab {keytab} has no usable key of {self._settings.principal}: "
                f"{_reason(error)}.",
                keytab=str(keytab),
                principal=self._settings.principal,
            ) from None

    def _person(self, principal: str) -> str:
        name, _, realm = principal.rpartition("@")
        if realm != self._settings.realm:
            raise _refused(f"Tickets of the Kerberos realm {realm} do not sign in here.")
        if not name or "/" in name or "@" in name:
            raise _refused(f"{principal} is a service or a computer, not a person.")
        return principal


def _refused(text: str) -> KerberosRefused:
    return KerberosRefused(f"{text} Sign in with name and password.")


def _reason(error: GSSError) -> str:
    """Return the mechanism's own words, which say more than the general ones."""
    texts = error.get_all_statuses(error.min_code, is_maj=False)
    texts += error.get_all_statuses(error.maj_code, is_maj=True)
    told = [str(text).rstrip(".") for text in texts if text != "Unknown error"]
    return told[0] if told else "no reason given"
