"""A trading floor for the examples: an open exchange, its specification beside it, and traders with money and shares.

Every command goes to both exchanges, so that an example that holds for one holds for the other.
"""

from __future__ import annotations

from typing import Any

from trading.core.commands import (
    CancelAll,
    CancelOrder,
    ChangeAccount,
    ChangeInstrument,
    ChangePhase,
    Command,
    Deposit,
    ListInstrument,
    OpenAccount,
    PlaceOrder,
    ReplaceOrder,
    SetFees,
)
from trading.core.events import (
    CASH,
    Event,
    LedgerPosted,
    OrderAccepted,
    OrderActivated,
    OrderCanceled,
    OrderReduced,
    OrderRested,
    OrderTriggered,
    Outcome,
    Refused,
    Traded,
)
from trading.core.exchange import Exchange
from trading.core.orders import (
    MICROS_PER_DOLLAR,
    MICROS_PER_SHARE,
    AccountId,
    AccountTerms,
    CancelReason,
    FeeSchedule,
    Instrument,
    Limits,
    OrderClass,
    OrderId,
    OrderType,
    Phase,
    RejectReason,
    SelfTrade,
    Side,
    SpecialTerms,
    Symbol,
    TimeInForce,
)
from trading.core.state import state_of

from .side_by_side import SideBySide

AAA, BBB = Symbol("AAA"), Symbol("BBB")
ANN, BOB, CAT, DAN = AccountId(1), AccountId(2), AccountId(3), AccountId(4)  # Dan may borrow and sell short
CASH_DOLLARS, SHARES = 10_000, 1_000  # each trader's start; Dan has no shares
HALT_NS = 300 * 10**9
BUY, SELL = Side.BUY, Side.SELL
DAY, GTC, IOC, FOK = TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK
OPG, CLS = TimeInForce.OPG, TimeInForce.CLS
LISTED = (
    Instrument(AAA, 10_000, 100, MICROS_PER_SHARE, 10 * 10**6, 500_000, 0, HALT_NS, True, True, True),
    Instrument(BBB, 50_000, 1_000, 100 * MICROS_PER_SHARE, 20 * 10**6, 100_000, 0, HALT_NS, True, False, False),
)


def dollars(amount: float) -> int:
    return round(amount * MICROS_PER_DOLLAR)


def shares(amount: float) -> int:
    return round(amount * MICROS_PER_SHARE)


def in_dollars(micros: int) -> float:
    return micros / MICROS_PER_DOLLAR


def in_shares(quantity: int) -> float:
    return quantity / MICROS_PER_SHARE


class Floor:
    """Shares and dollars here, millionths in the exchange. Without a price an order is a market order."""

    def __init__(self) -> None:
        self.both = SideBySide()
        self.journal: list[tuple[Command, list[Event]]] = []
        self.now_ns = 0
        self._names = 0
        for instrument in LISTED:
            self.accepted(ListInstrument(0, instrument))
        for account_id in (ANN, BOB, CAT, DAN):
            self.accepted(OpenAccount(0, account_id, AccountTerms(2 if account_id == DAN else 1)))
            self.accepted(Deposit(0, account_id, CASH, dollars(CASH_DOLLARS)))
            if account_id != DAN:
                self.accepted(Deposit(0, account_id, AAA, shares(SHARES)))
                self.accepted(Deposit(0, account_id, BBB, shares(SHARES)))
        self.phase(Phase.CONTINUOUS)
        self.phase(Phase.CONTINUOUS, BBB)

    @property
    def exchange(self) -> Exchange:
        return self.both.exchange

    def send(self, command: Command) -> Outcome:
        """What the fast exchange answers; the naive one has answered the same."""
        outcome = self.both.apply(command)
        if isinstance(outcome, list):
            self.journal.append((command, outcome))
        return outcome

    def accepted(self, command: Command) -> list[Event]:
        outcome = self.send(command)
        assert isinstance(outcome, list), outcome
        return outcome

    def refused(self, command: Command) -> tuple[RejectReason, str]:
        """The command must be refused and leave no trace."""
        before = state_of(self.exchange)
        outcome = self.send(command)
        assert isinstance(outcome, Refused), outcome
        assert state_of(self.exchange) == before
        return outcome.reason, outcome.message

    def why_refused(self, command: Command) -> RejectReason:
        return self.refused(command)[0]

    # Commands

    def order(
        self,
        account_id: AccountId,
        side: Side,
        amount: float,
        price: float | None = None,
        *,
        symbol: Symbol = AAA,
        lasting: TimeInForce = GTC,
        name: str | None = None,
        kind: OrderType | None = None,
        **special: Any,
    ) -> PlaceOrder:
        """``special`` are the special terms by their names, without the unit and in dollars."""
        self._names += 1
        terms = special_terms(**special) if special else None
        limit = None if price is None else dollars(price)
        head = (self.now_ns, account_id, name or f"order-{self._names}", symbol, side)
        return PlaceOrder(*head, kind or kind_of(limit, terms), lasting, shares(amount), limit, terms)

    def place(
        self, account_id: AccountId, side: Side, amount: float, price: float | None = None, **more: Any
    ) -> OrderId:
        events = self.accepted(self.order(account_id, side, amount, price, **more))
        return next(event.order_id for event in events if isinstance(event, OrderAccepted))

    def buy(self, account_id: AccountId, amount: float, price: float | None = None, **more: Any) -> OrderId:
        return self.place(account_id, BUY, amount, price, **more)

    def sell(self, account_id: AccountId, amount: float, price: float | None = None, **more: Any) -> OrderId:
        return self.place(account_id, SELL, amount, price, **more)

    def trade_at(self, price: float, amount: float = 1, symbol: Symbol = AAA) -> list[Event]:
        """Bob sells to Cat at a price where nobody else is in the way."""
        self.sell(BOB, amount, price, symbol=symbol, lasting=GTC)
        self.buy(CAT, amount, price, symbol=symbol, lasting=IOC)
        return self.last_events()

    def replacement(
        self,
        account_id: AccountId,
        order_id: OrderId,
        *,
        amount: float | None = None,
        price: float | None = None,
        stop: float | None = None,
        trail: int | None = None,
        lasting: TimeInForce | None = None,
        name: str | None = None,
    ) -> ReplaceOrder:
        self._names += 1
        quantity, limit, moved = (None if value is None else dollars(value) for value in (amount, price, stop))
        name = name or f"order-{self._names}"
        return ReplaceOrder(self.now_ns, account_id, order_id, name, quantity, limit, moved, trail, lasting)

    def replace(self, account_id: AccountId, order_id: OrderId, **given: Any) -> OrderId:
        self.accepted(self.replacement(account_id, order_id, **given))
        return self.exchange.last_order_id

    def cancel(self, account_id: AccountId, order_id: OrderId) -> list[Event]:
        return self.accepted(CancelOrder(self.now_ns, account_id, order_id))

    def cancel_all(self, account_id: AccountId, symbol: Symbol = AAA) -> list[Event]:
        return self.accepted(CancelAll(self.now_ns, account_id, symbol))

    def phase(self, phase: Phase, symbol: Symbol = AAA) -> list[Event]:
        return self.accepted(ChangePhase(self.now_ns, symbol, phase))

    def fees(self, **rates: int) -> None:
        self.accepted(SetFees(self.now_ns, FeeSchedule(**rates)))

    def instrument(self, symbol: Symbol = AAA, **changes: int | bool) -> None:
        self.accepted(ChangeInstrument(self.now_ns, self.exchange.instrument(symbol)._replace(**changes)))  # type: ignore[arg-type]

    def terms(
        self,
        account_id: AccountId,
        multiplier: int = 1,
        self_trade: SelfTrade = SelfTrade.CANCEL_NEWEST,
        *,
        blocked: bool = False,
        **limits: int,
    ) -> None:
        terms = AccountTerms(multiplier, self_trade, blocked, Limits(**limits))
        outcome = self.send(ChangeAccount(self.now_ns, account_id, terms))
        if isinstance(outcome, Refused):
            assert outcome.reason is RejectReason.NOTHING_TO_CHANGE

    def deposit(self, account_id: AccountId, amount: float, asset: str = CASH) -> None:
        self.accepted(Deposit(self.now_ns, account_id, asset, dollars(amount)))

    # What happened, and what is

    def last_events(self) -> list[Event]:
        return self.journal[-1][1]

    def last_fills(self) -> list[tuple[OrderId, float, float]]:
        """(maker order, dollars, shares) of the last command's trades."""
        trades = [event for event in self.last_events() if isinstance(event, Traded)]
        return [(trade.maker_order_id, in_dollars(trade.price_micros), in_shares(trade.quantity)) for trade in trades]

    def last_postings(self) -> list[tuple[int, str, int, str, str, int]]:
        return [(*event,) for event in self.last_events() if isinstance(event, LedgerPosted)]

    def story(self) -> list[tuple[str, OrderId]]:
        """What the last command did to which orders, in order; a trade is told of its taker."""
        told: list[tuple[str, OrderId]] = []
        for event in self.last_events():
            match event:
                case Traded():
                    told.append(("traded", event.taker_order_id))
                case OrderCanceled() | OrderReduced():
                    what = "canceled" if isinstance(event, OrderCanceled) else "reduced"
                    told.append((f"{what}: {event.reason}", event.order_id))
                case OrderRested():
                    told.append(("rested", event.order_id))
                case OrderTriggered():
                    told.append(("triggered", event.order_id))
                case OrderActivated():
                    told.append(("activated", event.order_id))
        return told

    def ended(self) -> list[tuple[OrderId, CancelReason]]:
        return [(event.order_id, event.reason) for event in self.last_events() if isinstance(event, OrderCanceled)]

    def bids(self, symbol: Symbol = AAA) -> list[tuple[float, float]]:
        return self._levels(BUY, symbol)

    def asks(self, symbol: Symbol = AAA) -> list[tuple[float, float]]:
        return self._levels(SELL, symbol)

    def _levels(self, side: Side, symbol: Symbol) -> list[tuple[float, float]]:
        levels = self.exchange.book(symbol).levels(side)
        return [(in_dollars(price), in_shares(quantity)) for price, quantity in levels]

    def cash(self, account_id: AccountId) -> tuple[float, float]:
        """Available and reserved."""
        available, reserved = self.exchange.balance(account_id, CASH)
        return in_dollars(available), in_dollars(reserved)

    def shares(self, account_id: AccountId, symbol: Symbol = AAA) -> tuple[float, float]:
        available, reserved = self.exchange.balance(account_id, symbol)
        return in_shares(available), in_shares(reserved)

    def cost(self, account_id: AccountId, symbol: Symbol = AAA) -> float:
        return in_dollars(self.exchange.cost(account_id, symbol))

    def mark(self, symbol: Symbol = AAA) -> float:
        return in_dollars(self.exchange.mark_micros(symbol))

    def leaves(self, order_id: OrderId) -> float | None:
        """Of an open order; None when it is not open."""
        rows = {row.order_id: row.leaves for row in state_of(self.exchange).open_orders}
        return in_shares(rows[order_id]) if order_id in rows else None


def special_terms(
    *,
    stop: float | None = None,
    trail: float | None = None,
    trail_ppm: int | None = None,
    notional: float | None = None,
    post_only: bool = False,
    group: OrderClass = OrderClass.SIMPLE,
    take_profit: float | None = None,
    stop_loss: float | None = None,
    stop_loss_limit: float | None = None,
) -> SpecialTerms:
    prices = [None if price is None else dollars(price) for price in (stop, trail, notional)]
    exits = [None if price is None else dollars(price) for price in (take_profit, stop_loss, stop_loss_limit)]
    return SpecialTerms(prices[0], prices[1], trail_ppm, prices[2], post_only, group, *exits)


def kind_of(limit: int | None, terms: SpecialTerms | None) -> OrderType:
    if terms is not None and terms.stop_price_micros is not None:
        return OrderType.STOP if limit is None else OrderType.STOP_LIMIT
    if terms is not None and (terms.trail_micros is not None or terms.trail_ppm is not None):
        return OrderType.TRAILING_STOP
    return OrderType.MARKET if limit is None else OrderType.LIMIT
