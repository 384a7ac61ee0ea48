"""A trader's desk: its account, what it knows of its orders and of the market, and how far it is from the exchange.

A request takes the trader's latency to arrive, and arrives after those it sent before. Answers and fills take as long
back; they wait in the inbox and are read when the trader next looks, which is when it could first act on them. Market
data are as old as the distance, too.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Final, Protocol

from simulator.days.arrivals import NEVER, Arrivals
from simulator.days.kernel import Kernel
from simulator.days.listing import Listing, Quote
from simulator.days.streams import Stream
from trading.core.orders import (
    BUY,
    MAX_PRICE_MICROS,
    MAX_QUANTITY,
    MICROS_PER_SHARE,
    AccountId,
    OrderType,
    Phase,
    RejectReason,
    Side,
    SpecialTerms,
    TimeInForce,
)

_DAY = TimeInForce.DAY
_LIMIT = OrderType.LIMIT
_MARKET = OrderType.MARKET
MONEY_REASONS: Final = (RejectReason.INSUFFICIENT_BUYING_POWER, RejectReason.INSUFFICIENT_SHARES)
_MOST_SHARES: Final = MAX_QUANTITY // MICROS_PER_SHARE


class Change(Enum):
    """What an answer says about an order."""

    ACCEPTED = 0
    FILLED = 1
    ENDED = 2  # canceled, expired
    REFUSED = 3


@dataclass(slots=True, eq=False)
class Order:
    """``leaves`` is what its trader knows to be unfilled, in micro-shares; ``order_id`` None: it never was accepted;
    ``refusal`` then is why, once its trader is told."""

    desk: Desk
    number: int
    at_ns: int
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: int
    limit_micros: int | None
    special: SpecialTerms | None
    leaves: int
    order_id: int | None = None
    cancel_at_ns: int | None = None
    taken: int = 0  # micro-shares it traded when it arrived
    filled: int = 0  # micro-shares it ever traded
    refusal: RejectReason | None = None


@dataclass(frozen=True, slots=True)
class Latency:
    """``base_ns`` one way, and beyond it an exponential ``jitter_ns`` for each request."""

    base_ns: int
    jitter_ns: int


class Trader(Protocol):
    """A strategy. ``act`` looks through the desk and places or cancels; everything random comes from its stream."""

    in_calls: bool  # whether it also acts while the market only collects orders

    def act(self, desk: Desk) -> None: ...

    def learn(self, desk: Desk, order: Order, change: Change, quantity: int, price_micros: int) -> None:
        """What one of its own orders came to: a fill has quantity and price, a refusal or an end has none."""


class Requests(Protocol):
    """Where a desk's requests arrive: the exchange of the day."""

    def place(self, order: Order) -> None: ...

    def cancel(self, order: Order) -> None: ...


class Desk:
    """One account in one market. ``position`` counts the micro-shares its trader knows to have; ``cash_micros`` and
    ``shares_micros`` are what it brought."""

    __slots__ = (
        "account_id",
        "answers",
        "arrivals",
        "away_until_ns",
        "cash_micros",
        "exchange",
        "inbox",
        "kernel",
        "kind",
        "last_arrival_ns",
        "latency",
        "listing",
        "name",
        "number",
        "orders",
        "placed",
        "position",
        "requests",
        "retired",
        "shares_micros",
        "stream",
        "trader",
        "wakes",
    )

    def __init__(self, name: str, kind: str, arrivals: Arrivals, stream: Stream) -> None:
        self.name, self.kind, self.arrivals, self.stream = name, kind, arrivals, stream
        self.trader: Trader
        self.number, self.account_id = 0, AccountId(0)
        self.latency = Latency(0, 0)
        self.listing: Listing
        self.kernel: Kernel
        self.exchange: Requests
        self.inbox: deque[tuple[int, Order, Change, int, int]] = deque()
        self.orders: dict[int, Order] = {}  # what it believes to be open, by number
        self.position = self.cash_micros = self.shares_micros = 0
        self.placed = self.wakes = self.requests = self.answers = 0
        self.last_arrival_ns = self.away_until_ns = 0
        self.retired = False

    # -- time --------------------------------------------------------------------------------------

    def start(self) -> None:
        self._await_next(self.kernel.now_ns)

    def wake(self, _: object) -> None:
        now_ns = self.kernel.now_ns
        if self.retired:
            return
        self.wakes += 1
        inbox, phase = self.inbox, self.listing.phase
        if inbox and inbox[0][0] <= now_ns:
            self.catch_up(now_ns)
        may_act = phase is Phase.CONTINUOUS or (self.trader.in_calls and phase is not Phase.CLOSED)
        if may_act and now_ns >= self.away_until_ns:
            self.trader.act(self)
        self._await_next(now_ns)

    def _await_next(self, now_ns: int) -> None:
        at_ns = self.arrivals.next_ns(now_ns, self.stream)
        if at_ns != NEVER:
            self.kernel.at(at_ns, self.wake, None)

    def catch_up(self, now_ns: int) -> None:
        """Reads the answers that have come by now."""
        inbox = self.inbox
        while inbox and inbox[0][0] <= now_ns:
            _, order, change, quantity, price_micros = inbox.popleft()
            self.answers += 1
            if change is Change.FILLED:
                self.position += quantity if order.side is BUY else -quantity
                order.leaves -= quantity
                if order.leaves <= 0:
                    self.orders.pop(order.number, None)
            elif change is Change.ACCEPTED:
                order.leaves += quantity  # of an order for a sum, which learns only now what it buys
            else:
                self.orders.pop(order.number, None)
            self.trader.learn(self, order, change, quantity, price_micros)

    # -- what can be seen --------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        return self.kernel.now_ns

    def quote(self) -> Quote:
        """The market as it was one latency ago."""
        return self.listing.quote_at(self.kernel.now_ns - self.latency.base_ns)

    def worth_micros(self) -> float:
        """What the asset is worth now. A trader has to add the noise of its own."""
        return self.listing.fundamental.micros(self.kernel.now_ns)

    @property
    def shares(self) -> int:
        """Whole shares it knows to have."""
        return self.position // MICROS_PER_SHARE

    # -- what can be done --------------------------------------------------------------------------

    def limit(self, side: Side, shares: int, price_micros: float, time_in_force: TimeInForce = _DAY) -> Order | None:
        """Rounded to the tick towards the passive side; None when nothing can be asked for.

        No order is for more than an order can be for."""
        tick = self.listing.tick_micros
        whole = round(price_micros)
        price = whole // tick * tick if side is BUY else -(-whole // tick) * tick
        if shares < 1 or not tick <= price <= MAX_PRICE_MICROS:
            return None
        if shares > _MOST_SHARES:
            shares = _MOST_SHARES
        return self.place(side, shares * MICROS_PER_SHARE, _LIMIT, time_in_force, limit_micros=price)

    def market(self, side: Side, shares: int, time_in_force: TimeInForce = _DAY) -> Order | None:
        if shares < 1:
            return None
        return self.place(side, min(shares, _MOST_SHARES) * MICROS_PER_SHARE, _MARKET, time_in_force)

    def place(
        self,
        side: Side,
        quantity: int,
        order_type: OrderType,
        time_in_force: TimeInForce,
        *,
        limit_micros: int | None = None,
        special: SpecialTerms | None = None,
    ) -> Order:
        """``quantity`` in micro-shares, 0 for an order for a sum."""
        kernel = self.kernel
        self.placed += 1
        order = Order(
            self, self.placed, kernel.now_ns, side, order_type, time_in_force, quantity, limit_micros, special, quantity
        )
        self.orders[self.placed] = order
        self.requests += 1
        kernel.at(self._arrival_ns(), self.exchange.place, order)
        return order

    def cancel(self, order: Order) -> None:
        """Once: a second request for the same order is not sent."""
        if order.cancel_at_ns is None:
            kernel = self.kernel
            order.cancel_at_ns = kernel.now_ns
            self.requests += 1
            kernel.at(self._arrival_ns(), self.exchange.cancel, order)

    def cancel_everything(self) -> None:
        for order in list(self.orders.values()):
            self.cancel(order)

    def working(self, side: Side) -> list[Order]:
        """Own open orders of a side that nobody asked to cancel."""
        return [order for order in self.orders.values() if order.side is side and order.cancel_at_ns is None]

    def leave(self, seconds_ns: float = inf) -> None:
        """Withdraws all orders and stays away."""
        self.cancel_everything()
        self.away_until_ns = self.now_ns + int(seconds_ns) if seconds_ns != inf else 2**62

    def _arrival_ns(self) -> int:
        latency = self.latency
        at_ns = self.kernel.now_ns + latency.base_ns
        if latency.jitter_ns:
            at_ns += int(self.stream.exponential(latency.jitter_ns))
        if at_ns < self.last_arrival_ns:
            return self.last_arrival_ns
        self.last_arrival_ns = at_ns
        return at_ns
