"""The feed's messages and the reference client's half of the contract: how a book is built from them.

A frame is a JSON array of messages. Field names follow Alpaca's streams
(https://docs.alpaca.markets/docs/real-time-crypto-pricing-data: ``T``, ``S``, ``b``/``a`` with ``p``/``s``, ``r``),
with ``q`` added: the symbol's sequence number, taken from the journal, plus one with every book message.

| message | fields |
|---|---|
| book ``o`` | S symbol, q sequence, e epoch, t time, b, a changed levels [{p, s new size or 0}], r true: snapshot |
| trade ``t`` | S, q, i trade id, p price, s size, t time |
| status ``s`` | S, q, sc, sm status code and message, rc, rm reason, t time, z tape; phase, reopens_at |
| heartbeat ``h`` | q: {symbol: last sequence} |
| ``success``, ``subscription``, ``error`` | msg; orderbooks, trades, statuses; code, msg |

Every sequence number of a symbol has exactly one ``o`` message, if need be with no levels in it, so a client sees
any gap at once. Trades and statuses carry the number of the ``o`` message that follows them. Outside continuous
trading a book may well be crossed: its orders wait for an auction. Prices are JSON numbers of dollars, sizes of shares;
six decimals at most, so ``micros_of`` gets back exactly what was sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MICROS: Final = 1_000_000  # of a dollar or a share

Levels = dict[int, int]  # price in micro-dollars -> micro-shares


class FeedGapError(Exception):
    """A sequence number is missing or came twice: the book is no longer to be trusted before a new snapshot."""

    def __init__(self, symbol: str, expected: int, received: int) -> None:
        super().__init__(f"{symbol}: expected sequence {expected}, received {received}")
        self.symbol, self.expected, self.received = symbol, expected, received


@dataclass(slots=True)
class BookBuilder:
    """One symbol's book, rebuilt from ``o`` messages: a snapshot, then deltas without a gap."""

    symbol: str
    sequence: int | None = None
    bids: Levels = field(default_factory=dict)
    asks: Levels = field(default_factory=dict)

    def apply(self, message: Mapping[str, Any]) -> None:
        """Raises FeedGapError when ``message`` is a delta that does not follow the last one."""
        if message.get("r"):
            self.bids.clear()
            self.asks.clear()
        else:
            expected = 0 if self.sequence is None else self.sequence + 1
            if message["q"] != expected:
                raise FeedGapError(self.symbol, expected, message["q"])
        self.sequence = message["q"]
        for levels, changes in ((self.bids, message["b"]), (self.asks, message["a"])):
            for level in changes:
                price_micros = micros_of(level["p"])
                if level["s"]:
                    levels[price_micros] = micros_of(level["s"])
                else:
                    levels.pop(price_micros, None)


def micros_of(number: float) -> int:
    """The exact millionths behind a price or size that travelled as a JSON number."""
    return round(number * MICROS)


def number_of(micros: int) -> float:
    """Millionths as a JSON number; whole ones stay integers, which are exact at any size."""
    whole, fraction = divmod(micros, MICROS)
    return micros / MICROS if fraction else whole
