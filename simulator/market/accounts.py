"""The accounts a market trades with; an account's name says the kind of trader and its symbol."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from trading.core.orders import MICROS_PER_DOLLAR

NOISE_TRADERS = 4
_CASH_MICROS = 50_000_000 * MICROS_PER_DOLLAR
_SHARES = 500_000


class TraderKind(StrEnum):
    MAKER = "maker"
    NOISE = "noise"
    MOMENTUM = "momentum"


def market_accounts(symbols: Iterable[str], *, noise_traders: int = NOISE_TRADERS) -> list[tuple[str, int, int]]:
    """What to seed: (name, cash in micro-dollars, shares of its symbol) of every account of these markets."""
    return [
        (name, _CASH_MICROS, _SHARES)
        for symbol in symbols
        for name in (
            f"{TraderKind.MAKER}-{symbol}",
            *(f"{TraderKind.NOISE}-{symbol}-{number + 1}" for number in range(noise_traders)),
            f"{TraderKind.MOMENTUM}-{symbol}",
        )
    ]


def market_role(name: str) -> tuple[TraderKind, str] | None:
    """The kind of trader and the symbol behind an account's name; None for accounts outside the market."""
    kind, dash, rest = name.partition("-")
    if not dash or kind not in list(TraderKind):
        return None
    return TraderKind(kind), rest.partition("-")[0]
