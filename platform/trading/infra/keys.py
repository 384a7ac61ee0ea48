"""API keys: made, listed, revoked, and who is asking. Only a keyed hash of a secret is stored."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from asyncpg import Record

from trading.core.orders import AccountId
from trading.infra.database import Pool
from trading.infra.identity import Identity, Role
from trading.infra.remembered import FRESH_S, STALE_S, Remembered

MAX_KEY_LENGTH: Final = 128
_KEY_ALPHABET: Final = string.ascii_uppercase + string.digits
_SECRET_ALPHABET: Final = string.ascii_letters + string.digits
_LOOKUP_DEADLINE_S: Final = 1.0
_LOOKUP: Final = "SELECT account_id, role, secret_hash FROM api_keys WHERE key_id = $1 AND revoked_at IS NULL"
_CREATE: Final = "INSERT INTO api_keys (key_id, account_id, secret_hash, role, name) VALUES ($1, $2, $3, $4, $5)"
_SHOWN: Final = "key_id, account_id, role, name, created_at, revoked_at"
_LIST: Final = f"SELECT {_SHOWN} FROM api_keys WHERE $1::bigint IS NULL OR account_id = $1 ORDER BY created_at, key_id"
_GET: Final = f"SELECT {_SHOWN} FROM api_keys WHERE key_id = $1"
_REVOKE: Final = f"""
UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE key_id = $1 RETURNING {_SHOWN}
"""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What may be shown of a key."""

    key_id: str
    account_id: AccountId | None
    role: Role
    name: str
    created_at: datetime
    revoked_at: datetime | None


def secret_hash(pepper: str, secret: str) -> bytes:
    return hmac.digest(pepper.encode(), secret.encode(), hashlib.sha256)


async def create_key(pool: Pool, pepper: str, account_id: AccountId | None, role: Role, name: str) -> tuple[str, str]:
    """A new key's id (20 characters) and secret (40), which is shown this once. Raises DatabaseError.

    A trader's, market maker's or analyst's key needs an account, an officer's must have none.
    """
    key_id, secret = "PK" + _draw(_KEY_ALPHABET, 18), _draw(_SECRET_ALPHABET, 40)
    await pool.fetch(_CREATE, key_id, account_id, secret_hash(pepper, secret), role, name)
    return key_id, secret


async def list_keys(pool: Pool, account_id: AccountId | None = None) -> list[ApiKey]:
    """An account's keys, or all; the revoked too, oldest first."""
    return [_shown(row) for row in await pool.fetch(_LIST, account_id)]


async def get_key(pool: Pool, key_id: str) -> ApiKey | None:
    rows = await pool.fetch(_GET, key_id)
    return _shown(rows[0]) if rows else None


async def revoke_key(pool: Pool, key_id: str) -> ApiKey | None:
    """The revoked key, None if there is no such; refused everywhere from a second later. Again changes nothing."""
    rows = await pool.fetch(_REVOKE, key_id)
    return _shown(rows[0]) if rows else None


@dataclass(frozen=True, slots=True)
class _Entry:
    identity: Identity
    secret_hash: bytes


class KeyRing:
    """Tells whose a key is. A revoked key is refused FRESH_S (1 s) after the revocation was answered.

    Where the database does not answer meanwhile, keys that were valid are accepted until STALE_S (5 s) after they were
    last looked up, and then nobody is (DatabaseError, 503). Nothing can be revoked in a database that is away, so this
    grace helps a revoked key only in a process that is cut off while others are not; in return a failover of the
    database delays orders instead of refusing them.
    """

    def __init__(self, pool: Pool, pepper: str, *, fresh_s: float = FRESH_S, stale_s: float = STALE_S) -> None:
        """``pool`` should be the ring's own: waiting behind other queries would keep callers out."""
        self._pool = pool
        self._pepper = pepper
        self._entries = Remembered(self._read, fresh_s=fresh_s, stale_s=stale_s)
        self._nobodys_hash = secrets.token_bytes(32)

    async def identify(self, key_id: str, secret: str) -> Identity | None:
        """Whom a valid pair stands for, None for any other. Raises DatabaseError when it cannot be told.

        An unknown id takes the same way as a wrong secret: one look, one hash, one comparison.
        """
        if not _may_be_text(key_id) or not _may_be_text(secret):
            return None  # no pair we gave out, and not every string is text to PostgreSQL
        entry = await self._entries.get(key_id)
        expected = entry.secret_hash if entry else self._nobodys_hash
        matches = hmac.compare_digest(expected, secret_hash(self._pepper, secret))
        return entry.identity if entry and matches else None

    async def identity_of(self, key_id: str) -> Identity | None:
        """None once the key is revoked: for connections that proved the secret when they began. Raises likewise."""
        entry = await self._entries.get(key_id)
        return entry.identity if entry else None

    async def _read(self, key_id: str) -> _Entry | None:
        rows = await self._pool.fetch(_LOOKUP, key_id, deadline_s=_LOOKUP_DEADLINE_S)
        if not rows:
            return None
        row = rows[0]
        return _Entry(Identity(f"key {key_id}", Role(row["role"]), row["account_id"]), row["secret_hash"])


def _may_be_text(text: str) -> bool:
    return len(text) <= MAX_KEY_LENGTH and text.isascii() and text.isprintable()


def _draw(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


def _shown(row: Record) -> ApiKey:
    return ApiKey(**{**row, "role": Role(row["role"])})
