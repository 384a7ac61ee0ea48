"""Passwords: argon2id in a thread of its own, with a bounded queue, so that log-ins cannot take the processors away."""

from __future__ import annotations

import asyncio
import base64
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

T = TypeVar("T")

MIN_LENGTH: Final = 12
MAX_LENGTH: Final = 128
_hasher: Final = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)  # RFC 9106, section 4, second choice: 64 MiB


class PasswordsBusyError(Exception):
    """Too many passwords wait to be hashed; nothing was decided about this one."""


def hash_password(password: str) -> str:
    """Takes about 100 ms of this thread, and says how it was made: ``$argon2id$v=19$m=65536,t=3,p=4$..``."""
    return _hasher.hash(_normal(password))


def nobodys_hash() -> str:
    """No password's hash; to find that out takes as long as for anybody's."""
    salt, digest = (base64.b64encode(secrets.token_bytes(n)).decode().rstrip("=") for n in (16, 32))
    terms = RFC_9106_LOW_MEMORY
    return f"$argon2id$v=19$m={terms.memory_cost},t={terms.time_cost},p={terms.parallelism}${salt}${digest}"


class Passwords:
    """One at a time, and few waiting for it: each takes 64 MiB, and for 100 ms all processors it can get."""

    def __init__(self, *, queue_capacity: int = 16) -> None:
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="passwords")
        self.under_way, self._queue_capacity = 0, queue_capacity  # being hashed or waiting for it
        self._nobodys = nobodys_hash()

    async def hash(self, password: str) -> str:
        """Raises PasswordsBusyError."""
        return await self._run(lambda: hash_password(password))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether it is the one; with no hash to compare with it takes the same time. Raises PasswordsBusyError."""
        matches = await self._run(lambda: _matches(password_hash or self._nobodys, password))
        return matches and password_hash is not None

    def outdated(self, password_hash: str) -> bool:
        """Whether it was made with other terms than today's."""
        return _hasher.check_needs_rehash(password_hash)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        if self.under_way >= self._queue_capacity:
            raise PasswordsBusyError("too many passwords are being checked")
        self.under_way += 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        future.add_done_callback(lambda _: self._done())  # not when the caller gives up: the thread works on
        return await asyncio.shield(future)

    def _done(self) -> None:
        self.under_way -= 1


def _matches(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, _normal(password))
    except (VerificationError, InvalidHashError):
        return False


def _normal(password: str) -> str:
    """One spelling for what looks the same (NIST SP 800-63B, 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)
