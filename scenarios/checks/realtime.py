"""Real time is respected: what was acknowledged before another was sent comes before it, in the journal and in trades.

The clock is the clients'; nothing here relies on the numbers and times that the engine gave.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any, Final, NamedTuple

from reports.bounds import bound_text
from reports.record import Record
from reports.records import OutcomeKind
from scenarios.checks.acknowledged import ORDERING, Key
from scenarios.checks.check import Check, Evidence, Findings, present
from trading.core.events import (
    LedgerPosted,
    OrderAccepted,
    OrderCanceled,
    OrderReplaced,
    OrderRested,
    Traded,
)
from trading.core.orders import Side
from trading.wire.journal import JournalRecord

NEVER: Final = 2**63 - 1


class Span(NamedTuple):
    """From when an operation was first sent to when it was first acknowledged (NEVER: it was not)."""

    sent_ns: int
    done_ns: int


def examine(record: Record) -> Findings:
    journal = present(record.journal, "journal record")
    spans = spans_of(record)
    present([span for span in spans.values() if span.done_ns < NEVER], "acknowledged order")
    entered = _entered(journal, spans)
    book = _Book(spans={order_id: span for _, order_id, span in entered})
    violations = [*_overtaken(entered), *(row for entry in journal for row in book.follow(entry))]
    return Findings(
        f"{len(entered):,} orders entered, {book.trades:,} trades: "
        f"{bound_text(len(violations), len(entered) + book.trades, 'out of turn')}",
        violations,
        {"trades_in_turn": book.trades, "orders_in_turn": len(entered)},
    )


def spans_of(record: Record) -> dict[Key, Span]:
    """Of every order that was sent; whoever sends one again under the same name means the same order."""
    spans: dict[Key, Span] = {}
    for operation in record.operations:
        if operation.kind not in ORDERING or operation.sent_ns is None:
            continue
        key = (operation.account_id, operation.client_order_id)
        acknowledged = operation.outcome is OutcomeKind.OK and operation.done_ns is not None
        span = Span(operation.sent_ns, operation.done_ns if acknowledged and operation.done_ns else NEVER)
        known = spans.get(key, span)
        spans[key] = Span(min(known.sent_ns, span.sent_ns), min(known.done_ns, span.done_ns))
    return spans


def _entered(journal: Iterable[JournalRecord], spans: dict[Key, Span]) -> list[tuple[int, int, Span]]:
    """Sequence, order and span of every order that a client is known to have sent, in the journal's order."""
    return [
        (entry.sequence, event.order_id, span)
        for entry in journal
        for event in entry.events
        if isinstance(event, OrderAccepted)
        if (span := spans.get((event.account_id, event.client_order_id))) is not None
    ]


def _overtaken(entered: list[tuple[int, int, Span]]) -> Iterator[Evidence]:
    """Read backwards: an order must not have been sent after one behind it in the journal was acknowledged."""
    earliest, behind = NEVER, 0
    for sequence, order_id, span in reversed(entered):
        if earliest < span.sent_ns:
            problem = f"was journaled before order {behind}, which had been acknowledged before it was sent"
            yield _row(sequence, None, order_id, problem)
        if span.done_ns < earliest:
            earliest, behind = span.done_ns, order_id


@dataclass(slots=True)
class _Queue:
    """One side of one symbol: who rests at which price, and per price who was acknowledged first (some long gone)."""

    resting: dict[int, dict[int, None]] = field(default_factory=dict)
    acknowledged: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    best: list[int] = field(default_factory=list)  # a heap of prices, better ones first by sign


@dataclass(slots=True)
class _Book:
    """Who rests where, by the journal's events: a trade's maker must be at the best price, and first in real time."""

    spans: dict[int, Span]
    trades: int = 0
    _queues: dict[tuple[str, Side], _Queue] = field(default_factory=lambda: defaultdict(_Queue))
    _where: dict[int, tuple[tuple[str, Side], int]] = field(default_factory=dict)

    def follow(self, entry: JournalRecord) -> Iterator[Evidence]:
        accepted: dict[int, int | None] = {}  # in this record, and what each replaces
        event: Any
        for event in entry.events:
            if isinstance(event, LedgerPosted):
                continue
            if isinstance(event, Traded):
                yield from self._trade(event, entry.sequence)
            elif isinstance(event, OrderAccepted):
                accepted[event.order_id] = event.replaces
            elif isinstance(event, OrderRested):
                self._rest(event, at_once=event.order_id in accepted, replaces=accepted.get(event.order_id))
            elif isinstance(event, OrderCanceled | OrderReplaced):
                self._leave(event.order_id)

    def _rest(self, event: OrderRested, *, at_once: bool, replaces: int | None) -> None:
        """A replacement may have kept its place, and a stop comes late: being sent tells nothing of their turn."""
        self._leave(event.order_id)
        side = (event.symbol, event.side)
        queue = self._queues[side]
        if event.price_micros not in queue.resting:
            queue.resting[event.price_micros] = {}
            queue.acknowledged[event.price_micros] = []
            heappush(queue.best, _rank(event.side, event.price_micros))
        queue.resting[event.price_micros][event.order_id] = None
        self._where[event.order_id] = (side, event.price_micros)
        if not at_once or replaces is not None:
            self.spans.pop(event.order_id, None)
        elif (span := self.spans.get(event.order_id)) and span.done_ns < NEVER:
            heappush(queue.acknowledged[event.price_micros], (span.done_ns, event.order_id))

    def _leave(self, order_id: int) -> None:
        where = self._where.pop(order_id, None)
        if where is None:
            return
        side, price_micros = where
        queue = self._queues[side]
        del queue.resting[price_micros][order_id]
        if not queue.resting[price_micros]:
            del queue.resting[price_micros], queue.acknowledged[price_micros]

    def _trade(self, trade: Traded, sequence: int) -> Iterator[Evidence]:
        self.trades += 1
        if not trade.auction:
            yield from self._out_of_turn(trade, sequence)
        for order_id, leaves in (
            (trade.maker_order_id, trade.maker_leaves),
            (trade.taker_order_id, trade.taker_leaves),
        ):
            if not leaves:
                self._leave(order_id)

    def _out_of_turn(self, trade: Traded, sequence: int) -> Iterator[Evidence]:
        maker = trade.maker_order_id
        where = self._where.get(maker)
        if where is None:
            yield _row(sequence, trade.trade_id, maker, "traded as a maker and rested nowhere")
            return
        (symbol, side), price_micros = where
        queue = self._queues[symbol, side]
        best = self._best(queue, side)
        if _rank(side, best) < _rank(side, price_micros):
            yield _row(sequence, trade.trade_id, maker, f"traded at {price_micros} while {best} was to be had")
        passed = self._first(queue, price_micros)
        span = self.spans.get(maker)
        if span and passed and passed[1] != maker and passed[0] < span.sent_ns:
            problem = f"traded before order {passed[1]}, which had been acknowledged before it was sent"
            yield _row(sequence, trade.trade_id, maker, problem)

    def _best(self, queue: _Queue, side: Side) -> int:
        while (price_micros := abs(queue.best[0])) not in queue.resting:
            heappop(queue.best)
        return price_micros

    def _first(self, queue: _Queue, price_micros: int) -> tuple[int, int] | None:
        acknowledged, resting = queue.acknowledged[price_micros], queue.resting[price_micros]
        while acknowledged and acknowledged[0][1] not in resting:
            heappop(acknowledged)
        return acknowledged[0] if acknowledged else None


def _rank(side: Side, price_micros: int) -> int:
    """The less, the better for whoever takes."""
    return -price_micros if side is Side.BUY else price_micros


def _row(sequence: int, trade_id: int | None, order_id: int, problem: str) -> Evidence:
    return {"sequence": sequence, "trade_id": trade_id, "order_id": order_id, "problem": problem}


CHECK = Check("real_time_order", "Acknowledged first, matched first", examine)
