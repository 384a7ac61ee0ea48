"""Auction traders: orders for the opening call near what they think the asset is worth, and at any price for the close.

Index funds must trade at the closing price (Bogousslavsky and Muravyev, Who trades at the close?, J. Financ. Markets 66
(2023) 100852); at the open overnight news is priced (Madhavan and Panchapagesan, Rev. Financ. Stud. 13 (2000) 627).
"""

from __future__ import annotations

from typing import Literal

from simulator.days.desk import Change, Desk, Order
from simulator.days.model import Chance, Group, Positive, Sigma
from trading.core.orders import BUY, SELL, Phase, Side, TimeInForce


class AuctionGroup(Group):
    """``at_market`` of the orders take any price. ``lean`` is the share of buyers at the close beyond one half."""

    kind: Literal["auction"]
    error_bp: Positive = 30.0
    median_shares: Positive = 200.0
    size_sigma: Sigma = 0.8
    at_market: Chance = 0.3
    lean: Chance = 0.0

    def trader(self, desk: Desk) -> Auction:
        return Auction(self)


class Auction:
    in_calls = True

    def __init__(self, options: AuctionGroup) -> None:
        self._options = options

    def act(self, desk: Desk) -> None:
        options, stream = self._options, desk.stream
        phase = desk.listing.phase
        side: Side = BUY if stream.below(0.5 + (options.lean / 2 if phase is Phase.PRE_CLOSE else 0.0)) else SELL
        shares = max(1, int(stream.lognormal(options.median_shares, options.size_sigma)))
        at_market, error = stream.below(options.at_market), stream.normal()
        if phase is Phase.PRE_OPEN:
            time_in_force = TimeInForce.OPG
        elif phase is Phase.PRE_CLOSE:
            time_in_force = TimeInForce.CLS
        else:
            return
        if at_market:
            desk.market(side, shares, time_in_force)
        else:
            price = desk.worth_micros() * (1.0 + error * options.error_bp * 1e-4)
            desk.limit(side, shares, price, time_in_force)

    def learn(self, desk: Desk, order: Order, change: Change, quantity: int, price_micros: int) -> None:
        pass
