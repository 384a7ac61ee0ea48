"""Quotes and minute bars in PostgreSQL: written by whichever recorder holds the lock, in step with its progress."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple
from typing import Any, Final, NamedTuple

import asyncpg

from trading.core.state import OpenOrderState
from trading.infra.columns import RECORDED
from trading.infra.database import DatabaseError, connect, within
from trading.infra.journal import ordered, read_records
from trading.infra.snapshots import newest_first, skipped
from trading.wire.journal import JournalRecord
from trading.wire.market_data import Bar
from trading.wire.snapshot import SNAPSHOT_VERSION, SnapshotFormatError, decode_open_orders

# A recorder that hangs, or is cut off, says nothing; then the server ends its session, and with it its hold.
SILENT_MS: Final = 5_000

_LOCK: Final = 0x7461_7065  # any number nobody else locks
_DEADLINE_S: Final = 3.0
_DELETED_AT_ONCE: Final = 1_000


class OvertakenError(DatabaseError):
    """Somebody else has written meanwhile; nothing of the batch was."""


class Progress(NamedTuple):
    """The last journal record and the last trade that are in the tables."""

    sequence: int
    last_trade_id: int


def _insert(table: str, first: int) -> tuple[str, int]:
    """An INSERT from arrays, to be completed with what to do about a row that is there; and the next parameter."""
    columns = RECORDED[table]
    arrays = ", ".join(f"${first + n}::{kind}[]" for n, kind in enumerate(columns.values()))
    select = f"SELECT * FROM unnest({arrays}) WHERE EXISTS (SELECT 1 FROM progress)"
    return f"INSERT INTO {table} ({', '.join(columns)}) {select} ON CONFLICT", first + len(columns)


def _write_statement() -> str:
    """All or nothing, and nothing unless the progress is still what the writer went on from."""
    insert_quotes, following = _insert("quotes", 4)
    insert_bars, _ = _insert("minute_bars", following)
    grown = ", ".join(f"{name} = excluded.{name}" for name in list(RECORDED["minute_bars"])[3:])
    return f"""
WITH progress AS (
    INSERT INTO market_data_progress AS p (id, sequence, last_trade_id) VALUES (1, $2, $3)
    ON CONFLICT (id) DO UPDATE SET sequence = excluded.sequence, last_trade_id = excluded.last_trade_id
    WHERE p.sequence = $1 RETURNING 1
),
new_quotes AS ({insert_quotes} DO NOTHING),
new_bars AS ({insert_bars} (symbol, start_ns) DO UPDATE SET {grown})
SELECT count(*) FROM progress
"""


_WRITE: Final = _write_statement()
_PROGRESS: Final = "SELECT sequence, last_trade_id FROM market_data_progress"

# All of the newest minute in which anything traded.
_OPEN_BARS: Final = """
SELECT bar.* FROM instruments i CROSS JOIN LATERAL (
    SELECT * FROM minute_bars WHERE symbol = i.symbol ORDER BY start_ns DESC LIMIT 1
) AS bar
"""

# Never a symbol's newest, however old: it is its quote.
_DELETE_OLD: Final = """
DELETE FROM quotes USING (
    SELECT few.* FROM instruments i CROSS JOIN LATERAL (
        SELECT symbol, at_ns, symbol_sequence FROM quotes
        WHERE symbol = i.symbol AND at_ns < least($1, (SELECT max(at_ns) FROM quotes n WHERE n.symbol = i.symbol))
        ORDER BY at_ns, symbol_sequence LIMIT $2
    ) AS few LIMIT $2
) AS old
WHERE (quotes.symbol, quotes.at_ns, quotes.symbol_sequence) = (old.symbol, old.at_ns, old.symbol_sequence)
"""


class MarketDataStore:
    """One recorder's connection. Its session holds the lock, so what ends it also ends its right to write."""

    def __init__(self, connection: asyncpg.Connection[Any]) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, dsn: str, application_name: str) -> MarketDataStore:
        """Raises DatabaseError, as everything here does."""
        # What is lost with the primary is made again from the journal, so no commit need wait.
        settings = {"synchronous_commit": "off", "idle_session_timeout": str(SILENT_MS)}
        return cls(await connect(dsn, application_name, **settings))

    def close(self) -> None:
        self._connection.terminate()

    async def try_lock(self) -> bool:
        """Whether this recorder is the one that records, until its session ends."""
        return await self._within(self._connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK)) is True

    async def progress(self) -> Progress:
        row = await self._within(self._connection.fetchrow(_PROGRESS))
        return Progress(*row) if row else Progress(0, 0)

    async def open_bars(self) -> list[Bar]:
        """The bars of the minute in which the progress stands."""
        rows = await self._within(self._connection.fetch(_OPEN_BARS))
        newest_ns = max((row["start_ns"] for row in rows), default=0)
        return [bar_of_row(row) for row in rows if row["start_ns"] == newest_ns]

    async def open_orders(self, sequence: int) -> tuple[int, list[OpenOrderState]]:
        """The newest snapshot at or before ``sequence``: its record and open orders; 0 and none if there is none."""
        async for snapshot in newest_first(self._connection):
            if snapshot.sequence > sequence or snapshot.version != SNAPSHOT_VERSION:
                continue
            try:
                return snapshot.sequence, decode_open_orders(snapshot.body)
            except SnapshotFormatError as error:
                skipped(snapshot.sequence, str(error))
        return 0, []

    async def journal(self, after: int, *, until: int, limit: int) -> list[JournalRecord]:
        """The next records after ``after`` without a gap, at most ``limit``."""
        return ordered(await read_records(self._connection, after, until=until, limit=limit), after)

    async def write(
        self, before: Progress, after: Progress, quotes: Sequence[tuple[Any, ...]], bars: Iterable[Bar]
    ) -> None:
        """Raises OvertakenError when the progress is not ``before`` any more."""
        columns = (*_columns("quotes", quotes), *_columns("minute_bars", [astuple(bar) for bar in bars]))
        if not await self._within(self._connection.fetchval(_WRITE, before.sequence, *after, *columns)):
            raise OvertakenError(f"the market data is not at record {before.sequence} any more")

    async def delete_quotes_before(self, at_ns: int) -> bool:
        """One small step; whether there is more to delete."""
        status = await self._within(self._connection.execute(_DELETE_OLD, at_ns, _DELETED_AT_ONCE))
        return bool(status == f"DELETE {_DELETED_AT_ONCE}")

    async def _within(self, work: Any) -> Any:
        return await within(self._connection, work, _DEADLINE_S)


def bar_of_row(row: asyncpg.Record) -> Bar:
    """From a row with Bar's columns."""
    values = dict(row)
    return Bar(**values | {"value": int(values["value"])})


def _columns(table: str, rows: Sequence[tuple[Any, ...]]) -> list[Sequence[Any]]:
    return list(zip(*rows, strict=True)) if rows else [()] * len(RECORDED[table])
