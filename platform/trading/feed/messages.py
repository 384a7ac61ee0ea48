"""One message of the feed: encoded once in each format somebody asked for, and the bodies that stand for one event."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from trading.core.events import PhaseChanged, Traded
from trading.core.orders import NS_PER_S, Phase
from trading.wire.journal import JournalRecord
from trading.wire.market_data import Bar, Quote, bar_fields, quote_fields, trade_fields
from trading.wire.orders import rfc3339

encode_json: Final = msgspec.json.Encoder().encode
_decode_json: Final = msgspec.json.Decoder(dict[str, Any]).decode
encode_msgpack: Final = msgspec.msgpack.Encoder().encode
_TIMESTAMP: Final = -1  # the extension type that MessagePack itself defines


class Message:
    """A market message. Its JSON follows from the journal alone; MessagePack is made of that when first needed."""

    __slots__ = ("_at_ns", "_msgpack", "json")

    def __init__(self, body: dict[str, Any], at_ns: int | None) -> None:
        """``at_ns`` is the moment that stands as ``t`` in the body, if there is one."""
        self.json = encode_json(body)
        self._at_ns = at_ns
        self._msgpack: bytes | None = None

    @property
    def msgpack(self) -> bytes:
        if self._msgpack is None:
            body = _decode_json(self.json)
            if self._at_ns is not None:
                body["t"] = timestamp(self._at_ns)
            self._msgpack = encode_msgpack(body)
        return self._msgpack


def timestamp(at_ns: int) -> msgspec.msgpack.Ext:
    """A point in time as MessagePack's 64-bit timestamp: 30 bits of nanoseconds, 34 of seconds."""
    seconds, nanos = divmod(at_ns, NS_PER_S)
    return msgspec.msgpack.Ext(_TIMESTAMP, (nanos << 34 | seconds).to_bytes(8, "big"))


# -- bodies ----------------------------------------------------------------------------------------

# Codes and words of the consolidated tape, which Alpaca hands on
# (https://docs.alpaca.markets/docs/real-time-stock-pricing-data, trading statuses).
_STATUSES: Final = {
    Phase.CLOSED: ("H", "Trading Halt"),
    Phase.PRE_OPEN: ("Q", "Quotation Resumption"),
    Phase.CONTINUOUS: ("T", "Trading Resumption"),
    Phase.HALTED: ("H", "Trading Halt"),
    Phase.PRE_CLOSE: ("Q", "Quotation Resumption"),
}
_VOLATILITY_PAUSE: Final = ("P", "Volatility Trading Pause")
_NO_REASON: Final = ("", "")
_LIMIT_UP_LIMIT_DOWN: Final = ("LUDP", "Volatility Trading Pause")


def trade_message(trade: Traded, record: JournalRecord) -> Message:
    fields = trade_fields(
        trade_id=trade.trade_id,
        at_ns=record.at_ns,
        price_micros=trade.price_micros,
        quantity=trade.quantity,
        auction=trade.auction,
    )
    return Message({**_head("t", trade.symbol, record), **fields}, record.at_ns)


def quote_message(symbol: str, quote: Quote, record: JournalRecord) -> Message:
    return Message({**_head("q", symbol, record), **quote_fields(quote, record.at_ns)}, record.at_ns)


def bar_message(kind: str, bar: Bar) -> Message:
    """``kind``: b a finished minute, u one that changed afterwards, d the day so far."""
    return Message({"T": kind, "S": bar.symbol, **bar_fields(bar)}, bar.start_ns)


def status_message(change: PhaseChanged, record: JournalRecord) -> Message:
    """The tape's status; ``phase`` and, for a volatility halt, ``reopens_at`` say it in the market's own words."""
    paused = change.reopens_at_ns is not None
    status, words = _VOLATILITY_PAUSE if paused else _STATUSES[change.phase]
    reason, reason_words = _LIMIT_UP_LIMIT_DOWN if paused else _NO_REASON
    fields = {
        "sc": status,
        "sm": words,
        "rc": reason,
        "rm": reason_words,
        "t": rfc3339(record.at_ns),
        "z": "",
        "phase": change.phase.value,
        "reopens_at": None if change.reopens_at_ns is None else rfc3339(change.reopens_at_ns),
    }
    return Message({**_head("s", change.symbol, record), **fields}, record.at_ns)


def _head(kind: str, symbol: str, record: JournalRecord) -> dict[str, Any]:
    return {"T": kind, "S": symbol, "q": record.symbol_sequence, "e": record.epoch}
