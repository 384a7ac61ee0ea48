"""What the exchange consists of: accounts, markets, open orders, and what the present command has made happen."""

from __future__ import annotations

from collections import deque
from enum import StrEnum

from trading.core.client_order_ids import ClientOrderIds
from trading.core.events import CASH, FEES, ROUNDING, Event, OrderAccepted
from trading.core.instruments import bands, collar_edge
from trading.core.ledger import Balance, Ledger
from trading.core.order_book import OrderBook
from trading.core.orders import (
    BUY,
    LASTING,
    NS_PER_S,
    SELL,
    STOP_TYPES,
    AccountId,
    AccountTerms,
    FeeSchedule,
    Instrument,
    OrderId,
    Phase,
    Side,
    TradeId,
)
from trading.core.stops import WaitingStops


class Stage(StrEnum):
    """Where an order is in its life."""

    HELD = "held"
    WAITING = "waiting"  # a stop for its price, a cls order for the closing call
    ELECTED = "elected"  # a stop whose price has come, to be triggered when the command's own matching is done
    ENTERING = "entering"
    RESTING = "resting"
    CLOSED = "closed"


class Account:
    __slots__ = (
        "account_id",
        "balances",
        "cash",
        "killed",
        "orders",
        "second",
        "second_orders",
        "terms",
        "unrestricted",
    )

    def __init__(self, account_id: AccountId, terms: AccountTerms) -> None:
        self.account_id = account_id
        self.cash = Balance()
        self.balances: dict[str, Balance] = {CASH: self.cash}
        self.orders: dict[OrderId, Order] = {}  # open ones
        self.second = 0  # the latest in which it ordered, and how often
        self.second_orders = 0
        self.agree_on(terms, killed=False)

    def agree_on(self, terms: AccountTerms, *, killed: bool) -> None:
        self.terms, self.killed = terms, killed
        # A cash account without limits of its own: nothing but its balances can refuse its orders.
        self.unrestricted = not killed and terms == AccountTerms(self_trade=terms.self_trade)

    def holding(self, asset: str) -> Balance:
        balance = self.balances.get(asset)
        if balance is None:
            balance = self.balances[asset] = Balance()
        return balance

    def orders_in_second(self, at_ns: int) -> int:
        return self.second_orders if self.second == at_ns // NS_PER_S else 0

    def count_order(self, at_ns: int) -> None:
        second = at_ns // NS_PER_S
        if second == self.second:
            self.second_orders += 1
        else:
            self.second, self.second_orders = second, 1


class Market:
    """One listed instrument with its book, its waiting orders and its day."""

    __slots__ = (
        "bands",
        "book",
        "highest_buy_micros",
        "instrument",
        "last_micros",
        "last_place",
        "lowest_sale_micros",
        "phase",
        "reference_micros",
        "reopens_at_ns",
        "resting",
        "sequence",
        "stops",
        "waiting_for_close",
    )

    def __init__(self, instrument: Instrument) -> None:
        self.book = OrderBook()
        self.resting: dict[int, Order] = {}  # by place
        self.stops = WaitingStops()
        self.waiting_for_close: dict[OrderId, Order] = {}
        self.phase = Phase.CLOSED
        self.last_micros: int | None = None
        self.reopens_at_ns: int | None = None
        self.sequence = 0
        self.last_place = 0
        self.reference_micros = instrument.reference_price_micros
        self.agree_on(instrument)

    @property
    def mark_micros(self) -> int:
        return self.reference_micros if self.last_micros is None else self.last_micros

    def refer_to(self, reference_micros: int) -> None:
        self.reference_micros = reference_micros
        self.bands = bands(self.instrument, reference_micros)
        self._find_edges()

    def trade_at(self, price_micros: int | None) -> None:
        if price_micros != self.last_micros:
            self.last_micros = price_micros
            self._find_edges()

    def _find_edges(self) -> None:
        """The collar's edges around the mark: orders ask for them more often than it moves."""
        mark_micros = self.mark_micros
        self.highest_buy_micros = collar_edge(self.instrument, BUY, mark_micros)
        self.lowest_sale_micros = collar_edge(self.instrument, SELL, mark_micros)

    def edge(self, side: Side, price_micros: int | None = None) -> int:
        """The collar's edge for ``side``, from the mark or from a stop price."""
        if price_micros is not None:
            return collar_edge(self.instrument, side, price_micros)
        return self.highest_buy_micros if side is BUY else self.lowest_sale_micros

    def agree_on(self, instrument: Instrument) -> None:
        """Gives the market its instrument's terms, new or first ones."""
        self.instrument = instrument
        self.refer_to(self.reference_micros)


class Order:
    """An open order: what was accepted, and how it stands.

    ``price_micros`` is the worst price it may trade at, ``reserve_micros`` the price at which a buy reserves cash; the
    order's reservation is exactly what its leaves need at that price, or nothing unless it is ``covered``. ``reduced``
    is what was taken away from it, and from those it replaced, without trading.
    """

    # Most orders never change these.
    stage = Stage.ENTERING
    place = 0
    reduced = 0
    covered = False
    triggered = False
    stop_micros: int | None = None
    high_water_micros: int | None = None
    # Another order depends on this one, or it on another: a parent and its held legs, or two live siblings.
    grouped = False
    parent: Order | None = None
    legs: tuple[Order, ...] = ()
    sibling: Order | None = None

    def __init__(self, accepted: OrderAccepted, account: Account, market: Market, price_micros: int) -> None:
        self.accepted = accepted
        self.order_id, _, _, symbol, self.side, _, time_in_force, self.leaves, limit_micros, _, _, _ = accepted
        self.account = account
        self.market = market
        self.holding = account.holding(symbol)
        self.price_micros = price_micros
        self.reserve_micros = price_micros
        # What continuous trading leaves of it may rest.
        self.lasts = limit_micros is not None and time_in_force in LASTING

    @property
    def waits_for_stop(self) -> bool:
        return not self.triggered and self.accepted.order_type in STOP_TYPES

    @property
    def has_limit(self) -> bool:
        """Not to trade beyond a price of the client's own."""
        return self.accepted.limit_price_micros is not None


class Venue:
    """Everything that lives from command to command, and the present command's events and follow-ups."""

    def __init__(self) -> None:
        self.sequence = 0
        self.now_ns = 0
        self.last_order_id = OrderId(0)
        self.last_trade_id = TradeId(0)
        self.killed = False
        self.ledger = Ledger()
        self.accounts: dict[AccountId, Account] = {}
        self.fee_account = Account(FEES, AccountTerms())
        self.rounding_account = Account(ROUNDING, AccountTerms())
        self.markets: dict[str, Market] = {}
        self.client_order_ids = ClientOrderIds()
        self.events: list[Event] = []
        self.follow_ups: deque[Order] = deque()  # elected stops, and filled entries whose legs are to be activated
        self.moved_stops: dict[OrderId, tuple[Order, int | None]] = {}  # with the stop prices before
        self.set_fees(FeeSchedule())

    def set_fees(self, fees: FeeSchedule) -> None:
        self.fees = fees
        self.charges = fees != FeeSchedule()
        self.reserve_ppb = max(fees.taker_ppb, fees.maker_ppb, 0)

    def all_accounts(self) -> list[Account]:
        """The exchange's own two included, by id."""
        return sorted(
            [self.rounding_account, self.fee_account, *self.accounts.values()], key=lambda account: account.account_id
        )

    def find_account(self, account_id: AccountId) -> Account | None:
        """One of the exchange's own two, or a client's."""
        own = {FEES: self.fee_account, ROUNDING: self.rounding_account}
        return own.get(account_id) or self.accounts.get(account_id)

    def open_orders(self) -> list[Order]:
        """By id."""
        orders = [order for account in self.accounts.values() for order in account.orders.values()]
        return sorted(orders, key=lambda order: order.order_id)
