"""The exchange: commands in, events out. Matching, risk and ledger change together or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias, assert_never

from trading.core import risk
from trading.core.client_order_ids import ClientOrderIds
from trading.core.commands import CancelOrder, CloseSession, Command, Deposit, ListInstrument, OpenAccount, PlaceOrder
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
from trading.core.order_book import Fill, Order, OrderBook
from trading.core.orders import (
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
        self._open_orders: dict[OrderId, Order] = {}
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

    def open_order(self, order_id: OrderId) -> Order | None:
        """The live order, to be read only; None when it is closed or never was."""
        return self._open_orders.get(order_id)

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
        asset = CASH if command.side is Side.BUY else command.symbol
        if refusal := risk.check_funds(command, needed, self._ledger.available(command.account_id, asset)):
            return refusal
        return self._accept(command, market, self._ledger.reserve(command.account_id, asset, needed))

    def _cancel(self, command: CancelOrder) -> Outcome:
        if not self._ledger.has(command.account_id):
            return _unknown_account(command.account_id)
        order = self._open_orders.get(command.order_id)
        if order is None and 0 < command.order_id <= self.last_order_id:
            return Refused(RejectReason.NOT_CANCELABLE, f"order {command.order_id} is closed")
        if order is None or order.accepted.account_id != command.account_id:
            message = f"account {command.account_id} has no order {risk.shown(command.order_id)}"
            return Refused(RejectReason.UNKNOWN_ORDER, message)
        market = self._markets[order.accepted.symbol]
        market.sequence += 1
        return self._withdraw(order, market.book, CancelReason.CLIENT)

    def _close_session(self, command: CloseSession) -> Outcome:
        market = self._markets.get(command.symbol)
        if market is None:
            return _unknown_symbol(command.symbol)
        market.sequence += 1
        events: list[Event] = [SessionClosed(command.symbol)]
        for order in _day_orders(market.book):
            events += self._withdraw(order, market.book, CancelReason.SESSION_CLOSED)
        return events

    # -- the life of an order ----------------------------------------------------------------------

    def _accept(self, command: PlaceOrder, market: Market, reserved: LedgerPosted) -> list[Event]:
        order_id = self.last_order_id = OrderId(self.last_order_id + 1)
        self._client_order_ids.remember(command, order_id)
        market.sequence += 1
        accepted = OrderAccepted(order_id, *command[1:])
        events: list[Event] = [accepted, reserved]
        leaves = accepted.quantity
        fills = market.book.match(accepted.side, leaves, accepted.limit_price_micros)
        for fill in fills:
            leaves -= fill[1]
            self._trade(accepted, fill, leaves, events)
        if leaves:
            self._dispose(accepted, leaves, market.book, events)
        return events

    def _trade(self, taker: OrderAccepted, fill: Fill, leaves: int, events: list[Event]) -> None:
        """Books one fill: the trade, both sides of its settlement, and what the buyer did not have to spend."""
        order, quantity = fill
        maker, price_micros = order.accepted, order.price_micros
        if not order.leaves:
            del self._open_orders[maker.order_id]
        trade_id = self.last_trade_id = TradeId(self.last_trade_id + 1)
        events.append(
            Traded(
                trade_id,
                taker.symbol,
                price_micros,
                quantity,
                taker.side,
                maker.order_id,
                maker.account_id,
                order.leaves,
                taker.order_id,
                taker.account_id,
                leaves,
            )
        )
        buyer, seller = (taker, maker) if taker.side is Side.BUY else (maker, taker)
        ledger, buyer_id, seller_id = self._ledger, buyer.account_id, seller.account_id
        events.append(ledger.pay(buyer_id, seller_id, CASH, quantity * price_micros))
        events.append(ledger.pay(seller_id, buyer_id, taker.symbol, quantity))
        limit_micros = buyer.limit_price_micros
        if limit_micros is not None and limit_micros > price_micros:
            events.append(ledger.release(buyer_id, CASH, quantity * (limit_micros - price_micros)))

    def _dispose(self, accepted: OrderAccepted, leaves: int, book: OrderBook, events: list[Event]) -> None:
        """Lets the unfilled part of an order rest, or withdraws it where the order may not wait."""
        price_micros = accepted.limit_price_micros
        if price_micros is None or accepted.time_in_force is TimeInForce.IOC:
            events += self._canceled(accepted, None, leaves, CancelReason.UNFILLED)
            return
        order = Order(accepted, price_micros, leaves)
        book.rest(order)
        self._open_orders[accepted.order_id] = order
        events.append(OrderRested(accepted.order_id, accepted.symbol, accepted.side, price_micros, leaves))

    def _withdraw(self, order: Order, book: OrderBook, reason: CancelReason) -> list[Event]:
        book.remove(order)
        del self._open_orders[order.accepted.order_id]
        return self._canceled(order.accepted, order.price_micros, order.leaves, reason)

    def _canceled(
        self, accepted: OrderAccepted, price_micros: int | None, leaves: int, reason: CancelReason
    ) -> list[Event]:
        order_id, account_id, _, symbol, side = accepted[:5]
        events: list[Event] = [OrderCanceled(order_id, account_id, symbol, side, price_micros, leaves, reason)]
        if side is Side.SELL:
            events.append(self._ledger.release(account_id, symbol, leaves))
        elif accepted.limit_price_micros is not None:  # a market buy reserved only what it has spent
            events.append(self._ledger.release(account_id, CASH, leaves * accepted.limit_price_micros))
        return events


def symbol_of(events: list[Event]) -> Symbol | None:
    """The market an accepted command concerned, from its events; None for listings, accounts and deposits."""
    match events[0]:
        case OrderAccepted(symbol=symbol) | OrderCanceled(symbol=symbol) | SessionClosed(symbol=symbol):
            return symbol
        case _:
            return None


def _day_orders(book: OrderBook) -> list[Order]:
    orders = [order for side in Side for order in book.orders(side)]
    day = (order for order in orders if order.accepted.time_in_force is TimeInForce.DAY)
    return sorted(day, key=lambda order: order.accepted.order_id)


def _unknown_account(account_id: AccountId) -> Refused:
    return Refused(RejectReason.UNKNOWN_ACCOUNT, f"account {risk.shown(account_id)} is not open")


def _unknown_symbol(symbol: str) -> Refused:
    return Refused(RejectReason.UNKNOWN_SYMBOL, f"symbol {risk.shown(symbol)} is not listed")
