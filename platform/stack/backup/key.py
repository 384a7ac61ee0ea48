"""The key that backups are sealed with: from the environment or a private file now, from Vault later."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from stack.backup.errors import WrongKeyError

VARIABLE: Final = "ELSON_BACKUP_KEY"
_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Key:
    """256 secret bits. ``key_id`` (16 hex digits) may be shown: it tells keys apart and nothing about them."""

    secret: bytes = field(repr=False)

    @property
    def key_id(self) -> str:
        return hmac.new(self.secret, b"elson backup key id", hashlib.sha256).hexdigest()[:16]

    @classmethod
    def from_text(cls, text: str, source: str) -> Key:
        """``text``: 64 hex digits. Raises WrongKeyError, which never shows them."""
        try:
            secret = bytes.fromhex(text.strip())
        except ValueError:
            secret = b""
        if len(secret) != _BYTES:
            raise WrongKeyError(f"{source} holds no key: expected {2 * _BYTES} hex digits")
        return cls(secret)

    @classmethod
    def read(cls, path: Path) -> Key:
        """Raises WrongKeyError when it is not there, not a key, or open to other users."""
        try:
            with path.open() as file:
                mode = os.fstat(file.fileno()).st_mode
                text = file.read()
        except (OSError, ValueError) as error:
            raise WrongKeyError(f"{path}: no key can be read: {getattr(error, 'strerror', None) or error}") from error
        if mode & 0o077:
            raise WrongKeyError(f"{path} is open to other users: chmod 600 it, and think about a new key")
        return cls.from_text(text, str(path))

    @classmethod
    def create(cls, path: Path) -> Key:
        """A new one in a file of mode 600. Raises FileExistsError when there is a file already."""
        key = cls(secrets.token_bytes(_BYTES))
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(key.secret.hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        return key

    @classmethod
    def find(cls, path: Path | None, environment: Mapping[str, str]) -> Key:
        """From ``path``, else from ELSON_BACKUP_KEY. Raises WrongKeyError."""
        if path is not None:
            return cls.read(path)
        if text := environment.get(VARIABLE):
            return cls.from_text(text, VARIABLE)
        raise WrongKeyError(f"no key: name a key file, or put the key into {VARIABLE}")
