"""Prices and quantities an instrument allows: ticks, lots, and how far an order or the market may reach."""

from __future__ import annotations

from typing import Final

from trading.core.events import CASH, Refused
from trading.core.orders import (
    BUY,
    MAX_PRICE_MICROS,
    MAX_QUANTITY,
    MICROS_PER_DOLLAR,
    MICROS_PER_SHARE,
    PPM,
    Instrument,
    RejectReason,
    Side,
)

MAX_SYMBOL_LENGTH: Final = 16
MAX_HALT_NS: Final = 10**15


def tick_at(instrument: Instrument, price_micros: int) -> int:
    return instrument.tick_micros if price_micros >= MICROS_PER_DOLLAR else instrument.sub_dollar_tick_micros


def is_price(instrument: Instrument, price_micros: int) -> bool:
    return 0 < price_micros <= MAX_PRICE_MICROS and not price_micros % tick_at(instrument, price_micros)


def rounded_down(instrument: Instrument, price_micros: int) -> int:
    """To a price on tick; at least the least one."""
    tick = tick_at(instrument, price_micros)
    return max(price_micros // tick * tick, instrument.sub_dollar_tick_micros)


def rounded_up(instrument: Instrument, price_micros: int) -> int:
    """To a price on tick; at most the greatest one."""
    tick = tick_at(instrument, price_micros)
    return min(-(-price_micros // tick) * tick, MAX_PRICE_MICROS)


def next_above(instrument: Instrument, price_micros: int) -> int:
    return price_micros + tick_at(instrument, price_micros)


def next_below(instrument: Instrument, price_micros: int) -> int:
    return price_micros - tick_at(instrument, price_micros - 1)


def collar_edge(instrument: Instrument, side: Side, price_micros: int) -> int:
    """The worst price an order may reach for when the market is at ``price_micros``, on tick."""
    reach = price_micros * instrument.collar_ppm // PPM
    if side is BUY:
        return min(rounded_down(instrument, price_micros + reach), MAX_PRICE_MICROS)
    return rounded_up(instrument, max(price_micros - reach, instrument.sub_dollar_tick_micros))


def bands(instrument: Instrument, reference_micros: int) -> tuple[int, int] | None:
    """The lowest and highest price of continuous trading; None when nothing bounds it."""
    if not instrument.band_ppm:
        return None
    reach = reference_micros * instrument.band_ppm // PPM
    return reference_micros - reach, reference_micros + reach


def check_instrument(instrument: Instrument) -> Refused | None:
    symbol, tick, sub_dollar_tick, lot, reference, collar_ppm, band_ppm, halt_ns = instrument[:8]
    visible = symbol.isascii() and symbol.isprintable() and " " not in symbol
    valid = {
        "symbol": 0 < len(symbol) <= MAX_SYMBOL_LENGTH and visible and symbol != CASH,
        "tick_micros": tick > 0 and not MICROS_PER_DOLLAR % tick,
        "sub_dollar_tick_micros": sub_dollar_tick > 0 and not tick % sub_dollar_tick,
        "lot": 0 < lot <= MAX_QUANTITY and not lot % MICROS_PER_SHARE,
        "collar_ppm": 0 < collar_ppm <= PPM,
        "band_ppm": 0 <= band_ppm <= PPM,
        "halt_ns": 0 <= halt_ns <= MAX_HALT_NS,
    }
    wrong = [name for name, holds in valid.items() if not holds]
    if not wrong and not is_price(instrument, reference):
        wrong = ["reference_price_micros"]
    if not wrong:
        return None
    given = ", ".join(f"{name} {shown(getattr(instrument, name))}" for name in wrong)
    return Refused(RejectReason.INVALID_SETTING, f"no instrument can have {given}")


def shown(value: int | str | None) -> str:
    """A value from outside, short enough for a message. Python itself refuses to print the very largest integers."""
    if isinstance(value, int) and value.bit_length() > 128:
        return f"of {value.bit_length()} bits"
    return repr(value[:64] if isinstance(value, str) else value)
