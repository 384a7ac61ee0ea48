"""The journal in PostgreSQL: a batch of records and all their projections, committed in one fenced statement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg
import msgspec

from trading.core.events import (
    AccountChanged,
    AccountOpened,
    Event,
    InstrumentChanged,
    InstrumentListed,
    KillSwitchSet,
    LedgerPosted,
    PhaseChanged,
    Traded,
)
from trading.core.orders import BUY, SELL, OrderStatus, OrderType, Phase, Side, SpecialTerms, TimeInForce
from trading.infra.columns import JOURNALED
from trading.infra.database import DatabaseError, within
from trading.wire.journal import JournalRecord, decode_command, decode_events, encode_command, encode_events
from trading.wire.orders import OrderView

PAGE: Final = 2_000
NOTIFICATIONS: Final = "journal"  # the channel on which every batch tells its last sequence number

# What the server says when somebody cancelled a commit that was waiting for its standby: the transaction
# is visible, but may be on one server only, so it must not be acknowledged.
UNREPLICATED_WARNING: Final = "canceling wait for synchronous replication"


class FencedError(Exception):
    """The epoch of this writer is over; nothing of the batch was written."""


class AmbiguousCommitError(DatabaseError):
    """The batch may or may not be durable. Whoever reads the journal next will know; nobody may be told before."""


@dataclass(slots=True)
class Batch:
    """Rows of one transaction, column by column, in the order of ``_COMMIT``'s parameters."""

    journal: list[tuple[Any, ...]] = field(default_factory=list)
    orders: dict[int, OrderView] = field(default_factory=dict)
    fills: list[tuple[Any, ...]] = field(default_factory=list)
    ledger: list[tuple[Any, ...]] = field(default_factory=list)
    balances: dict[tuple[int, str], tuple[int, int, int]] = field(default_factory=dict)  # available, reserved, cost
    instruments: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    phases: dict[str, tuple[Phase, int]] = field(default_factory=dict)  # with the reference price
    last_prices: dict[str, int] = field(default_factory=dict)
    accounts: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    kill_switches: dict[int, bool] = field(default_factory=dict)
    state_hashes: list[tuple[int, int, str]] = field(default_factory=list)

    def add(self, record: JournalRecord) -> tuple[bytes, bytes]:
        """Adds the record's own row and those of its events; returns its encoded command and events."""
        command, events = encode_command(record.command), encode_events(record.events)
        self.journal.append(
            (
                *(record.sequence, record.epoch, record.at_ns, record.symbol, record.symbol_sequence),
                *(command.decode(), events.decode()),
            )
        )
        for line, event in enumerate(record.events):
            self._project(event, line, record)
        return command, events

    def _project(self, event: Event, line: int, record: JournalRecord) -> None:
        match event:
            case LedgerPosted():
                self.ledger.append((record.sequence, line, *event))
            case Traded():
                self.fills.extend(_fill_rows(event, record))
                self.last_prices[event.symbol] = event.price_micros
            case PhaseChanged():
                self.phases[event.symbol] = event.phase, event.reference_price_micros
            case InstrumentListed(instrument):
                self.instruments[instrument.symbol] = instrument
                self.phases[instrument.symbol] = Phase.CLOSED, instrument.reference_price_micros
            case InstrumentChanged(instrument):
                self.instruments[instrument.symbol] = instrument
            case AccountOpened(account_id, terms) | AccountChanged(account_id, terms):
                opened_at_ns = self._opened_at(account_id, record)
                self.accounts[account_id] = (account_id, *terms[:-1], *terms.limits, opened_at_ns)
            case KillSwitchSet(account_id, engaged):
                self.kill_switches[account_id] = engaged
            case _:
                pass

    def _opened_at(self, account_id: int, record: JournalRecord) -> int:
        """Of an account that was opened earlier this is not what the table keeps."""
        known = self.accounts.get(account_id)
        return record.at_ns if known is None else int(known[-1])

    def markets(self) -> list[tuple[Any, ...]]:
        """What changed of each market: phase and reference price, or the last price, or both."""
        symbols = self.phases.keys() | self.last_prices.keys()
        return [
            (symbol, *self.phases.get(symbol, (None, None)), self.last_prices.get(symbol)) for symbol in sorted(symbols)
        ]


def _fill_rows(trade: Traded, record: JournalRecord) -> list[tuple[Any, ...]]:
    maker_side = SELL if trade.taker_side is BUY else BUY
    maker, taker = ("auction", "auction") if trade.auction else ("maker", "taker")
    rest = (trade.symbol, trade.price_micros, trade.quantity)
    when = (record.sequence, record.at_ns)
    return [
        (trade.trade_id, maker_side, trade.maker_order_id, trade.maker_account_id, *rest, maker, *when),
        (trade.trade_id, trade.taker_side, trade.taker_order_id, trade.taker_account_id, *rest, taker, *when),
    ]


def _update(key: str, columns: Iterable[str]) -> str:
    changes = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in key.split(", "))
    return f"({key}) DO UPDATE SET {changes}"


_ORDER_CHANGES: Final = (
    *("status", "filled_quantity", "filled_value_micros", "reduced_quantity", "stop_price_micros"),
    *("high_water_mark_micros", "price_micros", "place", "replaced_by", "updated_at_ns"),
)
_MARKET_CHANGES: Final = ", ".join(
    f"{name} = coalesce(excluded.{name}, markets.{name})" for name in JOURNALED["markets"] if name != "symbol"
)
_CHANGES: Final = {
    "orders": _update("order_id", _ORDER_CHANGES),
    "balances": _update("account_id, asset", ("available", "reserved", "cost_micros")),
    "instruments": _update("symbol", JOURNALED["instruments"]),
    "markets": f"(symbol) DO UPDATE SET {_MARKET_CHANGES}",
    "accounts": _update("account_id", [name for name in JOURNALED["accounts"] if name != "opened_at_ns"]),
    "kill_switches": _update("account_id", ("engaged",)),
}


def _commit_statement() -> str:
    """One statement: locks the epoch and, if it is still ours, inserts everything. One round trip, all or nothing.

    Whoever listens is told the last sequence once all of it is durable.
    """
    parts, parameter = ["fence AS MATERIALIZED (SELECT 1 FROM leader_epoch WHERE id = 1 AND epoch = $1 FOR SHARE)"], 2
    for table, columns in JOURNALED.items():
        names = ", ".join(columns)
        arrays = ", ".join(f"${parameter + n}::{kind}[]" for n, kind in enumerate(columns.values()))
        parameter += len(columns)
        change = f" ON CONFLICT {_CHANGES[table]}" if table in _CHANGES else ""
        parts.append(
            f"{table}_rows AS (INSERT INTO {table} ({names}) SELECT * FROM unnest({arrays})"
            f" WHERE EXISTS (SELECT 1 FROM fence){change})"
        )
    told = f"SELECT pg_notify('{NOTIFICATIONS}', ($2::bigint[])[cardinality($2::bigint[])]::text) AS told FROM fence"
    return f"WITH {', '.join(parts)} SELECT count(told) FROM ({told}) AS notified"


_COMMIT: Final = _commit_statement()


def _columns(table: str, rows: Sequence[tuple[Any, ...]]) -> list[Sequence[Any]]:
    return list(zip(*rows, strict=True)) if rows else [()] * len(JOURNALED[table])


def order_row(order: OrderView) -> tuple[Any, ...]:
    """The row of ``orders``; a leg's empty client_order_id is stored as none, for it is nobody's key."""
    special = None if order.special is None else _encode_special(order.special).decode()
    return (
        *(order.order_id, order.account_id, order.client_order_id or None, order.symbol, order.side),
        *(order.order_type, order.time_in_force, order.quantity, order.limit_price_micros, special),
        *(order.parent_id, order.replaces, order.status, order.filled_quantity, order.filled_value_micros),
        *(order.reduced_quantity, order.stop_price_micros, order.high_water_mark_micros, order.price_micros),
        *(order.place, order.replaced_by, order.submitted_at_ns, order.updated_at_ns, order.sequence),
    )


def order_of(row: asyncpg.Record) -> OrderView:
    """An OrderView from a row of ``orders``."""
    values = {name: row[name] for name in JOURNALED["orders"]}
    special = values["special"]
    values |= {
        "client_order_id": values["client_order_id"] or "",
        "side": Side(values["side"]),
        "order_type": OrderType(values["order_type"]),
        "time_in_force": TimeInForce(values["time_in_force"]),
        "special": None if special is None else _decode_special(special),
        "status": OrderStatus(values["status"]),
    }
    return OrderView(**values)


_encode_special: Final = msgspec.json.Encoder().encode
_decode_special: Final = msgspec.json.Decoder(SpecialTerms).decode


class JournalWriter:
    """Commits batches on one connection of its own."""

    def __init__(self, connection: asyncpg.Connection[Any], epoch: int, deadline_s: float) -> None:
        self._connection = connection
        self._epoch = epoch
        self._deadline_s = deadline_s
        self._unreplicated = False
        connection.add_log_listener(self._on_notice)

    async def commit(self, batch: Batch) -> None:
        """Returns when the batch is durable on the primary and its synchronous standby.

        Raises FencedError when another epoch has begun, AmbiguousCommitError when the outcome is unknown.
        """
        columns = (
            *_columns("journal", batch.journal),
            *_columns("orders", [order_row(order) for order in batch.orders.values()]),
            *_columns("fills", batch.fills),
            *_columns("ledger", batch.ledger),
            *_columns("balances", [(*key, *balance) for key, balance in batch.balances.items()]),
            *_columns("instruments", list(batch.instruments.values())),
            *_columns("markets", batch.markets()),
            *_columns("accounts", list(batch.accounts.values())),
            *_columns("kill_switches", list(batch.kill_switches.items())),
            *_columns("state_hashes", batch.state_hashes),
        )
        try:
            held = await within(
                self._connection, self._connection.fetchval(_COMMIT, self._epoch, *columns), self._deadline_s
            )
        except DatabaseError as error:
            raise AmbiguousCommitError(str(error)) from error
        if self._unreplicated:
            raise AmbiguousCommitError(UNREPLICATED_WARNING)
        if not held:
            raise FencedError(f"epoch {self._epoch} is over")

    def _on_notice(self, _connection: object, message: asyncpg.PostgresLogMessage) -> None:
        if UNREPLICATED_WARNING in str(message):
            self._unreplicated = True


_TAIL: Final = """
SELECT sequence, epoch, at_ns, symbol, symbol_sequence, command, events FROM journal
WHERE sequence > $1 AND sequence <= $2 ORDER BY sequence LIMIT $3
"""
_END: Final = 2**62


async def read_records(
    connection: asyncpg.Connection[Any], after: int, *, until: int = _END, limit: int = PAGE, deadline_s: float = 5.0
) -> list[JournalRecord]:
    """Records after ``after`` up to ``until``, oldest first, at most ``limit``. Raises DatabaseError."""
    rows = await within(connection, connection.fetch(_TAIL, after, until, limit), deadline_s)
    return [record_of(row) for row in rows]


def record_of(row: asyncpg.Record) -> JournalRecord:
    return JournalRecord(
        sequence=row["sequence"],
        epoch=row["epoch"],
        at_ns=row["at_ns"],
        symbol=row["symbol"],
        symbol_sequence=row["symbol_sequence"],
        command=decode_command(row["command"]),
        events=decode_events(row["events"]),
    )


def ordered(records: Iterable[JournalRecord], after: int) -> list[JournalRecord]:
    """The records, checked to follow ``after`` one by one. Raises DatabaseError at the first gap."""
    checked = list(records)
    for expected, record in enumerate(checked, after + 1):
        if record.sequence != expected:
            raise DatabaseError(f"the journal has a gap: expected record {expected}, found {record.sequence}")
    return checked
