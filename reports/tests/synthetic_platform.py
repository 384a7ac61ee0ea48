"""The platform's side of a synthetic record: the real exchange, and the rows every command would have left."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from trading.core.commands import Command
from trading.core.events import (
    Event,
    LedgerPosted,
    OrderAccepted,
    OrderActivated,
    OrderCanceled,
    OrderReduced,
    OrderReplaced,
    Traded,
)
from trading.core.exchange import Exchange, symbol_of
from trading.core.orders import MICROS_PER_SHARE, OrderId, OrderStatus, Side, Symbol
from trading.wire.journal import encode_command, encode_events
from trading.wire.orders import OrderView, decimal_text, fold, public_order, rfc3339, shares_text

START_NS = 1_767_261_600 * 10**9
S, MS = 10**9, 10**6
SYMBOLS = (Symbol("AAA"), Symbol("BBB"))
LISTENER = 1  # the account whose order updates the subscriber follows


_LEFT, _BACK = 0.60, 0.62  # between these shares of the run the subscriber is away


@dataclass(frozen=True, slots=True)
class Plan:
    """Seconds count from the start of the record."""

    seed: int = 1
    rate_per_s: int = 60
    warm_up_s: float = 2.0
    measure_s: float = 3.0
    end_s: float = 23.0
    slow: tuple[float, float] = (8.0, 12.0)
    slow_ms: float = 150.0
    kill_s: float = 16.0
    kill_lasts_s: float = 0.7


@dataclass(slots=True)
class Simulation:
    plan: Plan
    rng: random.Random
    exchange: Exchange = field(default_factory=Exchange)
    orders: dict[OrderId, OrderView] = field(default_factory=dict)
    journal: list[dict[str, Any]] = field(default_factory=list)
    fills: list[dict[str, Any]] = field(default_factory=list)
    ledger: list[dict[str, Any]] = field(default_factory=list)
    operations: list[dict[str, Any]] = field(default_factory=list)
    feed: list[dict[str, Any]] = field(default_factory=list)

    def apply(self, command: Command) -> Any:
        books = {symbol: levels_of(self.exchange, symbol) for symbol in self.exchange.symbols()}
        outcome = self.exchange.apply(command)
        if isinstance(outcome, list):
            self._record(command, outcome, books)
        return outcome

    def _record(self, command: Command, events: list[Any], books: Mapping[Symbol, Any]) -> None:
        sequence, at_ns, symbol = self.exchange.sequence, command.at_ns, symbol_of(events)
        for event in events:
            fold(self.orders, [event], sequence=sequence, at_ns=at_ns)
            self._tell(event, sequence, at_ns)
        row: dict[str, Any] = {
            "sequence": sequence,
            "epoch": 1 if at_ns < START_NS + self.plan.kill_s * S else 2,
            "at_ns": at_ns,
            "symbol": symbol,
            "symbol_sequence": None if symbol is None else self.exchange.symbol_sequence(symbol),
            "command": encode_command(command).decode(),
            "events": encode_events(events).decode(),
        }
        self.journal.append(row)
        for event in events:
            if isinstance(event, Traded):
                self.fills += _fill_rows(event, sequence, at_ns)
        postings = [event for event in events if isinstance(event, LedgerPosted)]
        self.ledger += [_ledger_row(posting, sequence, line) for line, posting in enumerate(postings)]
        if symbol is not None:
            self._feed(symbol, row, books[symbol])

    def _feed(self, symbol: Symbol, row: Mapping[str, Any], before: Any) -> None:
        """Publishes the change, but for a while after 60 % of the run, when the subscriber is away."""
        moment = self._moment(row["at_ns"])
        if self._is_away(row["at_ns"]):
            return
        first = not any(message["symbol"] == symbol for message in self.feed)
        after = levels_of(self.exchange, symbol)
        returning = moment >= _BACK and not any(m["kind"] == "success" for m in self.feed)
        if returning:
            self._message(row["at_ns"], {"T": "success", "msg": "connected"})
            for other in SYMBOLS:
                if other != symbol:
                    self._book(other, row["at_ns"], ([], []), levels_of(self.exchange, other), snapshot=True)
        snapshot = first or returning
        self._book(symbol, row["at_ns"], ([], []) if snapshot else before, after, snapshot=snapshot)

    def _tell(self, event: Event, sequence: int, at_ns: int) -> None:
        """Order updates, as long as somebody listens."""
        connections = sum(message["kind"] == "listening" for message in self.feed)
        if not self._is_away(at_ns) and connections <= (self._moment(at_ns) >= _BACK):
            self._message(at_ns, {"stream": "listening", "data": {"streams": ["trade_updates"]}}, late_ns=-3 * MS)
        for order_id, name, fill in _told(event, self.orders):
            order = self.orders[order_id]
            if order.account_id == LISTENER and not self._is_away(at_ns):
                data = {"event": name, "order": public_order(order), "sequence": sequence, **fill}
                self._message(at_ns, {"stream": "trade_updates", "data": data})

    def _moment(self, at_ns: int) -> float:
        return (at_ns - START_NS) / S / self.plan.end_s

    def _is_away(self, at_ns: int) -> bool:
        return _LEFT < self._moment(at_ns) < _BACK

    def _book(self, symbol: Symbol, at_ns: int, before: Any, after: Any, *, snapshot: bool) -> None:
        changes = [_changes(old, new) for old, new in zip(before, after, strict=True)]
        sequence = self.exchange.symbol_sequence(symbol)
        body = {"T": "o", "S": symbol, "q": sequence, "b": changes[0], "a": changes[1], "t": rfc3339(at_ns)}
        self._message(at_ns, {**body, "r": True} if snapshot else body)

    def _message(self, at_ns: int, body: Mapping[str, Any], late_ns: int = 2 * MS) -> None:
        self.feed.append(
            {
                "received_ns": at_ns + late_ns,
                "kind": body.get("T") or body["stream"],
                "symbol": body.get("S"),
                "sequence": body.get("q"),
                "message": json.dumps(body),
            }
        )


def _told(event: Event, orders: Mapping[OrderId, OrderView]) -> list[tuple[OrderId, str, dict[str, str]]]:
    """Which owners are told what of an event that is folded already, with the figures of a fill."""
    match event:
        case Traded():
            fill = {"price": decimal_text(event.price_micros), "qty": shares_text(event.quantity)}
            sides = ((event.maker_order_id, event.maker_leaves), (event.taker_order_id, event.taker_leaves))
            return [(order_id, "partial_fill" if leaves else "fill", fill) for order_id, leaves in sides]
        case OrderAccepted():
            is_held = orders[event.order_id].status is OrderStatus.HELD
            return [(event.order_id, "held" if is_held else "new", {})]
        case OrderActivated():
            return [(event.order_id, "new", {})]
        case OrderCanceled() | OrderReplaced():
            return [(event.order_id, orders[event.order_id].status.value, {})]
        case OrderReduced():
            return [(event.order_id, "restated", {})]
        case _:
            return []


def order_row(order: OrderView) -> dict[str, Any]:
    special = None if order.special is None else msgspec.json.encode(order.special).decode()
    return {**msgspec.structs.asdict(order), "client_order_id": order.client_order_id or None, "special": special}


def _fill_rows(trade: Traded, sequence: int, at_ns: int) -> list[dict[str, Any]]:
    shared = {
        "trade_id": trade.trade_id,
        "symbol": trade.symbol,
        "price_micros": trade.price_micros,
        "quantity": trade.quantity,
        "sequence": sequence,
        "at_ns": at_ns,
    }
    maker_side = Side.SELL if trade.taker_side is Side.BUY else Side.BUY
    maker = {"side": maker_side, "order_id": trade.maker_order_id, "account_id": trade.maker_account_id}
    taker = {"side": trade.taker_side, "order_id": trade.taker_order_id, "account_id": trade.taker_account_id}
    liquidity = ("auction", "auction") if trade.auction else ("maker", "taker")
    return [shared | maker | {"liquidity": liquidity[0]}, shared | taker | {"liquidity": liquidity[1]}]


def _ledger_row(posting: LedgerPosted, sequence: int, line: int) -> dict[str, Any]:
    return {"sequence": sequence, "line": line, **posting._asdict()}


def levels_of(exchange: Exchange, symbol: Symbol) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    book = exchange.book(symbol)
    return list(book.levels(Side.BUY)), list(book.levels(Side.SELL))


def _changes(before: list[tuple[int, int]], after: list[tuple[int, int]]) -> list[dict[str, float]]:
    old, new = dict(before), dict(after)
    return [
        {"p": price / 10**6, "s": new.get(price, 0) / MICROS_PER_SHARE}
        for price in old | new
        if old.get(price) != new.get(price)
    ]
