"""API keys: who is asking. Only a keyed hash of a secret is stored; a change counts everywhere within a second."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from dataclasses import dataclass

from asyncpg import Record

from trading.core.orders import AccountId
from trading.infra.database import Pool
from trading.infra.identity import Identity, Role

REFRESH_S = 1.0
MAX_KEY_LENGTH = 128
_UNKNOWN_KEYS_KEPT = 10_000
_LOOKUP = "SELECT account_id, role, secret_hash FROM api_keys WHERE key_id = $1 AND revoked_at IS NULL"


def secret_hash(pepper: str, secret: str) -> bytes:
    return hmac.digest(pepper.encode(), secret.encode(), hashlib.sha256)


@dataclass(frozen=True, slots=True)
class _Entry:
    read_at_s: float
    identity: Identity | None
    secret_hash: bytes


class KeyRing:
    """Looks keys up in the database, remembering each answer for ``refresh_s`` seconds."""

    def __init__(self, pool: Pool, pepper: str, *, refresh_s: float = REFRESH_S) -> None:
        self._refresh_s = refresh_s
        self._pool = pool
        self._pepper = pepper
        self._entries: dict[str, _Entry] = {}
        self._reading: dict[str, asyncio.Task[_Entry]] = {}

    async def account_of(self, key_id: str, secret: str) -> AccountId | None:
        """The account a valid pair is bound to, if any."""
        identity = await self.identify(key_id, secret)
        return identity.account_id if identity else None

    async def identify(self, key_id: str, secret: str) -> Identity | None:
        """Whom a valid pair stands for, None for any other. Raises DatabaseError when it cannot be told."""
        if not (key_id.isascii() and key_id.isprintable() and secret.isascii()):
            return None  # no pair we gave out, and not every string is text to PostgreSQL
        if len(key_id) > MAX_KEY_LENGTH or len(secret) > MAX_KEY_LENGTH:
            return None
        now_s = time.monotonic()
        entry = self._entries.get(key_id)
        if entry is None or now_s - entry.read_at_s > self._refresh_s:
            entry = await self._read_once(key_id, now_s)
        matches = hmac.compare_digest(entry.secret_hash, secret_hash(self._pepper, secret))
        return entry.identity if matches else None

    async def _read_once(self, key_id: str, now_s: float) -> _Entry:
        """Who asks for a key meanwhile shares one lookup: a slow database must not be asked the more for it."""
        reading = self._reading.get(key_id)
        if reading is None:
            reading = self._reading[key_id] = asyncio.create_task(self._read(key_id, now_s))
            reading.add_done_callback(lambda task: self._read_done(key_id, task))
        return await asyncio.shield(reading)

    def _read_done(self, key_id: str, task: asyncio.Task[_Entry]) -> None:
        del self._reading[key_id]
        if not task.cancelled():
            task.exception()  # retrieved: those who wait get it, and there may be none left

    async def _read(self, key_id: str, now_s: float) -> _Entry:
        rows = await self._pool.fetch(_LOOKUP, key_id)
        entry = _entry(key_id, rows[0], now_s) if rows else _Entry(now_s, None, b"")
        if len(self._entries) >= _UNKNOWN_KEYS_KEPT:
            self._entries.clear()
        self._entries[key_id] = entry
        return entry


def _entry(key_id: str, row: Record, now_s: float) -> _Entry:
    return _Entry(now_s, Identity(f"key {key_id}", Role(row["role"]), row["account_id"]), row["secret_hash"])
