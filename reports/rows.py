"""Typed rows of a record's tables, as the checks read them."""

from __future__ import annotations

from typing import Any

import msgspec

from reports.records import OutcomeKind


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One intended client operation (records.OPERATIONS)."""

    source: str
    operation_id: int
    kind: str
    account_id: int
    client_order_id: str | None
    symbol: str | None
    side: str | None
    order_type: str | None
    time_in_force: str | None
    quantity: int | None
    limit_price_micros: int | None
    intended_ns: int
    sent_ns: int | None
    done_ns: int | None
    outcome: OutcomeKind
    http_status: int | None
    order_id: str | None
    endpoint: str | None
    answer: str | None


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """One side of one trade (records.FILLS)."""

    trade_id: int
    side: str
    order_id: int
    account_id: int
    symbol: str
    price_micros: int
    quantity: int
    liquidity: str
    sequence: int
    at_ns: int


class LedgerLine(msgspec.Struct, frozen=True, kw_only=True):
    """One double-entry posting (records.LEDGER)."""

    sequence: int
    line: int
    debit_account_id: int
    debit_bucket: str
    credit_account_id: int
    credit_bucket: str
    asset: str
    amount: int


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """What an account holds of one asset (records.BALANCES)."""

    account_id: int
    asset: str
    available: int
    reserved: int
    cost_micros: int


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Of a duration, milliseconds; None where nothing was measured."""

    p50: float | None
    p99: float | None
    max: float | None


class SlowReaders(msgspec.Struct, frozen=True, kw_only=True):
    """Subscribers that read too slowly on purpose: what they got, and how often the feed ended their connections."""

    subscribers: int = 0
    received: int = 0
    let_go: int = 0
    kept: int = 0  # of the subscribers, those whose connections it never ended


class FeedQuality(msgspec.Struct, frozen=True, kw_only=True):
    """How well the feed served the subscribers of one process of the load that keep up (feed_quality.json)."""

    subscribers: int
    received: int  # book messages, each once, as everything below
    reach: float | None  # received, of what was sent since each one's first book; None: nothing was
    gaps: int  # numbers left out, and how many messages that makes
    missed: int
    breaks: int  # connections that ended, or could not be had
    unserved: int = 0  # of the subscribers, those who never got a book
    staleness_ms: Spread  # from the commit to the arrival, to a per cent
    subscribed: int
    first_book_ms: Spread  # from the wish to subscribe
    slow: SlowReaders = SlowReaders()


class FeedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message a feed subscriber received (records.FEED)."""

    received_ns: int
    kind: str
    symbol: str | None
    sequence: int | None
    message: str


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol's levels, best first: (price in micro-dollars, micro-shares), and the sequence number they are of."""

    sequence: int | None = None
    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]


class EngineState(msgspec.Struct, frozen=True, kw_only=True):
    """The live engine at one moment after the drain (engine.json)."""

    sequence: int
    symbols: dict[str, int]
    state_hash: str
    books: dict[str, Book]


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """One line of events.jsonl."""

    at_ns: int
    event: str
    details: dict[str, Any]

    def text(self, key: str) -> str:
        """The detail as text; empty when the event has none of that name."""
        value = self.details.get(key)
        return "" if value is None else str(value)
