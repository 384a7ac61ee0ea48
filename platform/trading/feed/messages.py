"""The feed's market messages that stand for one event each: trades and trading statuses."""

from __future__ import annotations

from typing import Any, Final

from trading.core.events import PhaseChanged, Traded
from trading.core.orders import Phase
from trading.wire.feed import number_of
from trading.wire.journal import JournalRecord
from trading.wire.orders import rfc3339

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


def trade_message(trade: Traded, record: JournalRecord) -> dict[str, Any]:
    return {
        "T": "t",
        "S": trade.symbol,
        "q": record.symbol_sequence,
        "i": trade.trade_id,
        "p": number_of(trade.price_micros),
        "s": number_of(trade.quantity),
        "t": rfc3339(record.at_ns),
    }


def status_message(change: PhaseChanged, record: JournalRecord) -> dict[str, Any]:
    """The tape's status; ``phase`` and, for a volatility halt, ``reopens_at`` say it in the market's own words."""
    paused = change.reopens_at_ns is not None
    status, words = _VOLATILITY_PAUSE if paused else _STATUSES[change.phase]
    reason, reason_words = _LIMIT_UP_LIMIT_DOWN if paused else _NO_REASON
    return {
        "T": "s",
        "S": change.symbol,
        "q": record.symbol_sequence,
        "sc": status,
        "sm": words,
        "rc": reason,
        "rm": reason_words,
        "t": rfc3339(record.at_ns),
        "z": "",
        "phase": change.phase.value,
        "reopens_at": None if change.reopens_at_ns is None else rfc3339(change.reopens_at_ns),
    }
