"""Whoever makes a day's mistake: waits with an account that can pay for it, and does nothing of its own.

As the seller of 610,000 shares for one yen each, meant the other way round (Tokyo, 8 December 2005).
"""

from __future__ import annotations

from simulator.days.desk import Change, Desk, Order
from trading.core.orders import BUY, Side, TimeInForce


class Clumsy:
    in_calls = False

    def act(self, desk: Desk) -> None:
        pass

    def slip(self, desk: Desk, side: Side, shares: int, reach: float) -> Order | None:
        """One order that takes everything up to ``reach`` (a fraction) from the last price."""
        last_micros = desk.listing.last_micros
        return desk.limit(side, shares, last_micros * (1 + reach if side is BUY else 1 - reach), TimeInForce.IOC)

    def learn(self, desk: Desk, order: Order, change: Change, quantity: int, price_micros: int) -> None:
        pass
