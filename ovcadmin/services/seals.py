"""Sealing of secrets that the database must hold: readable only with the console's own key.

The key is a file of its own, so that a copy of the database alone gives no secret away.
"""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from ovcadmin.config import Settings
from ovcadmin.errors import SettingInvalid
from ovcadmin.work import Work

PRIVATE_FILE = 0o600


def key_file(settings: Settings) -> Path:
    return settings.seal_key_file or settings.data_dir / "seal.key"


def ensure_key(settings: Settings) -> None:
    """Make the key unless it is there; an existing one is never replaced."""
    try:
        handle = os.open(key_file(settings), os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE_FILE)
    except FileExistsError:
        return
    with os.fdopen(handle, "wb") as file:
        file.write(Fernet.generate_key())


def seal(work: Work, secret: str) -> str:
    return _fernet(work).encrypt(secret.encode()).decode()


def unseal(work: Work, sealed: str) -> str:
    """Raises `SettingInvalid` when the key is not the one that sealed it."""
    try:
        return _fernet(work).decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise SettingInvalid(
            f"A secret in the database was sealed with another key than "
            f"{key_file(work.settings)}. Put the right key back, or enter the secret again.",
            file=str(key_file(work.settings)),
        ) from None


def _fernet(work: Work) -> Fernet:
    path = key_file(work.settings)
    try:
        return Fernet(path.read_bytes().strip())
    except (OSError, ValueError) as error:
        raise SettingInvalid(
            f"The key in {path} cannot be used: {error}.", file=str(path)
        ) from error
