"""The audit: what officers did and tried, each call written down before it is executed and completed after.

A row that stays ``begun`` belongs to a call whose end nobody saw. The table's trigger refuses every other change.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import msgspec
from asyncpg import Record

from trading.infra.database import Pool
from trading.infra.identity import Identity

_BEGIN: Final = """
INSERT INTO audit_log (who, role, action, target, client, request_id) VALUES ($1, $2, $3, $4, $5, $6) RETURNING audit_id
"""
_COMPLETE: Final = """
UPDATE audit_log SET outcome = $2, status = $3, before = $4, after = $5, completed_at = now() WHERE audit_id = $1
"""
_PAGE: Final = """
SELECT * FROM audit_log WHERE ($1::bigint IS NULL OR audit_id < $1) AND ($2::text IS NULL OR who = $2)
AND ($3::text IS NULL OR starts_with(action, $3)) AND ($4::timestamptz IS NULL OR begun_at > $4)
AND ($5::timestamptz IS NULL OR begun_at < $5) ORDER BY audit_id DESC LIMIT $6
"""


class Outcome(StrEnum):
    BEGUN = "begun"
    DONE = "done"
    REFUSED = "refused"  # it changed nothing
    FAILED = "failed"  # it was certainly not executed
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """``action`` is method and route, ``target`` the path that was asked for, ``client`` an address."""

    who: Identity
    action: str
    target: str
    client: str
    request_id: str


@dataclass(slots=True)
class Change:
    """The object a call concerns, before and after it, as it is shown to officers: never with a secret."""

    before: Any = None
    after: Any = None


async def begin(pool: Pool, call: Call) -> int:
    """The row's id, once it is durable. Raises DatabaseError: then nothing may be executed."""
    who = call.who
    rows = await pool.fetch(_BEGIN, who.name, who.role, call.action, call.target, call.client, call.request_id)
    audit_id: int = rows[0]["audit_id"]
    return audit_id


async def complete(pool: Pool, audit_id: int, status: int, change: Change) -> None:
    """Raises DatabaseError: then the row stays as it was begun."""
    await pool.fetch(_COMPLETE, audit_id, outcome_of(status), status, _json(change.before), _json(change.after))


def outcome_of(status: int) -> Outcome:
    match status:
        case 504:
            return Outcome.UNKNOWN
        case _ if status >= 500:
            return Outcome.FAILED
        case _ if status >= 400:
            return Outcome.REFUSED
        case _:
            return Outcome.DONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """``action`` may be the beginning of one, as in ``PUT``; times are exclusive."""

    before_id: int | None = None
    who: str | None = None
    action: str | None = None
    after: datetime | None = None
    until: datetime | None = None


async def page(pool: Pool, wanted: Filter, limit: int) -> list[Record]:
    """The newest rows first. Raises DatabaseError."""
    return await pool.fetch(_PAGE, wanted.before_id, wanted.who, wanted.action, wanted.after, wanted.until, limit)


def _json(value: object) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()
