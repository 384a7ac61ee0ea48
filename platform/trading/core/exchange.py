"""The exchange: commands in, events out. Matching, risk and ledger change together or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias, assert_never

from trading.core import risk
from trading.core.client_order_ids import ClientOrderIds
from trading.core.commands import CancelOrder, CloseSession, Command, Deposit, ListInstrument, OpenAccount, PlaceOrder
from trading.core.errors import InvariantError
from trading.core.events import (
    CASH,
    AccountOpened,
    Event,
    InstrumentListed,
    LedgerPosted,
    OrderAccepted,
    OrderCanceled,
    OrderRested,
    Outcome,
    Refused,
    SessionClosed,
    Traded,
)
from trading.core.ledger import Ledger
from trading.core.order_book import BookSide, Fill, OrderBook
from trading.core.orders import (
    BUY,
    SELL,
    AccountId,
    CancelReason,
    OrderId,
    RejectReason,
    Side,
    Symbol,
    TimeInForce,
    TradeId,
)

Balances: TypeAlias = Iterator[tuple[AccountId, str, int, int]]

_IOC, _CLIENT = TimeInForce.IOC, CancelReason.CLIENT


class OpenOrder(NamedTuple):
    """A resting order: what was accepted, and its price and its unfilled shares."""

    accepted: OrderAccepted
    price_micros: int
    leaves: int


class Market:
    """One listed instrument: its rules, its book, and how many commands have changed it."""

    __slots__ = ("book", "sequence", "symbol", "tick_micros")

    def __init__(self, symbol: Symbol, tick_micros: int) -> None:
        self.symbol = symbol
        self.tick_micros = tick_micros
        self.book = OrderBook()
        self.sequence = 0


class Exchange:
    """The whole state of trading. ``apply`` is its only way to change, and decides from the state and command alone."""

    def __init__(self) -> None:
        self.sequence = 0
        self.last_order_id = OrderId(0)
        self.last_trade_id = TradeId(0)
        self._ledger = Ledger()
        self._markets: dict[Symbol, Market] = {}
        self._resting: dict[OrderId, OrderAccepted] = {}
        self._client_order_ids = ClientOrderIds()

    def apply(self, command: Command) -> Outcome:
        """Executes the command wholly, or refuses it and changes nothing.

        Takes any values of the right types. Raises InvariantError only when the exchange itself is broken.
        """
        outcome = self._execute(command)
        if isinstance(outcome, list):
            self.sequence += 1
        return outcome

    # -- lookups -----------------------------------------------------------------------------------

    def symbols(self) -> list[Symbol]:
        return sorted(self._markets)

    def account_ids(self) -> list[AccountId]:
        return self._ledger.account_ids()

    def symbol_sequence(self, symbol: Symbol) -> int:
        """How many accepted commands concerned this market. Raises KeyError for a symbol that is not listed."""
        return self._markets[symbol].sequence

    def tick_micros(self, symbol: Symbol) -> int:
        return self._markets[symbol].tick_micros

    def book(self, symbol: Symbol) -> OrderBook:
        """The live book, to be read only. Raises KeyError for a symbol that is not listed."""
        return self._markets[symbol].book

    def balance(self, account_id: AccountId, asset: str) -> tuple[int, int]:
        """(available, reserved) of an asset; an account that does not exist holds nothing."""
        return self._ledger.balance(account_id, asset)

    def balances(self) -> Balances:
        """(account, asset, available, reserved) of every balance that is not zero, sorted."""
        return self._ledger.balances()

    def issued(self, asset: str) -> int:
        """How much of an asset was ever deposited: always the sum of all balances."""
        return self._ledger.issued(asset)

    def open_order(self, order_id: OrderId) -> OpenOrder | None:
        """The order as it is now; None when it is closed or never was."""
        accepted = self._resting.get(order_id)
        if accepted is None:
            return None
        own, _ = self._markets[accepted.symbol].book.sides[accepted.side]
        price_micros = _limit_of(accepted)
        return OpenOrder(accepted, price_micros, own.leaves(order_id, price_micros))

    def open_orders(self, symbol: Symbol, side: Side) -> Iterator[OpenOrder]:
        """The resting orders of one side, best price first, oldest first."""
        for order_id, price_micros, leaves in self._markets[symbol].book.queue(side):
            yield OpenOrder(self._resting[order_id], price_micros, leaves)

    def known_order(self, account_id: AccountId, client_order_id: str) -> OrderId | None:
        """The order that was accepted under this client_order_id, open or closed."""
        return self._client_order_ids.find(account_id, client_order_id)

    # -- commands ----------------------------------------------------------------------------------

    def _execute(self, command: Command) -> Outcome:
        match command:
            case PlaceOrder():
                return self._place(command)
            case CancelOrder():
                return self._cancel(command)
            case Deposit():
                return self._deposit(command)
            case OpenAccount():
                return self._open_account(command)
            case ListInstrument():
                return self._list(command)
            case CloseSession():
                return self._close_session(command)
            case _:
                assert_never(command)

    def _list(self, command: ListInstrument) -> Outcome:
        if refusal := risk.check_instrument(command):
            return refusal
        listed = self._markets.get(command.symbol)
        if listed is not None:
            message = f"{command.symbol} is listed, with tick {listed.tick_micros}"
            return Refused(RejectReason.ALREADY_EXISTS, message)
        self._markets[command.symbol] = Market(command.symbol, command.tick_micros)
        return [InstrumentListed(command.symbol, command.tick_micros)]

    def _open_account(self, command: OpenAccount) -> Outcome:
        if refusal := risk.check_account_id(command.account_id):
            return refusal
        if self._ledger.has(command.account_id):
            return Refused(RejectReason.ALREADY_EXISTS, f"account {command.account_id} is open")
        self._ledger.open(command.account_id)
        self._client_order_ids.open(command.account_id)
        return [AccountOpened(command.account_id)]

    def _deposit(self, command: Deposit) -> Outcome:
        if not self._ledger.has(command.account_id):
            return _unknown_account(command.account_id)
        if command.asset != CASH and command.asset not in self._markets:
            return _unknown_symbol(command.asset)
        if refusal := risk.check_deposit(command, self._ledger):
            return refusal
        return [self._ledger.deposit(command.account_id, command.asset, command.amount)]

    def _place(self, command: PlaceOrder) -> Outcome:
        if not self._ledger.has(command.account_id):
            return _unknown_account(command.account_id)
        if answer := self._client_order_ids.answer(command):
            return answer
        market = self._markets.get(command.symbol)
        if market is None:
            return _unknown_symbol(command.symbol)
        if refusal := risk.check_terms(command, market.tick_micros):
            return refusal
        needed = risk.reservation(command, market.book)
        if isinstance(needed, Refused):
            return needed
        asset = CASH if command.side is BUY else command.symbol
        if refusal := risk.check_funds(command, needed, self._ledger.available(command.account_id, asset)):
            return refusal
        return self._accept(command, market, self._ledger.reserve(command.account_id, asset, needed))

    def _cancel(self, command: CancelOrder) -> Outcome:
        if not self._ledger.has(command.account_id):
            return _unknown_account(command.account_id)
        order = self._resting.get(command.order_id)
        if order is None and 0 < command.order_id <= self.last_order_id:
            return Refused(RejectReason.NOT_CANCELABLE, f"order {command.order_id} is closed")
        if order is None or order.account_id != command.account_id:
            message = f"account {command.account_id} has no order {risk.shown(command.order_id)}"
            return Refused(RejectReason.UNKNOWN_ORDER, message)
        market = self._markets[order.symbol]
        market.sequence += 1
        events: list[Event] = []
        self._withdraw(order, market.book, _CLIENT, events)
        return events

    def _close_session(self, command: CloseSession) -> Outcome:
        market = self._markets.get(command.symbol)
        if market is None:
            return _unknown_symbol(command.symbol)
        market.sequence += 1
        events: list[Event] = [SessionClosed(command.symbol)]
        for order in self._day_orders(market.book):
            self._withdraw(order, market.book, CancelReason.SESSION_CLOSED, events)
        return events

    # -- the life of an order ----------------------------------------------------------------------

    def _accept(self, command: PlaceOrder, market: Market, reserved: LedgerPosted) -> list[Event]:
        order_id = self.last_order_id = OrderId(self.last_order_id + 1)
        self._client_order_ids.remember(command, order_id)
        market.sequence += 1
        accepted = OrderAccepted(order_id, *command[1:])
        events: list[Event] = [accepted, reserved]
        leaves = accepted.quantity
        own, opposite = market.book.sides[accepted.side]
        for fill in opposite.take(leaves, accepted.limit_price_micros):
            leaves -= fill[2]
            self._trade(accepted, fill, leaves, events)
        if leaves:
            self._dispose(accepted, leaves, own, events)
        return events

    def _trade(self, taker: OrderAccepted, fill: Fill, leaves: int, events: list[Event]) -> None:
        """Books one fill: the trade, both sides of its settlement, and what the buyer did not have to spend."""
        maker_id, price_micros, quantity, maker_leaves = fill
        maker = self._resting[maker_id] if maker_leaves else self._resting.pop(maker_id)
        trade_id = self.last_trade_id = TradeId(self.last_trade_id + 1)
        taker_id, taker_account_id, _, symbol, side, _, _, _, limit_micros = taker
        maker_account_id = maker.account_id
        both = (maker_id, maker_account_id, maker_leaves, taker_id, taker_account_id, leaves)
        events.append(Traded(trade_id, symbol, price_micros, quantity, side, *both))
        pay = self._ledger.pay
        if side is SELL:
            events.append(pay(maker_account_id, taker_account_id, CASH, quantity * price_micros))
            events.append(pay(taker_account_id, maker_account_id, symbol, quantity))
            return
        events.append(pay(taker_account_id, maker_account_id, CASH, quantity * price_micros))
        events.append(pay(maker_account_id, taker_account_id, symbol, quantity))
        if limit_micros is not None and limit_micros > price_micros:
            saved_micros = quantity * (limit_micros - price_micros)
            events.append(self._ledger.release(taker_account_id, CASH, saved_micros))

    def _dispose(self, order: OrderAccepted, leaves: int, own: BookSide, events: list[Event]) -> None:
        """Lets the unfilled part of an order rest, or withdraws it where the order may not wait."""
        price_micros = order.limit_price_micros
        if price_micros is None or order.time_in_force is _IOC:
            self._canceled(order, None, leaves, CancelReason.UNFILLED, events)
            return
        order_id = order.order_id
        own.add(order_id, price_micros, leaves)
        self._resting[order_id] = order
        events.append(OrderRested(order_id, order.symbol, order.side, price_micros, leaves))

    def _withdraw(self, order: OrderAccepted, book: OrderBook, reason: CancelReason, events: list[Event]) -> None:
        price_micros = _limit_of(order)
        own, _ = book.sides[order.side]
        leaves = own.remove(order.order_id, price_micros)
        del self._resting[order.order_id]
        self._canceled(order, price_micros, leaves, reason, events)

    def _canceled(
        self, order: OrderAccepted, rested_micros: int | None, leaves: int, reason: CancelReason, events: list[Event]
    ) -> None:
        order_id, account_id, _, symbol, side, _, _, _, limit_micros = order
        events.append(OrderCanceled(order_id, account_id, symbol, side, rested_micros, leaves, reason))
        if side is SELL:
            events.append(self._ledger.release(account_id, symbol, leaves))
        elif limit_micros is not None:  # a market buy reserved only what it has spent
            events.append(self._ledger.release(account_id, CASH, leaves * limit_micros))

    def _day_orders(self, book: OrderBook) -> list[OrderAccepted]:
        """In the order of their ids."""
        order_ids = sorted(order_id for side in Side for order_id, _, _ in book.queue(side))
        orders = (self._resting[order_id] for order_id in order_ids)
        return [order for order in orders if order.time_in_force is TimeInForce.DAY]


def symbol_of(events: list[Event]) -> Symbol | None:
    """The market an accepted command concerned, from its events; None for listings, accounts and deposits."""
    match events[0]:
        case OrderAccepted(symbol=symbol) | OrderCanceled(symbol=symbol) | SessionClosed(symbol=symbol):
            return symbol
        case _:
            return None


def _limit_of(order: OrderAccepted) -> int:
    if order.limit_price_micros is None:
        raise InvariantError(f"order {order.order_id} rests without a limit price")
    return order.limit_price_micros


def _unknown_account(account_id: AccountId) -> Refused:
    return Refused(RejectReason.UNKNOWN_ACCOUNT, f"account {risk.shown(account_id)} is not open")


def _unknown_symbol(symbol: str) -> Refused:
    return Refused(RejectReason.UNKNOWN_SYMBOL, f"symbol {risk.shown(symbol)} is not listed")
