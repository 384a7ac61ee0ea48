"""One symbol's book by price level, and the window of past messages from which a client can resume."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, NamedTuple

from trading.core.orders import BUY, SELL, Side
from trading.feed.messages import Message
from trading.wire.feed import CHECKED_LEVELS, Levels, book_checksum, number_of
from trading.wire.market_data import Quote
from trading.wire.orders import rfc3339

_EMPTY: Final = (0, 0)


class Replayed(NamedTuple):
    """What one journal record said about a symbol: its book message, and the trades and statuses before that."""

    sequence: int
    at_ns: int
    book: Message
    others: tuple[tuple[str, Message], ...]  # with their channels


@dataclass(frozen=True, slots=True)
class Window:
    """How much of each symbol is kept for those who come back."""

    messages: int = 5_000
    age_ns: int = 120 * 10**9


@dataclass(slots=True)
class _Ladder:
    """One side's levels with their prices in order, best first."""

    sign: int  # -1 for bids: the highest price comes first
    levels: Levels = field(default_factory=dict)
    keys: list[int] = field(default_factory=list)

    def change(self, price_micros: int, quantity: int) -> None:
        size = self.levels.get(price_micros)
        if size is None:
            insort(self.keys, self.sign * price_micros)
        self.levels[price_micros] = (size or 0) + quantity

    def settle(self, price_micros: int) -> int:
        """The level's size; an empty level is dropped."""
        size = self.levels[price_micros]
        if not size:
            del self.levels[price_micros]
            del self.keys[bisect_left(self.keys, self.sign * price_micros)]
        return size

    def best(self, count: int | None = None) -> list[tuple[int, int]]:
        levels, sign = self.levels, self.sign
        return [(sign * key, levels[sign * key]) for key in self.keys[:count]]

    def top(self) -> tuple[int, int]:
        if not self.keys:
            return _EMPTY
        price_micros = self.sign * self.keys[0]
        return price_micros, self.levels[price_micros]


class SymbolBook:
    """``sequence``, ``epoch`` and ``at_ns`` are those of the symbol's last record."""

    def __init__(self, symbol: str, *, sequence: int, epoch: int, at_ns: int, window: Window) -> None:
        self.symbol = symbol
        self.sequence, self.epoch, self.at_ns = sequence, epoch, at_ns
        self.quote = Quote()
        self._sides = {BUY: _Ladder(-1), SELL: _Ladder(1)}
        self._keep = window
        self._window: deque[Replayed] = deque(maxlen=window.messages)
        self._whole: dict[str, Message] = {}  # as it is now, by the reason why it is sent

    def change(self, side: Side, price_micros: int, quantity: int) -> None:
        self._sides[side].change(price_micros, quantity)

    def levels(self, side: Side) -> Levels:
        return self._sides[side].levels

    def moved(self) -> Quote | None:
        """The quote, if it is not what it was when last asked."""
        quote = Quote(*self._sides[BUY].top(), *self._sides[SELL].top())
        if quote == self.quote:
            return None
        self.quote = quote
        return quote

    def advance(self, sequence: int, epoch: int, at_ns: int, touched: Iterable[tuple[Side, int]]) -> Message:
        """The record's own book message: the new sizes of the levels it touched."""
        self.sequence, self.epoch, self.at_ns = sequence, epoch, at_ns
        self._whole.clear()
        changed: dict[Side, list[tuple[int, int]]] = {BUY: [], SELL: []}
        for side, price_micros in touched:
            changed[side].append((price_micros, self._sides[side].settle(price_micros)))
        return Message(self._body(changed[BUY], changed[SELL]), at_ns)

    def whole(self, reason: str) -> Message:
        """The whole book as of the last record, which the next record's message follows."""
        message = self._whole.get(reason)
        if message is None:
            body = self._body(self._sides[BUY].best(), self._sides[SELL].best())
            message = self._whole[reason] = Message({**body, "r": True, "w": reason}, self.at_ns)
        return message

    def keep(self, replayed: Replayed) -> None:
        window, oldest_ns = self._window, replayed.at_ns - self._keep.age_ns
        window.append(replayed)
        while window[0].at_ns < oldest_ns:
            window.popleft()

    def after(self, sequence: int) -> list[Replayed] | None:
        """What was said after ``sequence``; None when not all of that is kept, or it lies too far ahead."""
        if sequence >= self.sequence:
            return [] if sequence - self.sequence <= self._keep.messages else None
        if not self._window or self._window[0].sequence > sequence + 1:
            return None
        return list(islice(self._window, sequence + 1 - self._window[0].sequence, None))

    def _body(self, bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> dict[str, Any]:
        return {
            "T": "o",
            "S": self.symbol,
            "q": self.sequence,
            "e": self.epoch,
            "t": rfc3339(self.at_ns),
            "b": [{"p": number_of(p), "s": number_of(s)} for p, s in bids],
            "a": [{"p": number_of(p), "s": number_of(s)} for p, s in asks],
            "c": book_checksum(*(self._sides[side].best(CHECKED_LEVELS) for side in (BUY, SELL))),
        }
