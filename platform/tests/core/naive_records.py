"""What the naive exchange knows: lists of everything, searched and summed, and the double-entry account of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from trading.core.commands import PlaceOrder, ReplaceOrder
from trading.core.events import CASH, Bucket, Event, LedgerPosted, OrderCanceled, OrderReduced
from trading.core.orders import (
    PLAIN,
    AccountId,
    AccountTerms,
    CancelReason,
    FeeSchedule,
    Instrument,
    OrderClass,
    OrderId,
    OrderType,
    Phase,
    RejectReason,
    Side,
    SpecialTerms,
    Symbol,
    TimeInForce,
)

from .naive_prices import SHARE, ceil_div, trailing_stop

AVAILABLE, RESERVED = Bucket.AVAILABLE, Bucket.RESERVED
STOPS = {OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP}
WITH_LIMIT = {OrderType.LIMIT, OrderType.STOP_LIMIT}


@dataclass(eq=False)
class Order:
    """An order that is open. ``worst`` is its reserve price W, or for a sale the lowest price it would take."""

    order_id: OrderId
    account: AccountId
    symbol: Symbol
    side: Side
    order_type: OrderType
    lasting: TimeInForce
    quantity: int
    leaves: int
    limit: int | None
    special: SpecialTerms | None
    worst: int
    parent_id: OrderId | None = None
    legs: list[Order] = field(default_factory=list)
    sibling: Order | None = None
    held: bool = False
    triggered: bool = False
    high_water_mark: int | None = None
    place: int | None = None  # None: it stands in no queue
    filled: int = 0
    reduced: int = 0
    reduced_before: int = 0  # of the orders it replaced

    @property
    def terms(self) -> SpecialTerms:
        return self.special or PLAIN

    @property
    def is_stop(self) -> bool:
        """A stop that has not been triggered yet."""
        return self.order_type in STOPS and not self.triggered

    @property
    def price(self) -> int:
        """Where it rests, and how far it goes when it takes."""
        return self.limit if self.limit is not None else self.worst

    @property
    def rests_at(self) -> int | None:
        return None if self.place is None else self.price

    @property
    def is_stop_loss_of_a_pair(self) -> bool:
        return self.sibling is not None and self.is_stop

    @property
    def reserves(self) -> bool:
        return not self.held and not self.is_stop_loss_of_a_pair

    @property
    def belongs_to_a_group(self) -> bool:
        return self.terms.order_class is not OrderClass.SIMPLE or self.parent_id is not None


@dataclass
class Market:
    instrument: Instrument
    reference: int
    phase: Phase = Phase.CLOSED
    last_price: int | None = None
    places: int = 0
    sequence: int = 0

    @property
    def mark(self) -> int:
        return self.reference if self.last_price is None else self.last_price


@dataclass(eq=False)
class Account:
    account_id: AccountId
    terms: AccountTerms
    killed: bool = False
    orders_in: dict[int, int] = field(default_factory=lambda: defaultdict(int))  # second -> accepted orders
    named: dict[str, tuple[OrderId, PlaceOrder | ReplaceOrder]] = field(default_factory=dict)


class RefusedError(Exception):
    def __init__(self, reason: RejectReason) -> None:
        super().__init__(reason)
        self.reason = reason


def require(fulfilled: bool, reason: RejectReason) -> None:
    if not fulfilled:
        raise RefusedError(reason)


class Records:
    def __init__(self) -> None:
        self.now_ns = 0
        self.sequence = 0
        self.markets: dict[str, Market] = {}
        self.accounts: dict[int, Account] = {}
        self.everybody_killed = False
        self.fees = FeeSchedule()
        self.open: list[Order] = []
        self.last_order_id = 0
        self.trades = 0
        self.events: list[Event] = []
        self.held_by: dict[tuple[int, Bucket, str], int] = defaultdict(int)  # the sum of all postings
        self.costs: dict[tuple[int, str], int] = defaultdict(int)

    def balance(self, account: int, asset: str) -> tuple[int, int]:
        """Available and reserved."""
        return self.held_by[account, AVAILABLE, asset], self.held_by[account, RESERVED, asset]

    def total(self, account: int, asset: str) -> int:
        return sum(self.balance(account, asset))

    def cost(self, account: int, asset: str) -> int:
        return self.costs[account, asset]

    def issued(self, asset: str) -> int:
        return -self.total(0, asset)

    def post(self, debit: tuple[int, Bucket], credit: tuple[int, Bucket], asset: str, amount: int) -> None:
        assert amount >= 0, "money only moves forward"
        if amount:
            self.held_by[(*debit, asset)] -= amount
            self.held_by[(*credit, asset)] += amount
            self.events.append(
                LedgerPosted(AccountId(debit[0]), debit[1], AccountId(credit[0]), credit[1], asset, amount)
            )

    def resting(self, symbol: str, side: Side) -> list[Order]:
        """Best price first, then the least place."""
        sign = -1 if side is Side.BUY else 1
        orders = [o for o in self.open if o.symbol == symbol and o.side is side and o.place is not None]
        return sorted(orders, key=lambda order: (sign * order.price, order.place))

    def in_order_of_ids(self, symbol: str) -> list[Order]:
        return sorted((o for o in self.open if o.symbol == symbol), key=lambda order: order.order_id)

    def stop_price(self, order: Order) -> int:
        terms = order.terms
        if order.order_type is not OrderType.TRAILING_STOP:
            assert terms.stop_price_micros is not None
            return terms.stop_price_micros
        market = self.markets[order.symbol]
        mark = market.mark if order.high_water_mark is None else order.high_water_mark
        return trailing_stop(market.instrument, order.side, mark, terms.trail_micros, terms.trail_ppm)

    # Reservations

    def need(self, quantity: int, price: int) -> int:
        """The money that buys so many micro-shares at that price, the fee included."""
        value = ceil_div(quantity * price, SHARE)
        return value + ceil_div(value * max(self.fees.taker_ppb, self.fees.maker_ppb, 0), 10**9)

    def reservation(self, order: Order) -> tuple[str, int]:
        """What an open order must have in reserve: the asset and the amount."""
        if order.side is Side.SELL:
            return order.symbol, order.leaves if order.reserves else 0
        prices = [order.worst, order.sibling.worst] if order.sibling is not None else [order.worst]
        return CASH, self.need(order.leaves, max(prices)) if order.reserves else 0

    def reserve(self, order: Order) -> None:
        asset, amount = self.reservation(order)
        self.post((order.account, AVAILABLE), (order.account, RESERVED), asset, amount)

    def release(self, order: Order, amount: int | None = None) -> None:
        asset, everything = self.reservation(order)
        amount = everything if amount is None else amount
        self.post((order.account, RESERVED), (order.account, AVAILABLE), asset, amount)

    def open_buys(self, account: int, symbol: str) -> int:
        mine = [o for o in self.open if o.account == account and o.symbol == symbol and o.side is Side.BUY]
        return sum(order.leaves for order in mine if order.reserves)

    # Buying power

    def buying_power(self, account: int) -> int:
        """Of a margin account."""
        available, reserved = self.balance(account, CASH)
        equity, exposure = available + reserved, reserved
        for symbol, market in self.markets.items():
            free, total, mark = self.balance(account, symbol)[0], self.total(account, symbol), market.mark
            longs = max(total, 0) * mark // SHARE
            equity += longs - ceil_div(max(-total, 0) * mark, SHARE)
            exposure += longs + ceil_div(max(-free, 0) * mark, SHARE)
        return self.accounts[account].terms.multiplier * equity - exposure

    def can_buy(self, account: int, symbol: str, quantity: int, price: int) -> bool:
        need = self.need(quantity, price)
        if self.accounts[account].terms.multiplier == 1:
            return need <= self.balance(account, CASH)[0]
        covers = self.total(account, symbol) + self.open_buys(account, symbol) + quantity <= 0
        return covers or need <= self.buying_power(account)

    def check_sale(self, account: int, symbol: str, quantity: int) -> None:
        if quantity <= self.balance(account, symbol)[0]:
            return
        market = self.markets[symbol]
        margin = self.accounts[account].terms.multiplier == 2
        require(margin and self.total(account, symbol) <= 0, RejectReason.INSUFFICIENT_SHARES)
        require(market.instrument.shortable, RejectReason.NOT_SHORTABLE)
        require(quantity % market.instrument.lot == 0, RejectReason.INVALID_QUANTITY)
        enough = ceil_div(quantity * market.mark, SHARE) <= self.buying_power(account)
        require(enough, RejectReason.INSUFFICIENT_BUYING_POWER)

    # The cost of positions

    def cost_after_buying(self, account: int, symbol: str, quantity: int, value: int) -> int:
        cost, total = self.cost(account, symbol), self.total(account, symbol)
        if total >= 0:
            return cost + value
        covered = min(quantity, -total)
        return cost + -cost * covered // -total + value * (quantity - covered) // quantity

    def cost_after_selling(self, account: int, symbol: str, quantity: int, value: int) -> int:
        cost, total = self.cost(account, symbol), self.total(account, symbol)
        if total <= 0:
            return cost - value
        closed = min(quantity, total)
        return cost - cost * closed // total - value * (quantity - closed) // quantity

    # The ends of an order

    def end(self, order: Order, reason: CancelReason) -> None:
        """Cancels an order and those that depend on it."""
        asset, reserved = self.reservation(order)
        self.open.remove(order)
        self.events.append(
            OrderCanceled(order.order_id, order.account, order.symbol, order.side, order.rests_at, order.leaves, reason)
        )
        self.post((order.account, RESERVED), (order.account, AVAILABLE), asset, reserved)
        passed_on = reason if reason is CancelReason.SESSION_CLOSED else CancelReason.GROUP
        dependents = [leg for leg in order.legs if leg.held]
        if order.sibling is not None and order.sibling.sibling is order:
            dependents.append(order.sibling)
        for dependent in dependents:
            if dependent in self.open:
                self.end(dependent, passed_on)

    def reduce(self, order: Order, quantity: int, reason: CancelReason) -> None:
        """Takes away a part of an order that stays open."""
        before = self.reservation(order)[1]
        order.leaves -= quantity
        order.reduced += quantity
        of = (order.order_id, order.account, order.symbol, order.side, order.rests_at)
        self.events.append(OrderReduced(*of, quantity, order.leaves, reason))
        self.release(order, before - self.reservation(order)[1])
