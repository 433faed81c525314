"""The two handshakes of RFB (RFC 6143): as a server towards viewers, as a client towards QEMU.

Viewers prove by VNC's challenge that they know a password that is good once; what its DES lacks in
strength the password lacks in life.  With a certificate the challenge runs inside TLS (VeNCrypt).
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Callable
from typing import Any, TypeVar

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import ECB

T = TypeVar("T")

VERSION = b"RFB 003.008\n"
NONE, VNC, VENCRYPT = 1, 2, 19
X509_VNC = 261
PASSWORD_LENGTH = 8
"""Characters: VNC knows no longer ones."""


class HandshakeFailed(Exception):
    """The other side speaks something else, or did not prove itself."""


def receive(sock: Any, size: int) -> bytes:
    """Read exactly `size` bytes; raises `HandshakeFailed` at the end."""
    got = bytearray()
    while len(got) < size:
        more = sock.recv(size - len(got))
        if not more:
            raise HandshakeFailed("the connection ended")
        got += more
    return bytes(got)


def welcome(
    sock: Any,
    find: Callable[[bytes, bytes], T | None],
    secure: Callable[[Any], Any] | None,
) -> tuple[T, Any]:
    """Be the server until the viewer has proved itself.

    `find(challenge, answer)` returns whom the answer proves.  `secure` makes TLS of a socket, None
    offers none.  Returns whom, and the socket to go on with.
    """
    sock.sendall(VERSION)
    if receive(sock, len(VERSION)) < b"RFB 003.007\n":
        raise HandshakeFailed("an old viewer")
    kind = VENCRYPT if secure is not None else VNC
    sock.sendall(bytes([1, kind]))
    if receive(sock, 1)[0] != kind:
        raise HandshakeFailed("another kind of security")
    if secure is not None:
        sock = secure(_agree_on_tls(sock))
    challenge = secrets.token_bytes(16)
    sock.sendall(challenge)
    found = find(challenge, receive(sock, 16))
    if found is None:
        why = b"The file is used or too old. Download it again."
        sock.sendall(struct.pack(">II", 1, len(why)) + why)
        raise HandshakeFailed("a wrong password")
    sock.sendall(struct.pack(">I", 0))
    return found, sock


def _agree_on_tls(sock: Any) -> Any:
    """VeNCrypt 0.2, and of its kinds the one with a certificate and a password."""
    sock.sendall(bytes([0, 2]))
    if receive(sock, 2) != bytes([0, 2]):
        raise HandshakeFailed("another VeNCrypt")
    sock.sendall(bytes([0, 1]) + struct.pack(">I", X509_VNC))
    if struct.unpack(">I", receive(sock, 4))[0] != X509_VNC:
        raise HandshakeFailed("another kind of TLS")
    sock.sendall(bytes([1]))
    return sock


def enter(sock: Any) -> None:
    """Be the client of QEMU, which trusts whoever libvirt sends."""
    receive(sock, len(VERSION))
    sock.sendall(VERSION)
    kinds = receive(sock, receive(sock, 1)[0])
    if NONE not in kinds:
        raise HandshakeFailed("QEMU asks for a password")
    sock.sendall(bytes([NONE]))
    if receive(sock, 4) != bytes(4):
        raise HandshakeFailed("QEMU refuses")


def answer(password: str, challenge: bytes) -> bytes:
    """Return what a viewer with this password answers: DES, each byte of the key reversed."""
    key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in password.encode().ljust(8, b"\0")[:8])
    encryptor = Cipher(TripleDES(key * 3), ECB()).encryptor()  # noqa: S305 - VNC knows no other
    return encryptor.update(challenge) + encryptor.finalize()


# --- pictures, for whoever records them ----------------------------------------------------------

GREETING = VERSION + bytes([1, NONE]) + bytes(4)
"""What a server says to one whom it trusts, before it tells of its screen."""
RAW, TIGHT_PNG, DESKTOP_SIZE = 0, -260, -223
UPDATE, COLOURS, BELL, CUT_TEXT = range(4)
_FILL, _JPEG, _PNG = 8, 9, 10
_PIXELS = struct.pack(">BBBBHHHBBBxxx", 32, 24, 0, 1, 255, 255, 255, 0, 8, 16)
"""As noVNC asks for them; it shows what is recorded."""
LARGEST_RECTANGLE = 64 * 1024 * 1024


def begin(sock: Any) -> bytes:
    """Share the screen, choose pixels and encodings; return what the server told of the screen.

    The pixels in it are those chosen, not those that it offered.
    """
    sock.sendall(b"\x01")
    told = receive(sock, 24)
    name = receive(sock, struct.unpack(">I", told[20:])[0])
    encodings = (TIGHT_PNG, RAW, DESKTOP_SIZE)
    sock.sendall(
        b"\x00\0\0\0" + _PIXELS
        + struct.pack(f">BxH{len(encodings)}i", 2, len(encodings), *encodings)
    )  # fmt: skip
    return told[:4] + _PIXELS + told[20:] + name


def ask(width: int, height: int, *, whole: bool) -> bytes:
    """Return the request for a picture: of the whole screen, or of what changed when it does."""
    return struct.pack(">BBHHHH", 3, not whole, 0, 0, width, height)


def next_message(sock: Any) -> tuple[bytes, tuple[int, int] | None]:
    """Read one whole message of the server; with it the new size of the screen, if it tells one."""
    kind = receive(sock, 1)
    if kind[0] == UPDATE:
        return _update(sock)
    if kind[0] == BELL:
        return kind, None
    if kind[0] == CUT_TEXT:
        head = receive(sock, 7)
        size = struct.unpack(">3xI", head)[0]
    elif kind[0] == COLOURS:
        head = receive(sock, 5)
        size = 6 * struct.unpack(">3xH", head)[0]
    else:
        raise HandshakeFailed(f"message {kind[0]}")
    return kind + head + receive(sock, size), None


def _update(sock: Any) -> tuple[bytes, tuple[int, int] | None]:
    head = receive(sock, 3)
    parts, resized = [b"\0", head], None
    for _ in range(struct.unpack(">xH", head)[0]):
        place = receive(sock, 12)
        _, _, width, height, encoding = struct.unpack(">HHHHi", place)
        parts.append(place)
        if encoding == DESKTOP_SIZE:
            resized = (width, height)
        elif encoding == TIGHT_PNG:
            parts.append(_tight(sock))
        elif encoding == RAW and 4 * width * height <= LARGEST_RECTANGLE:
            parts.append(receive(sock, 4 * width * height))
        else:
            raise HandshakeFailed(f"encoding {encoding}")
    return b"".join(parts), resized


def _tight(sock: Any) -> bytes:
    control = receive(sock, 1)
    if control[0] >> 4 == _FILL:
        return control + receive(sock, 3)
    if control[0] >> 4 not in (_JPEG, _PNG):
        raise HandshakeFailed("a rectangle with a memory of earlier ones")
    length, size = b"", 0
    for shift in (0, 7, 14):
        byte = receive(sock, 1)
        length += byte
        size |= (byte[0] & (0x7F if shift < 14 else 0xFF)) << shift
        if not byte[0] & 0x80:
            break
    return control + length + receive(sock, size)
