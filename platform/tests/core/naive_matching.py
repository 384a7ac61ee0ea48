"""How orders enter the naive exchange's markets, meet there, trigger one another and are called to an auction."""

from __future__ import annotations

from trading.core.events import (
    CASH,
    FEES,
    ROUNDING,
    OrderActivated,
    OrderRested,
    OrderTriggered,
    PhaseChanged,
    Traded,
    Uncrossed,
)
from trading.core.orders import CancelReason, OrderType, Phase, SelfTrade, Side, TimeInForce, TradeId

from .naive_checks import Checks
from .naive_prices import SHARE, auction_price, ceil_div, collar_edge, down_to_tick, within_band
from .naive_records import AVAILABLE, RESERVED, Market, Order
from .naive_terms import LASTING, opposite, reaches

CENT = 10_000


class Matching(Checks):
    def __init__(self) -> None:
        super().__init__()
        self.queue: list[Order] = []  # filled entries with legs to activate, and elected stops

    def enter(self, order: Order) -> None:
        market = self.markets[order.symbol]
        if order.is_stop:
            if order.order_type is OrderType.TRAILING_STOP and order.high_water_mark is None:
                order.high_water_mark = market.mark
        elif order.lasting is TimeInForce.CLS and market.phase is not Phase.PRE_CLOSE:
            pass
        elif market.phase is not Phase.CONTINUOUS:
            self.rest(order)
        else:
            self.match(order, market)
            if order in self.open and order.limit is not None and order.lasting in LASTING:
                self.rest(order)
            elif order in self.open:
                self.end(order, CancelReason.UNFILLED)

    def rest(self, order: Order, place: int | None = None) -> None:
        market = self.markets[order.symbol]
        if place is None:
            market.places += 1
        order.place = place or market.places
        of = (order.order_id, order.symbol, order.side)
        self.events.append(OrderRested(*of, order.price, order.leaves, order.place))

    def match(self, order: Order, market: Market) -> None:
        if order.lasting is TimeInForce.FOK and self.to_be_had(order, market) < order.leaves:
            return
        while order in self.open:
            others = self.resting(order.symbol, opposite(order.side))
            if not others or not reaches(order, others[0].price):
                return
            if not within_band(market.instrument, market.reference, others[0].price):
                if order.lasting is not TimeInForce.FOK:
                    self.change_phase(market, Phase.HALTED, self.now_ns + market.instrument.halt_ns)
                return
            if others[0].account == order.account:
                self.prevent_self_trade(order, others[0])
            else:
                self.trade(others[0], order, others[0].price, auction=False)

    def change_phase(self, market: Market, phase: Phase, reopens_at: int | None = None) -> None:
        market.phase = phase
        self.events.append(PhaseChanged(market.instrument.symbol, phase, market.reference, reopens_at))

    def to_be_had(self, order: Order, market: Market) -> int:
        """What a fill-or-kill order can get."""
        shares = 0
        for other in self.resting(order.symbol, opposite(order.side)):
            inside = within_band(market.instrument, market.reference, other.price)
            if not reaches(order, other.price) or not inside:
                break
            if other.account != order.account:
                shares += other.leaves
            elif self.accounts[order.account].terms.self_trade is not SelfTrade.CANCEL_OLDEST:
                break
        return shares

    def prevent_self_trade(self, taker: Order, maker: Order) -> None:
        mode = self.accounts[taker.account].terms.self_trade
        if mode is SelfTrade.DECREMENT:
            both = min(taker.leaves, maker.leaves)
            self.take_away(maker, both)
            self.take_away(taker, both)
        if mode in {SelfTrade.CANCEL_OLDEST, SelfTrade.CANCEL_BOTH}:
            self.end(maker, CancelReason.SELF_TRADE)
        if mode in {SelfTrade.CANCEL_NEWEST, SelfTrade.CANCEL_BOTH}:
            self.end(taker, CancelReason.SELF_TRADE)

    def take_away(self, order: Order, quantity: int) -> None:
        if order.leaves == quantity:
            self.end(order, CancelReason.SELF_TRADE)
            return
        self.reduce(order, quantity, CancelReason.SELF_TRADE)
        if order.sibling is not None:
            self.reduce(order.sibling, quantity, CancelReason.GROUP)

    def trade(self, maker: Order, taker: Order, price: int, *, auction: bool) -> None:
        market, quantity = self.markets[maker.symbol], min(maker.leaves, taker.leaves)
        reserved_before = {order: self.reservation(order)[1] for order in (maker, taker)}
        self.trades += 1
        for order in (maker, taker):
            order.leaves -= quantity
            order.filled += quantity
        of_maker = (maker.order_id, maker.account, maker.leaves)
        of_taker = (taker.order_id, taker.account, taker.leaves)
        of_trade = (TradeId(self.trades), maker.symbol, price, quantity, taker.side)
        self.events.append(Traded(*of_trade, *of_maker, *of_taker, auction))
        buyer, seller = (taker, maker) if taker.side is Side.BUY else (maker, taker)
        value = quantity * price // SHARE
        self.count_cost(buyer, seller, quantity, value)
        self.post((buyer.account, RESERVED), (seller.account, AVAILABLE), CASH, value)
        self.post((seller.account, RESERVED), (buyer.account, AVAILABLE), maker.symbol, quantity)
        paid = {maker: 0, taker: 0} if auction else self.charge_fees(maker, taker, value)
        self.charge_regulator(seller.account, quantity, value, value - paid[seller])
        saved = reserved_before[buyer] - value - paid[buyer] - self.reservation(buyer)[1]
        self.post((buyer.account, RESERVED), (buyer.account, AVAILABLE), CASH, saved)
        market.last_price = price
        for order in (maker, taker):
            if not order.leaves:
                self.open.remove(order)
            if order.sibling is not None:
                self.keep_in_step(order, order.sibling, quantity)
        self.queue += [order for order in (maker, taker) if not order.leaves and order.legs]
        self.elect(market, price)

    def count_cost(self, buyer: Order, seller: Order, quantity: int, value: int) -> None:
        if buyer.account == seller.account:
            return
        of_buyer = self.cost_after_buying(buyer.account, buyer.symbol, quantity, value)
        of_seller = self.cost_after_selling(seller.account, seller.symbol, quantity, value)
        self.costs[buyer.account, buyer.symbol] = of_buyer
        self.costs[seller.account, seller.symbol] = of_seller

    def charge_fees(self, maker: Order, taker: Order, value: int) -> dict[Order, int]:
        """What each of the two paid; a rebate is no payment."""
        rates = {taker: self.fees.taker_ppb, maker: max(self.fees.maker_ppb, 0)}
        paid = {order: value * rate // 10**9 for order, rate in rates.items()}
        for order, fee in paid.items():
            bucket = RESERVED if order.side is Side.BUY else AVAILABLE
            self.post((order.account, bucket), (FEES, AVAILABLE), CASH, fee)
        rebate = value * max(-self.fees.maker_ppb, 0) // 10**9
        self.post((FEES, AVAILABLE), (maker.account, AVAILABLE), CASH, rebate)
        return paid

    def charge_regulator(self, seller: int, quantity: int, value: int, at_most: int) -> None:
        fees = self.fees
        per_share = quantity * fees.regulatory_nanos_per_share // (1000 * SHARE)
        exact = value * fees.regulatory_ppb // 10**9 + min(fees.regulatory_cap_micros, per_share)
        charged = min(ceil_div(exact, CENT) * CENT, at_most)
        exact = min(exact, at_most)
        self.post((seller, AVAILABLE), (FEES, AVAILABLE), CASH, exact)
        self.post((seller, AVAILABLE), (ROUNDING, AVAILABLE), CASH, charged - exact)

    def keep_in_step(self, traded: Order, sibling: Order, quantity: int) -> None:
        if sibling not in self.open:
            return
        if traded.leaves:
            self.reduce(sibling, quantity, CancelReason.GROUP)
        else:
            self.end(sibling, CancelReason.GROUP)

    def elect(self, market: Market, price: int) -> None:
        """Trailing stops follow the trade; then those it reaches are elected."""
        waiting = [o for o in self.in_order_of_ids(market.instrument.symbol) if self.waits_for_a_trade(o)]
        for order in waiting:
            if order.high_water_mark is not None:
                best = max if order.side is Side.SELL else min
                order.high_water_mark = best(order.high_water_mark, price)
        for order in waiting:
            stop = self.stop_price(order)
            if stop >= price if order.side is Side.SELL else stop <= price:
                self.queue.append(order)

    def waits_for_a_trade(self, order: Order) -> bool:
        return order.is_stop and not order.held and order not in self.queue

    # What a command sets off

    def work_off_the_queue(self) -> None:
        while self.queue:
            order = self.queue.pop(0)
            if order.legs and not order.leaves:
                self.activate(order)
            elif order in self.open:
                self.trigger(order)

    def activate(self, entry: Order) -> None:
        legs = [leg for leg in entry.legs if leg in self.open]
        if not legs:
            return
        for leg in legs:
            if entry.reduced_before + entry.reduced:
                self.reduce(leg, entry.reduced_before + entry.reduced, CancelReason.GROUP)
        if not self.is_covered(legs):
            for leg in legs:
                leg.sibling = None
                self.end(leg, CancelReason.NOT_COVERED)
            return
        self.make_live(legs)
        for leg in legs:
            if leg in self.open:
                self.enter(leg)

    def make_live(self, legs: list[Order]) -> None:
        for leg in legs:
            leg.held = False
            self.events.append(OrderActivated(leg.order_id))
        self.reserve(legs[0])

    def is_covered(self, legs: list[Order]) -> bool:
        first = legs[0]
        if first.side is Side.SELL:
            return first.leaves <= self.balance(first.account, first.symbol)[0]
        return self.can_buy(first.account, first.symbol, first.leaves, max(leg.worst for leg in legs))

    def trigger(self, order: Order) -> None:
        market, stop, price = self.markets[order.symbol], self.stop_price(order), order.price
        if order.limit is None:
            edge = collar_edge(market.instrument, order.side, stop)
            price = min(edge, order.worst) if order.side is Side.BUY else edge
        self.events.append(OrderTriggered(order.order_id, order.symbol, stop, price))
        before, sibling = self.reservation(order)[1], order.sibling
        if sibling is not None:
            order.sibling = None
            self.end(sibling, CancelReason.GROUP)
        order.triggered, order.worst = True, price
        if sibling is not None:
            self.reserve(order)
        else:
            self.release(order, before - self.reservation(order)[1])
        self.enter(order)

    # Auctions

    def call_auction(self, market: Market, *, was_halted: bool) -> None:
        symbol = market.instrument.symbol
        buys, sales = self.resting(symbol, Side.BUY), self.resting(symbol, Side.SELL)
        offers = [[(order.price, order.leaves) for order in orders] for orders in (buys, sales)]
        price = auction_price(market.instrument, market.reference, *offers)
        if price is None:
            self.events.append(Uncrossed(symbol, None, 0))
            if was_halted and buys and sales:
                middle = (buys[0].price + sales[0].price) // 2
                market.reference = down_to_tick(market.instrument, middle)
            return
        demand = sum(order.leaves for order in buys if order.price >= price)
        supply = sum(order.leaves for order in sales if order.price <= price)
        self.events.append(Uncrossed(symbol, price, min(demand, supply)))
        while buys and sales and sales[0].price <= price <= buys[0].price:
            maker, taker = sorted((buys[0], sales[0]), key=lambda order: order.order_id)
            self.trade(maker, taker, price, auction=True)
            buys, sales = self.resting(symbol, Side.BUY), self.resting(symbol, Side.SELL)
        market.reference = price
