"""/v2/account/activities: everything that ever changed what an account has, in the order it happened.

A page begins after the last activity of the one before, whose id says exactly where that is; what happens meanwhile is
newer than all there was. So nobody who pages misses anything or sees it twice, in either direction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final, Literal

import asyncpg
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from trading.api.accounts import account_uuid
from trading.api.activity_shapes import ALPACAS_KINDS, KINDS, Place, payment_activity, place_of, trade_activity
from trading.api.answer import answer
from trading.api.context import Caller, ContextOf
from trading.api.equity import GOT_KIND, PAID_KIND
from trading.api.errors import WRONG_PARAMETER, ApiError
from trading.core.events import Traded
from trading.core.orders import NS_PER_S, SELL, AccountId
from trading.infra.columns import CHARGED, GOT, PAID, REBATED
from trading.infra.database import Pool
from trading.infra.moments import last_record_before
from trading.wire.journal import decode_events
from trading.wire.market_data import DAY_NS

router = APIRouter(prefix="/v2")

_MAX_NS: Final = 2**62
_EPOCH: Final = date(1970, 1, 1)
_BEFORE_ALL: Final = Place(0, 0, 0)
_AFTER_ALL: Final = Place(2**48, 0, 0)

_WITHIN: Final = """sequence BETWEEN $3::bigint AND $6::bigint
        AND (sequence, {source}, {number}) > ($3, $4::int, $5::bigint)
        AND (sequence, {source}, {number}) < ($6, $7::int, $8::bigint)"""

_TRADES: Final = """
    (SELECT sequence, 1 AS source, {number} AS number, 'FILL' AS kind, symbol AS asset, quantity AS amount,
        price_micros, side, order_id, at_ns
    FROM fills WHERE account_id = $1 AND 'FILL' = ANY($2::text[]) AND {within}
    ORDER BY sequence {direction}, trade_id {direction}, side {direction} LIMIT $9)
"""
_PAYMENTS: Final = """
    (SELECT sequence, {source}, line::bigint, {kind}, asset, {amount}, 0, '', 0, 0
    FROM ledger WHERE {own}_account_id = $1 AND {condition} AND {kind} = ANY($2::text[]) AND {within}
    ORDER BY sequence {direction}, line {direction} LIMIT $9)
"""
_FEES: Final = """
    (SELECT sequence, {source}, 0, 'FEE', 'USD', sum({amount})::bigint, 0, '', 0, 0
    FROM ledger WHERE {own}_account_id = $1 AND {condition} AND 'FEE' = ANY($2::text[]) AND {within}
    GROUP BY sequence ORDER BY sequence {direction} LIMIT $9)
"""
_TRADE_NUMBER: Final = "trade_id * 2 + (side = 'sell')::int"


def _page_statement(direction: str) -> str:
    """Of a record and of what is within it an activity's place is made: payments (source 0) by their line, trades (1)
    by their number and side, charges (2) and rebates (3) of a record together.

    One statement, so that all is seen at one moment; every source gives a page at most, along its own index.
    """
    sources = (
        _TRADES.format(number=_TRADE_NUMBER, within=_within(1, _TRADE_NUMBER), direction=direction),
        *(
            template.format(
                source=source,
                kind=kind,
                amount=amount,
                own=own,
                condition=condition,
                within=_within(source, "line" if source == 0 else "0"),
                direction=direction,
            )
            for template, source, own, condition, amount, kind in (
                (_PAYMENTS, 0, "debit", PAID, "-amount", PAID_KIND),
                (_PAYMENTS, 0, "credit", GOT, "amount", GOT_KIND),
                (_FEES, 2, "debit", CHARGED, "-amount", ""),
                (_FEES, 3, "credit", REBATED, "amount", ""),
            )
        ),
    )
    return f"""
WITH found AS ({"    UNION ALL".join(sources)})
SELECT found.*, quantity, reduced_quantity, journal.at_ns AS happened_ns
FROM found LEFT JOIN orders USING (order_id) JOIN journal ON journal.sequence = found.sequence
ORDER BY found.sequence {direction}, source {direction}, number {direction} LIMIT $9
"""


def _within(source: int, number: str) -> str:
    return _WITHIN.format(source=source, number=number)


PAGES: Final = {direction: _page_statement(direction) for direction in ("asc", "desc")}
_RECORDS: Final = "SELECT sequence, events FROM journal WHERE sequence = ANY($1)"
_FILLED_UNTIL: Final = """
SELECT coalesce(sum(quantity), 0)::bigint AS filled FROM fills
WHERE account_id = $1 AND order_id = $2 AND sequence >= (SELECT sequence FROM orders WHERE order_id = $2)
    AND sequence <= $3 AND trade_id <= $4
"""


class PageRequest(BaseModel):
    """Query of both routes. ``date`` is a whole day in UTC; ``after`` and ``until`` bound the time exclusively."""

    model_config = ConfigDict(extra="forbid")

    day: Annotated[date | None, Field(alias="date")] = None
    after: datetime | None = None
    until: datetime | None = None
    direction: Literal["asc", "desc"] = "desc"
    page_size: Annotated[int, Field(ge=1, le=100)] = 100
    page_token: Annotated[str | None, Field(max_length=64)] = None


class ActivitiesRequest(PageRequest):
    """``activity_types`` separated by commas; ``category`` instead of them."""

    activity_types: Annotated[str | None, Field(max_length=512)] = None
    category: Literal["trade_activity", "non_trade_activity"] | None = None


@router.get("/account/activities")
async def list_activities(
    query: Annotated[ActivitiesRequest, Query()], account_id: Caller, shared: ContextOf
) -> Response:
    kinds = _kinds(query)
    return answer(await shared.history.run(lambda database: page_of(account_id, query, kinds, database)))


@router.get("/account/activities/{activity_type}")
async def list_activities_of_type(
    activity_type: str, query: Annotated[PageRequest, Query()], account_id: Caller, shared: ContextOf
) -> Response:
    kinds = _known([activity_type])
    return answer(await shared.history.run(lambda database: page_of(account_id, query, kinds, database)))


def _kinds(query: ActivitiesRequest) -> list[str]:
    if query.activity_types is not None:
        if query.category is not None:
            raise ApiError(422, "either activity_types or category", code=WRONG_PARAMETER)
        return _known(query.activity_types.split(","))
    if query.category is None:
        return sorted(KINDS)
    return sorted(kind for kind in KINDS if (kind == "FILL") == (query.category == "trade_activity"))


def _known(kinds: list[str]) -> list[str]:
    """Raises ApiError for what is no type of Alpaca's. Those that never happen here have no entries."""
    for kind in kinds:
        if kind not in ALPACAS_KINDS:
            raise ApiError(422, f"invalid activity type: {kind[:64]}", code=WRONG_PARAMETER)
    return kinds


async def page_of(
    account_id: AccountId, query: PageRequest, kinds: Sequence[str], database: Pool
) -> list[dict[str, Any]]:
    """Raises ApiError for a token that is none, and DatabaseError."""
    first, last = await _bounds(query, database)
    if query.page_token is not None:
        token = place_of(query.page_token)
        if token is None:
            raise ApiError(422, "page_token: expected the id of the last activity seen", code=WRONG_PARAMETER)
        first, last = (max(first, token), last) if query.direction == "asc" else (first, min(last, token))
    if first >= last:
        return []
    arguments = account_id, kinds, *first, *last, query.page_size
    rows = await database.fetch(PAGES[query.direction], *arguments)
    return await _public(rows, account_id, database)


async def _bounds(query: PageRequest, database: Pool) -> tuple[Place, Place]:
    """Between which places, exclusively, the times that were asked for lie."""
    after_ns, until_ns = _ns(query.after), _ns(query.until)
    if query.day is not None:
        if after_ns is not None or until_ns is not None:
            raise ApiError(422, "either a date, or after and until", code=WRONG_PARAMETER)
        midnight_ns = (query.day - _EPOCH).days * DAY_NS
        after_ns, until_ns = _clamped(midnight_ns - 1), _clamped(midnight_ns + DAY_NS)
    first, last = _BEFORE_ALL, _AFTER_ALL
    if after_ns is not None:
        first = Place(await last_record_before(after_ns + 1, database) + 1, -1, 0)
    if until_ns is not None:
        last = Place(await last_record_before(until_ns, database) + 1, -1, 0)
    return first, last


async def _public(rows: Sequence[asyncpg.Record], account_id: AccountId, database: Pool) -> list[dict[str, Any]]:
    leaves = await _leaves(rows, database)
    activities = []
    for row in rows:
        if row["kind"] != "FILL":
            activity = payment_activity(row)
        else:
            left = leaves[row["number"]]
            reduced = row["reduced_quantity"] > 0  # then, or only later
            filled = await _filled_until(row, account_id, database) if reduced else row["quantity"] - left
            activity = trade_activity(row, filled=filled, leaves=left)
        activities.append({"account_id": account_uuid(account_id), **activity})
    return activities


async def _leaves(rows: Sequence[asyncpg.Record], database: Pool) -> dict[int, int]:
    """What each trade left of each order, by the trade's number and side: as the journal tells it."""
    records = sorted({row["sequence"] for row in rows if row["kind"] == "FILL"})
    leaves = {}
    for record in await database.fetch(_RECORDS, records) if records else []:
        for event in decode_events(record["events"]):
            if isinstance(event, Traded):
                taker = event.trade_id * 2 + (event.taker_side is SELL)
                leaves[taker], leaves[taker ^ 1] = event.taker_leaves, event.maker_leaves
    return leaves


async def _filled_until(row: asyncpg.Record, account_id: AccountId, database: Pool) -> int:
    arguments = account_id, row["order_id"], row["sequence"], row["number"] // 2
    ((filled,),) = await database.fetch(_FILLED_UNTIL, *arguments)
    return int(filled)


def _ns(moment: datetime | None) -> int | None:
    """Without an offset it is UTC."""
    if moment is None:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return _clamped(int(aware.timestamp()) * NS_PER_S + aware.microsecond * 1000)


def _clamped(moment_ns: int) -> int:
    """What no record can have bounds as well as the last moment one can."""
    return max(-_MAX_NS, min(_MAX_NS, moment_ns))
