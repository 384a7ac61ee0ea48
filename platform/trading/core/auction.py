"""The auction: one price at which as much as possible trades, found from the book and carried out.

The rules are those of call auctions everywhere: maximum executable volume, then least imbalance, then nearest to the
reference price (compare the opening cross in Nasdaq's rule 4752(d)).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import accumulate

from trading.core import lifecycle
from trading.core.events import Uncrossed
from trading.core.instruments import next_above, next_below, rounded_down
from trading.core.order_book import Fill, OrderBook
from trading.core.orders import CancelReason, Instrument, Phase, TimeInForce
from trading.core.trades import trade
from trading.core.venue import Market, Order, Venue


def uncross(venue: Venue, market: Market, into: Phase) -> None:
    """Holds the auction that leads into ``into`` and cancels what was there for it alone."""
    instrument = market.instrument
    found = auction_price(instrument, market.book, market.reference_micros)
    if found is None:
        venue.events.append(Uncrossed(instrument.symbol, None, 0))
        _refer_to_middle(market)
    else:
        price_micros, quantity = found
        venue.events.append(Uncrossed(instrument.symbol, price_micros, quantity))
        _trade_all(venue, market, price_micros, quantity)
        market.refer_to(price_micros)
    auction_only = TimeInForce.OPG if into is Phase.CONTINUOUS else TimeInForce.CLS
    left = [
        order
        for order in market.resting.values()
        if not order.has_limit or order.accepted.time_in_force is auction_only
    ]
    for order in sorted(left, key=lambda order: order.order_id):
        lifecycle.cancel(venue, order, CancelReason.UNFILLED)


def auction_price(instrument: Instrument, book: OrderBook, reference_micros: int) -> tuple[int, int] | None:
    """(price, quantity) of the auction; None when nothing can trade."""
    bids, asks = list(book.bids.levels())[::-1], list(book.asks.levels())  # both from the lowest price on
    if not bids or not asks or bids[-1][0] < asks[0][0]:
        return None
    bid_prices, ask_prices = [price for price, _ in bids], [price for price, _ in asks]
    bought_below = [0, *accumulate(quantity for _, quantity in bids)]
    sold_up_to = [0, *accumulate(quantity for _, quantity in asks)]
    best: tuple[int, int, int, int] | None = None
    for price in _candidates(instrument, bid_prices, ask_prices, reference_micros):
        demand = bought_below[-1] - bought_below[bisect_left(bid_prices, price)]
        supply = sold_up_to[bisect_right(ask_prices, price)]
        rank = (-min(demand, supply), abs(demand - supply), abs(price - reference_micros), price)
        best = rank if best is None else min(best, rank)
    assert best is not None
    return best[3], -best[0]


def _candidates(instrument: Instrument, bids: list[int], asks: list[int], reference_micros: int) -> set[int]:
    """Enough prices to hold the best one.

    Between two neighbouring prices of the book demand and supply stay the same, so of those in between only the
    nearest to the reference can win: the reference itself, or the one beside either neighbour.
    """
    prices = {*bids, *asks}
    low, high = min(prices), max(prices)
    beside = {step(instrument, price) for price in prices for step in (next_above, next_below)}
    return prices | {price for price in {reference_micros, *beside} if low <= price <= high}


def _trade_all(venue: Venue, market: Market, price_micros: int, quantity: int) -> None:
    """Both sides in their order of priority; each pair trades what the smaller of the two still wants."""
    book, resting = market.book, market.resting
    bids = _orders(resting, book.bids.take(quantity, price_micros))
    asks = _orders(resting, book.asks.take(quantity, price_micros))
    buying = selling = 0
    while quantity:
        if not buying:
            buyer, buying = bids.pop()
        if not selling:
            seller, selling = asks.pop()
        filled = min(buying, selling)
        taker, maker = (buyer, seller) if buyer.order_id > seller.order_id else (seller, buyer)
        trade(venue, taker, maker, price_micros, filled, auction=True)
        buying, selling, quantity = buying - filled, selling - filled, quantity - filled


def _orders(resting: dict[int, Order], fills: list[Fill]) -> list[tuple[Order, int]]:
    """The orders and what each trades, the first to trade last."""
    return [(resting[place], filled) for place, _, filled, _ in reversed(fills)]


def _refer_to_middle(market: Market) -> None:
    """A halt that found no price leaves the market where its quotes are, or it would halt again at once."""
    bid, ask = market.book.bids.best(), market.book.asks.best()
    if market.phase is Phase.HALTED and bid is not None and ask is not None:
        market.refer_to(rounded_down(market.instrument, (bid + ask) // 2))
