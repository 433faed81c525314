"""What helps when a host cannot reach a storage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ovcadmin.drivers.hints import with_hint
from ovcadmin.errors import StorageFailed

_HINTS = (
    ("authentication failure", ("The target does not take this CHAP user and password, or wants "
     "some where none were given.")),
    ("authorization failure", "The target does not let this initiator in: allow it there."),
    ("can not resolv", "The host cannot find out the server's address: check its name."),
    ("can not reconnect", "No iSCSI server answers at that address and port."),
    ("connection refused", "No server answers at that address and port."),
    ("no route to host", "The host has no way to that address."),
    ("timed out", "The server does not answer: a firewall may stand between."),
    ("unknown filesystem type 'nfs'", ("Install the NFS client on the host (Debian: nfs-common); "
     "its kernel must know NFS.")),
    ("access denied by server", "The server does not let this host mount the export."),
    ("cannot execute binary", "Install that program on the host and try again."),
)  # fmt: skip
"""Part of the words of libvirt, libiscsi or mount, and what helps."""


@contextmanager
def explained() -> Iterator[None]:
    """Add to a storage's refusal what helps, where that is known."""
    try:
        yield
    except StorageFailed as error:
        raise type(error)(with_hint(error.text, _HINTS), **error.context) from error
