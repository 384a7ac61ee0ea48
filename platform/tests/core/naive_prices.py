"""Prices as the naive exchange reckons them: ticks, collars, bands, trailing stops and the auction's price."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trading.core.orders import Instrument, Side

DOLLAR, SHARE = 10**6, 10**6
MAX_PRICE = 10**6 * DOLLAR


def ceil_div(amount: int, by: int) -> int:
    return -(-amount // by)


def tick_at(instrument: Instrument, price: int) -> int:
    return instrument.tick_micros if price >= DOLLAR else instrument.sub_dollar_tick_micros


def is_price(instrument: Instrument, price: int) -> bool:
    return 1 <= price <= MAX_PRICE and price % tick_at(instrument, price) == 0


def down_to_tick(instrument: Instrument, price: int) -> int:
    return price // tick_at(instrument, price) * tick_at(instrument, price)


def up_to_tick(instrument: Instrument, price: int) -> int:
    return ceil_div(price, tick_at(instrument, price)) * tick_at(instrument, price)


def collar_edge(instrument: Instrument, side: Side, price: int) -> int:
    """How far an order may reach from a price."""
    reach = price * instrument.collar_ppm // 10**6
    if side is Side.BUY:
        return min(MAX_PRICE, down_to_tick(instrument, price + reach))
    return max(instrument.sub_dollar_tick_micros, up_to_tick(instrument, price - reach))


def within_band(instrument: Instrument, reference: int, price: int) -> bool:
    reach = reference * instrument.band_ppm // 10**6
    return instrument.band_ppm == 0 or reference - reach <= price <= reference + reach


def trailing_stop(instrument: Instrument, side: Side, high_water_mark: int, trail: int | None, ppm: int | None) -> int:
    distance = trail if trail is not None else high_water_mark * (ppm or 0) // 10**6
    if side is Side.SELL:
        return max(instrument.sub_dollar_tick_micros, down_to_tick(instrument, high_water_mark - distance))
    return min(MAX_PRICE, up_to_tick(instrument, high_water_mark + distance))


def prices_between(instrument: Instrument, low: int, high: int) -> Iterator[int]:
    price = low
    while price <= high:
        yield price
        price += tick_at(instrument, price)


def auction_price(
    instrument: Instrument, reference: int, buys: Sequence[tuple[int, int]], sales: Sequence[tuple[int, int]]
) -> int | None:
    """Every price at which anything can trade is tried; buys and sales are (price, shares) of the orders."""
    if not buys or not sales:
        return None
    tried = []
    for price in prices_between(instrument, min(price for price, _ in sales), max(price for price, _ in buys)):
        demand = sum(shares for limit, shares in buys if limit >= price)
        supply = sum(shares for limit, shares in sales if limit <= price)
        tried.append((-min(demand, supply), abs(demand - supply), abs(price - reference), price))
    return min(tried)[3] if tried else None
