"""A trading floor for the examples: an open exchange, traders with money and shares, and a journal of what happened."""

from __future__ import annotations

from trading.core.commands import CancelOrder, CloseSession, Command, Deposit, ListInstrument, OpenAccount, PlaceOrder
from trading.core.events import CASH, Event, Outcome, Refused, Traded
from trading.core.exchange import Exchange
from trading.core.orders import (
    MICROS_PER_DOLLAR,
    AccountId,
    OrderId,
    OrderType,
    RejectReason,
    Side,
    Symbol,
    TimeInForce,
)
from trading.core.state import state_of

AAA, BBB = Symbol("AAA"), Symbol("BBB")
ANN, BOB, CAT = AccountId(1), AccountId(2), AccountId(3)
TICK_MICROS = 10_000
CASH_DOLLARS, SHARES = 10_000, 1_000  # each trader's start


def dollars(amount: float) -> int:
    return round(amount * MICROS_PER_DOLLAR)


class Floor:
    """Prices in dollars here, micro-dollars in the exchange. Without a price an order is a market order."""

    def __init__(self) -> None:
        self.exchange = Exchange()
        self.journal: list[tuple[Command, list[Event]]] = []
        self._names = 0
        for symbol in (AAA, BBB):
            self.accepted(ListInstrument(0, symbol, TICK_MICROS))
        for account_id in (ANN, BOB, CAT):
            self.accepted(OpenAccount(0, account_id))
            self.accepted(Deposit(0, account_id, CASH, dollars(CASH_DOLLARS)))
            self.accepted(Deposit(0, account_id, AAA, SHARES))

    def send(self, command: Command) -> Outcome:
        outcome = self.exchange.apply(command)
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

    def order(
        self,
        account_id: AccountId,
        side: Side,
        quantity: int,
        price: float | None = None,
        *,
        symbol: Symbol = AAA,
        lasting: TimeInForce = TimeInForce.GTC,
        name: str | None = None,
    ) -> PlaceOrder:
        self._names += 1
        kind = OrderType.MARKET if price is None else OrderType.LIMIT
        limit = None if price is None else dollars(price)
        return PlaceOrder(0, account_id, name or f"order-{self._names}", symbol, side, kind, lasting, quantity, limit)

    def buy(
        self, account_id: AccountId, quantity: int, price: float | None = None, lasting: TimeInForce = TimeInForce.GTC
    ) -> OrderId:
        self.accepted(self.order(account_id, Side.BUY, quantity, price, lasting=lasting))
        return self.exchange.last_order_id

    def sell(
        self, account_id: AccountId, quantity: int, price: float | None = None, lasting: TimeInForce = TimeInForce.GTC
    ) -> OrderId:
        self.accepted(self.order(account_id, Side.SELL, quantity, price, lasting=lasting))
        return self.exchange.last_order_id

    def cancel(self, account_id: AccountId, order_id: OrderId) -> list[Event]:
        return self.accepted(CancelOrder(0, account_id, order_id))

    def close(self, symbol: Symbol = AAA) -> list[Event]:
        return self.accepted(CloseSession(0, symbol))

    def last_events(self) -> list[Event]:
        return self.journal[-1][1]

    def last_fills(self) -> list[tuple[OrderId, float, int]]:
        """(maker order, dollars, shares) of the last command's trades."""
        trades = [event for event in self.last_events() if isinstance(event, Traded)]
        return [(trade.maker_order_id, trade.price_micros / MICROS_PER_DOLLAR, trade.quantity) for trade in trades]

    def bids(self) -> list[tuple[float, int]]:
        return [(price / MICROS_PER_DOLLAR, shares) for price, shares in self.exchange.book(AAA).levels(Side.BUY)]

    def asks(self) -> list[tuple[float, int]]:
        return [(price / MICROS_PER_DOLLAR, shares) for price, shares in self.exchange.book(AAA).levels(Side.SELL)]

    def cash(self, account_id: AccountId) -> tuple[float, float]:
        """(available, reserved) dollars."""
        available, reserved = self.exchange.balance(account_id, CASH)
        return available / MICROS_PER_DOLLAR, reserved / MICROS_PER_DOLLAR

    def shares(self, account_id: AccountId) -> tuple[int, int]:
        """(available, reserved)"""
        return self.exchange.balance(account_id, AAA)
