"""Bars written down as one would explain them: look at all trades of the time, every time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from trading.core.events import Traded
from trading.wire.orders import rfc3339

from .history import Print

_MINUTES = {"Min": 1, "Hour": 60}


def beginning_of(at_ns: int, timeframe: str) -> datetime:
    at = datetime.fromtimestamp(at_ns // 10**9, UTC)
    midnight = at.replace(hour=0, minute=0, second=0)
    unit = timeframe.lstrip("0123456789")
    amount = int(timeframe.removesuffix(unit))
    match unit:
        case "Day":
            return midnight
        case "Week":
            return midnight - timedelta(days=midnight.weekday())
        case "Month":
            return midnight.replace(day=1, month=(at.month - 1) // amount * amount + 1)
        case _:
            width = timedelta(minutes=amount * _MINUTES[unit])
            return midnight + (at - midnight) // width * width


def naive_bars(prints: Iterable[Print], symbol: str, timeframe: str) -> list[dict[str, Any]]:
    """As Alpaca shows them, but for ``vw``, which is exact."""
    groups: dict[datetime, list[Traded]] = {}
    for trade, at_ns in prints:
        if trade.symbol == symbol:
            groups.setdefault(beginning_of(at_ns, timeframe), []).append(trade)
    return [_bar(start, trades) for start, trades in sorted(groups.items())]


def _bar(start: datetime, trades: list[Traded]) -> dict[str, Any]:
    prices = [trade.price_micros / 10**6 for trade in trades]
    volume = sum(trade.quantity for trade in trades)
    value = sum(trade.price_micros * trade.quantity for trade in trades)
    return {
        "t": f"{start:%Y-%m-%dT%H:%M:%SZ}",
        "o": prices[0],
        "h": max(prices),
        "l": min(prices),
        "c": prices[-1],
        "v": volume / 10**6,
        "n": len(trades),
        "vw": Fraction(value, volume * 10**6),
    }


def without_vw(bars: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in bar.items() if name != "vw"} for bar in bars]


def shown_trade(trade: Traded, at_ns: int) -> dict[str, Any]:
    return {
        "t": rfc3339(at_ns),
        "x": "E",
        "p": trade.price_micros / 10**6,
        "s": trade.quantity / 10**6,
        "c": ["@", "X"] if trade.auction else ["@"],
        "i": trade.trade_id,
        "z": "C",
    }
