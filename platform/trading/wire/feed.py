"""The feed's market messages and the reference client's half of the contract: how a book is built from them.

A frame is an array of messages, in JSON or MessagePack; what answers a request is alone in its frame. Field names
follow Alpaca's streams (https://docs.alpaca.markets/docs/real-time-stock-pricing-data; the books those for crypto:
``T``, ``S``, ``b``/``a`` with ``p``/``s``, ``r``). Added are ``q``, the symbol's sequence number, taken from the
journal, and ``e``, the epoch of the engine that wrote the record: who has seen an epoch drops what an older one says.

| message | fields |
|---|---|
| book ``o`` | S, q, e, t, b and a changed levels [{p, s new size or 0}], c checksum; r true: the whole book, w: why |
| trade ``t`` | S, q, e, i trade id, p price, s size, x, c, z, t |
| quote ``q`` | S, q, e, bp, bs, ap, as, bx, ax, c, z, t |
| bars ``b``, ``u``, ``d`` | S, o, h, l, c, v, n, vw, t |
| status ``s`` | S, q, e, sc, sm status code and message, rc, rm reason, t, z; phase, reopens_at |
| heartbeat ``h`` | e, q: {symbol: last sequence} |
| ``success``, ``subscription``, ``error`` | msg; symbols by channel; code, msg |

Every sequence number of a symbol has exactly one ``o`` message, if need be with no levels in it, so a client sees
any gap at once. Trades, statuses and quotes carry the number of the ``o`` message of the same record. The bytes follow
from the journal alone, so they are the same on every feed: a client cut off from one subscribes at another with
``resume_from: {symbol: last sequence}`` and gets what it missed, trades and statuses included. A whole book comes
instead, and ``w`` says why: ``new`` (first subscription), ``late`` (the feed no longer keeps, or never saw, what was
missed), ``lag`` (this client was too slow for every change), ``listed`` (the book begins).

Checksum: CRC-32 of the ten best levels a side after the message, best first, each as ``price:size`` in integer
millionths, separated by commas; bids, then ``|``, then asks. Outside continuous trading a book may well be crossed: its
orders wait for an auction. Prices are numbers of dollars, sizes of shares; six decimals at most, so ``micros_of`` gets
back exactly what was sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from heapq import nlargest, nsmallest
from typing import Any, Final
from zlib import crc32

MICROS: Final = 1_000_000  # of a dollar or a share
CHECKED_LEVELS: Final = 10  # of each side
_REMEMBERED: Final = 50_000  # trades and statuses, so that what is repeated after an interruption counts once

Levels = dict[int, int]  # price in micro-dollars -> micro-shares


class FeedGapError(Exception):
    """A sequence number is missing: the book is no longer to be trusted until what was missed has come."""

    def __init__(self, symbol: str, expected: int, received: int) -> None:
        super().__init__(f"{symbol}: expected sequence {expected}, received {received}")
        self.symbol, self.expected, self.received = symbol, expected, received


class FeedChecksumError(Exception):
    """The book built is not the one that was sent: only a whole book helps."""

    def __init__(self, symbol: str, sequence: int) -> None:
        super().__init__(f"{symbol}: the book at sequence {sequence} has another checksum than the feed's")
        self.symbol, self.sequence = symbol, sequence


@dataclass(slots=True)
class BookBuilder:
    """One symbol's book, rebuilt from ``o`` messages: a whole book, then changes without a gap."""

    symbol: str
    sequence: int | None = None
    bids: Levels = field(default_factory=dict)
    asks: Levels = field(default_factory=dict)
    epoch: int = 0

    def apply(self, message: Mapping[str, Any]) -> bool:
        """Whether it changed anything: what is of an older epoch, or was there already, does not.

        Raises FeedGapError for a change that does not follow the last one, FeedChecksumError when the result differs
        from the feed's book.
        """
        sequence, epoch = message["q"], message.get("e", 0)
        if epoch < self.epoch or (self.sequence is not None and sequence <= self.sequence):
            return False
        if message.get("r"):
            self.bids.clear()
            self.asks.clear()
        elif self.sequence is None or sequence > self.sequence + 1:
            raise FeedGapError(self.symbol, 0 if self.sequence is None else self.sequence + 1, sequence)
        for levels, changes in ((self.bids, message["b"]), (self.asks, message["a"])):
            for level in changes:
                price_micros = micros_of(level["p"])
                if level["s"]:
                    levels[price_micros] = micros_of(level["s"])
                else:
                    levels.pop(price_micros, None)
        self.sequence, self.epoch = sequence, epoch
        if message.get("c", (checksum := self.checksum())) != checksum:
            raise FeedChecksumError(self.symbol, sequence)
        return True

    def missed(self, last: int) -> None:
        """Takes a heartbeat's word. Raises FeedGapError when this book is older than that."""
        if self.sequence is not None and last > self.sequence:
            raise FeedGapError(self.symbol, self.sequence + 1, last)

    def checksum(self) -> int:
        return book_checksum(
            nlargest(CHECKED_LEVELS, self.bids.items()),
            nsmallest(CHECKED_LEVELS, self.asks.items()),
        )


class FeedState:
    """All that a client knows: books, and which trades and statuses it has seen. Knows nothing of sockets."""

    def __init__(self) -> None:
        self.books: dict[str, BookBuilder] = {}
        self.epoch = 0
        self._seen: dict[tuple[str, str, int], None] = {}

    def take(self, message: Mapping[str, Any]) -> bool:
        """Whether the message is news; what is of an older epoch, or came before, is none.

        Raises FeedGapError or FeedChecksumError: connect again, to any feed, and subscribe with ``resume_from``.
        """
        kind, symbol = message.get("T"), message.get("S", "")
        epoch, book = message.get("e", 0), self.books.get(symbol)
        if epoch < (self.epoch if book is None else book.epoch):
            return False
        self.epoch = max(self.epoch, epoch)
        match kind:
            case "o":
                return self._take_book(symbol, message)
            case "h":
                for other, last in message["q"].items():
                    if other in self.books:
                        self.books[other].missed(last)
                return True
            case "t" | "s":
                return self._is_new((kind, symbol, message["i"] if kind == "t" else message["q"]))
            case _:
                return True

    def resume_from(self) -> dict[str, int]:
        """What to subscribe the books with after an interruption."""
        return {symbol: book.sequence for symbol, book in self.books.items() if book.sequence is not None}

    def _take_book(self, symbol: str, message: Mapping[str, Any]) -> bool:
        book = self.books.setdefault(symbol, BookBuilder(symbol))
        try:
            return book.apply(message)
        except FeedChecksumError:
            del self.books[symbol]
            raise

    def _is_new(self, key: tuple[str, str, int]) -> bool:
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return True


def book_checksum(bids: Iterable[tuple[int, int]], asks: Iterable[tuple[int, int]]) -> int:
    """Of (price, size) in millionths, the ten best of each side, best first."""
    sides = (",".join([f"{price_micros}:{size}" for price_micros, size in side]) for side in (bids, asks))
    return crc32("|".join(sides).encode())


def micros_of(number: float) -> int:
    """The exact millionths behind a price or size that travelled as a JSON number."""
    return round(number * MICROS)


def number_of(micros: int) -> float:
    """Millionths as a JSON number; whole ones stay integers, which are exact at any size."""
    whole, fraction = divmod(micros, MICROS)
    return micros / MICROS if fraction else whole
