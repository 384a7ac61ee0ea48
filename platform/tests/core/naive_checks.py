"""What the naive exchange asks before it accepts an order or a replacement, in the order of the rules."""

from __future__ import annotations

from dataclasses import replace as changed

from trading.core.commands import PlaceOrder, ReplaceOrder
from trading.core.orders import (
    MAX_ORDER_VALUE_MICROS,
    MAX_QUANTITY,
    PLAIN,
    OrderClass,
    OrderId,
    OrderType,
    Phase,
    RejectReason,
    Side,
    SpecialTerms,
    TimeInForce,
)

from .naive_prices import SHARE, ceil_div, collar_edge, is_price
from .naive_records import WITH_LIMIT, Account, Market, Order, Records, require
from .naive_terms import (
    AT_ONCE,
    is_replaceable,
    on_the_right_sides,
    opposite,
    reaches,
    replacing_terms_hold,
    terms_hold,
)


class Checks(Records):
    @property
    def next_id(self) -> OrderId:
        return OrderId(self.last_order_id + 1)

    def check_name(self, name: str) -> None:
        require(1 <= len(name) <= 48 and name.isprintable(), RejectReason.INVALID_CLIENT_ORDER_ID)

    def check_placing(self, command: PlaceOrder, market: Market) -> int:
        """The quantity to accept, which for a notional is what its dollars buy or sell."""
        account, terms = self.accounts[command.account_id], command.special or PLAIN
        require(terms_hold(command), RejectReason.INVALID_TERMS)
        self.check_quantity(command, market)
        given = (command.limit_price_micros is not None) == (command.order_type in WITH_LIMIT)
        require(given, RejectReason.INVALID_PRICE)
        prices = (command.limit_price_micros, *terms[0:1], *terms[6:9])
        self.check_prices(market, *prices)
        self.check_switches(account, market)
        self.check_phase(command, market)
        self.check_collar(market, command.order_type, command.side, command.limit_price_micros)
        if command.order_type is OrderType.MARKET and command.time_in_force is not TimeInForce.CLS:
            anybody = self.resting(command.symbol, opposite(command.side))
            require(market.phase is not Phase.CONTINUOUS or bool(anybody), RejectReason.NO_LIQUIDITY)
        quantity = command.quantity
        if terms.notional_micros is not None:
            quantity = self.bought_for(command, market, terms.notional_micros)
        order = self.order_of(command, market, quantity)
        price = order.worst
        if terms.order_class is OrderClass.OCO:
            price = max(price, self.stop_loss_of(order).worst)
        self.check_size(account, market, order, price)
        limits, mine = account.terms.limits, [o for o in self.open if o.account == account.account_id]
        legs = (terms.take_profit_micros is not None) + (terms.stop_loss_micros is not None)
        orders = len(mine) + 1 + legs - (terms.order_class is OrderClass.OCO)
        require(limits.open_orders is None or orders <= limits.open_orders, RejectReason.OPEN_ORDER_LIMIT)
        self.check_rate(account, command.at_ns)
        self.check_post_only(order, market)
        self.check_position(account, order)
        self.check_funds(order, price)
        return quantity

    def check_quantity(self, command: PlaceOrder, market: Market) -> None:
        terms, instrument = command.special or PLAIN, market.instrument
        if terms.notional_micros is not None:
            require(instrument.fractionable, RejectReason.NOT_FRACTIONABLE)
            require(command.time_in_force is TimeInForce.DAY, RejectReason.INVALID_TERMS)
            return
        require(1 <= command.quantity <= MAX_QUANTITY, RejectReason.INVALID_QUANTITY)
        if command.quantity % instrument.lot:
            require(instrument.fractionable, RejectReason.NOT_FRACTIONABLE)
            simple = terms.order_class is OrderClass.SIMPLE and not terms.post_only
            require(simple and command.time_in_force is TimeInForce.DAY, RejectReason.INVALID_QUANTITY)

    def check_prices(self, market: Market, *prices: int | None) -> None:
        possible = all(price is None or is_price(market.instrument, price) for price in prices)
        require(possible, RejectReason.INVALID_PRICE)

    def check_switches(self, account: Account, market: Market) -> None:
        require(not self.everybody_killed and not account.killed, RejectReason.KILL_SWITCH)
        require(not account.terms.blocked, RejectReason.ACCOUNT_BLOCKED)
        require(market.instrument.tradable, RejectReason.NOT_TRADABLE)

    def check_phase(self, command: PlaceOrder, market: Market) -> None:
        at_once = command.time_in_force in AT_ONCE or (command.special or PLAIN).notional_micros is not None
        require(market.phase is Phase.CONTINUOUS or not at_once, RejectReason.WRONG_PHASE)
        if command.time_in_force is TimeInForce.OPG:
            require(market.phase in {Phase.CLOSED, Phase.PRE_OPEN}, RejectReason.WRONG_PHASE)

    def check_collar(self, market: Market, order_type: OrderType, side: Side, limit: int | None) -> None:
        if order_type is OrderType.LIMIT and limit is not None:
            edge = collar_edge(market.instrument, side, market.mark)
            require(limit <= edge if side is Side.BUY else limit >= edge, RejectReason.PRICE_OUTSIDE_COLLAR)

    def bought_for(self, command: PlaceOrder, market: Market, notional: int) -> int:
        """What the dollars of a notional order buy or sell of the others' orders, as the book stands."""
        edge, quantity = collar_edge(market.instrument, command.side, market.mark), 0
        if command.side is Side.BUY:
            notional = notional * 10**9 // (10**9 + max(self.fees.taker_ppb, self.fees.maker_ppb, 0))
        for other in self.resting(command.symbol, opposite(command.side)):
            within = other.price <= edge if command.side is Side.BUY else other.price >= edge
            if other.account == command.account_id or not within:
                continue
            taken = min(other.leaves, notional * SHARE // other.price)
            quantity += taken
            notional -= taken * other.price // SHARE
            if taken < other.leaves:
                break
        require(quantity > 0, RejectReason.NO_LIQUIDITY)
        return quantity

    def order_of(self, command: PlaceOrder, market: Market, quantity: int) -> Order:
        """The order as it would be accepted, with its reserve price; a sale's is the least it takes."""
        order = Order(
            self.next_id,
            command.account_id,
            command.symbol,
            command.side,
            command.order_type,
            command.time_in_force,
            quantity,
            quantity,
            command.limit_price_micros,
            command.special,
            worst=0,
        )
        order.worst = self.worst_of(order, market)
        return order

    def worst_of(self, order: Order, market: Market) -> int:
        if order.limit is not None:
            return order.limit
        start = market.mark if order.order_type is OrderType.MARKET else self.stop_price(order)
        return collar_edge(market.instrument, order.side, start)

    def leg_of(self, entry: Order, order_type: OrderType, limit: int | None, special: SpecialTerms | None) -> Order:
        is_oco = entry.terms.order_class is OrderClass.OCO
        side = entry.side if is_oco else opposite(entry.side)
        of = (entry.account, entry.symbol, side, order_type, entry.lasting, entry.quantity, entry.quantity)
        leg = Order(self.next_id, *of, limit, special, worst=0, parent_id=entry.order_id, held=True)
        leg.worst = self.worst_of(leg, self.markets[entry.symbol])
        return leg

    def stop_loss_of(self, entry: Order) -> Order:
        limit = entry.terms.stop_loss_limit_micros
        kind = OrderType.STOP if limit is None else OrderType.STOP_LIMIT
        return self.leg_of(entry, kind, limit, SpecialTerms(stop_price_micros=entry.terms.stop_loss_micros))

    def check_size(self, account: Account, market: Market, order: Order, price: int) -> None:
        if order.side is Side.SELL:
            price = order.limit if order.limit is not None else market.mark
        value, limits = ceil_div(order.quantity * price, SHARE), account.terms.limits
        require(value <= MAX_ORDER_VALUE_MICROS, RejectReason.ORDER_VALUE_TOO_LARGE)
        few = limits.order_quantity is None or order.quantity <= limits.order_quantity
        require(few, RejectReason.ORDER_QUANTITY_LIMIT)
        cheap = limits.order_value_micros is None or value <= limits.order_value_micros
        require(cheap, RejectReason.ORDER_VALUE_LIMIT)

    def check_rate(self, account: Account, at_ns: int) -> None:
        limit = account.terms.limits.orders_per_s
        require(limit is None or account.orders_in[at_ns // 10**9] < limit, RejectReason.ORDER_RATE_LIMIT)

    def check_post_only(self, order: Order, market: Market) -> None:
        others = self.resting(order.symbol, opposite(order.side))
        if order.terms.post_only and market.phase is Phase.CONTINUOUS and others:
            require(not reaches(order, others[0].price), RejectReason.WOULD_TAKE)

    def check_position(self, account: Account, order: Order) -> None:
        limit, of = account.terms.limits.position, (order.account, order.symbol)
        if order.side is Side.BUY:
            position = self.total(*of) + self.open_buys(*of) + order.quantity
        else:
            position = order.quantity - self.balance(*of)[0]
        require(limit is None or position <= limit, RejectReason.POSITION_LIMIT)

    def check_funds(self, order: Order, price: int) -> None:
        if order.side is Side.SELL:
            self.check_sale(order.account, order.symbol, order.quantity)
        else:
            enough = self.can_buy(order.account, order.symbol, order.quantity, price)
            require(enough, RejectReason.INSUFFICIENT_BUYING_POWER)

    # Replacing

    def check_replacing(self, command: ReplaceOrder, old: Order) -> Order:
        """The order that would take the old one's place."""
        market, account = self.markets[old.symbol], self.accounts[old.account]
        require(is_replaceable(old), RejectReason.NOT_REPLACEABLE)
        self.check_name(command.client_order_id)
        require(replacing_terms_hold(command, old), RejectReason.INVALID_TERMS)
        quantity = self.check_new_quantity(command, old, market)
        self.check_prices(market, command.limit_price_micros, command.stop_price_micros)
        new = self.order_instead(command, old, quantity)
        if old.sibling is not None:
            profit, loss = (old.sibling, new) if old.is_stop_loss_of_a_pair else (new, old.sibling)
            right = on_the_right_sides(old.side, profit.limit, self.stop_price(loss))
            require(right, RejectReason.INVALID_TERMS)
        self.check_switches(account, market)
        self.check_collar(market, new.order_type, new.side, new.limit)
        pays = [new.worst] if old.sibling is None else [new.worst, old.sibling.worst]
        self.check_size(account, market, new, new.worst if new.is_stop_loss_of_a_pair else max(pays))
        self.check_rate(account, command.at_ns)
        self.check_post_only(new, market)
        self.check_as_if_gone(account, old, new, max(pays))
        return new

    def check_new_quantity(self, command: ReplaceOrder, old: Order, market: Market) -> int:
        lasting = command.time_in_force or old.lasting
        counted, quantity = old.leaves, old.leaves
        if command.quantity is not None:
            counted, quantity = command.quantity, command.quantity - old.filled - old.reduced
            require(quantity >= 1 and counted <= MAX_QUANTITY, RejectReason.INVALID_QUANTITY)
        becomes_gtc = lasting is TimeInForce.GTC and old.lasting is not TimeInForce.GTC
        if command.quantity is not None or becomes_gtc:
            whole = counted % market.instrument.lot == 0
            fraction = lasting is TimeInForce.DAY and market.instrument.fractionable and not old.terms.post_only
            require(whole or fraction, RejectReason.INVALID_QUANTITY)
        return quantity

    def order_instead(self, command: ReplaceOrder, old: Order, quantity: int) -> Order:
        special = old.special
        if command.stop_price_micros is not None:
            special = old.terms._replace(stop_price_micros=command.stop_price_micros)
        if command.trail is not None and old.terms.trail_micros is not None:
            special = old.terms._replace(trail_micros=command.trail)
        elif command.trail is not None:
            special = old.terms._replace(trail_ppm=command.trail)
        new = changed(
            old,
            order_id=self.next_id,
            quantity=quantity,
            leaves=quantity,
            limit=old.limit if command.limit_price_micros is None else command.limit_price_micros,
            lasting=command.time_in_force or old.lasting,
            special=special,
            place=None,
            filled=0,
            reduced=0,
            reduced_before=old.reduced_before + old.reduced,
        )
        new.worst = self.worst_of(new, self.markets[old.symbol])
        return new

    def check_as_if_gone(self, account: Account, old: Order, new: Order, price: int) -> None:
        """The position's limit and the funds, with the old order (or the pair it is one of) out of the way."""
        pair = [order for order in (old, old.sibling) if order is not None]
        open_orders, held_by, events = list(self.open), dict(self.held_by), list(self.events)
        try:
            for order in pair:
                self.release(order)
            self.open = [order for order in self.open if order not in pair]
            self.check_position(account, new)
            self.check_funds(new, price)
        finally:
            self.open, self.events = open_orders, events
            self.held_by.update(held_by)
