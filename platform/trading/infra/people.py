"""People who log in with a password: their names, roles and accounts."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from asyncpg import Record

from trading.core.orders import AccountId
from trading.infra.database import Pool
from trading.infra.identity import Identity, Role

NAME_PATTERN: Final = "^[a-z][a-z0-9_.-]{0,63}$"
_SHOWN: Final = "name, role, account_id, generation, created_at"
_GET: Final = f"SELECT {_SHOWN} FROM people WHERE name = $1"
_LIST: Final = f"SELECT {_SHOWN} FROM people ORDER BY name"
_HASH: Final = "SELECT password_hash FROM people WHERE name = $1"
CREATE_PERSON: Final = f"""
INSERT INTO people (name, role, account_id, password_hash, generation) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (name) DO NOTHING RETURNING {_SHOWN}
"""
_CHANGE: Final = f"""
UPDATE people SET role = $2, account_id = $3, password_hash = coalesce($4, password_hash), generation = $5
WHERE name = $1 RETURNING {_SHOWN}
"""
_REHASH: Final = "UPDATE people SET password_hash = $3 WHERE name = $1 AND password_hash = $2"
_SET_PASSWORD: Final = f"UPDATE people SET password_hash = $2, generation = $3 WHERE name = $1 RETURNING {_SHOWN}"
_END_SESSIONS: Final = f"UPDATE people SET generation = $2 WHERE name = $1 RETURNING {_SHOWN}"
_DELETE: Final = f"DELETE FROM people WHERE name = $1 RETURNING {_SHOWN}"


@dataclass(frozen=True, slots=True)
class Person:
    """``generation`` is new after every change of what a session may rest on: sessions of an older one have ended."""

    name: str
    role: Role
    account_id: AccountId | None
    generation: str
    created_at: datetime

    @property
    def identity(self) -> Identity:
        return Identity(f"person {self.name}", self.role, self.account_id)


async def create_person(
    pool: Pool, name: str, role: Role, account_id: AccountId | None, *, password_hash: str
) -> Person | None:
    """None if the name is taken. Officers have no account, all others need one. Raises DatabaseError."""
    return _first(await pool.fetch(CREATE_PERSON, name, role, account_id, password_hash, new_generation()))


async def change_person(
    pool: Pool, name: str, role: Role, account_id: AccountId | None, *, password_hash: str | None = None
) -> Person | None:
    """None if there is no such person. Within a second no session from before counts. No hash: the password stays."""
    return _first(await pool.fetch(_CHANGE, name, role, account_id, password_hash, new_generation()))


async def delete_person(pool: Pool, name: str) -> Person | None:
    """None if there was none. Within a second none of their sessions counts any more."""
    return _first(await pool.fetch(_DELETE, name))


async def end_sessions(pool: Pool, name: str) -> Person | None:
    """Within a second no session from before counts, wherever it is kept; None if there is no such person."""
    return _first(await pool.fetch(_END_SESSIONS, name, new_generation()))


async def set_password(pool: Pool, name: str, password_hash: str) -> Person | None:
    """Ends the sessions likewise."""
    return _first(await pool.fetch(_SET_PASSWORD, name, password_hash, new_generation()))


async def rehash(pool: Pool, name: str, old_hash: str, new_hash: str) -> None:
    """The same password, made with today's terms; unless it was changed meanwhile."""
    await pool.fetch(_REHASH, name, old_hash, new_hash)


async def get_person(pool: Pool, name: str) -> Person | None:
    return _first(await pool.fetch(_GET, name))


async def list_people(pool: Pool) -> list[Person]:
    return [_person(row) for row in await pool.fetch(_LIST)]


async def password_hash_of(pool: Pool, name: str) -> str | None:
    rows = await pool.fetch(_HASH, name)
    return rows[0]["password_hash"] if rows else None


def new_generation() -> str:
    return secrets.token_hex(8)


def _first(rows: list[Record]) -> Person | None:
    return _person(rows[0]) if rows else None


def _person(row: Record) -> Person:
    return Person(**{**row, "role": Role(row["role"])})
