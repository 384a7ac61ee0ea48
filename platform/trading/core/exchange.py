"""The exchange: commands in, events out. Matching, risk and ledger change together or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias, assert_never

from trading.core import administration, days, funds, lifecycle, matching, placing, replacing
from trading.core.commands import (
    EVERYBODY,
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
    SetKillSwitch,
    Transfer,
    Withdraw,
)
from trading.core.errors import InvariantError
from trading.core.events import (
    Event,
    OrderAccepted,
    OrderCanceled,
    OrderReplaced,
    Outcome,
    PhaseChanged,
    Refused,
    Uncrossed,
)
from trading.core.instruments import shown
from trading.core.order_book import OrderBook
from trading.core.orders import AccountId, CancelReason, Instrument, OrderId, Phase, RejectReason, Side, Symbol
from trading.core.venue import Order, Stage, Venue

Balances: TypeAlias = Iterator[tuple[AccountId, str, int, int]]


class Exchange:
    """The whole state of trading. ``apply`` is its only way to change, and decides from the state and command alone."""

    def __init__(self, venue: Venue | None = None) -> None:
        self.venue = Venue() if venue is None else venue

    def apply(self, command: Command) -> Outcome:
        """Executes the command wholly, or refuses it and changes nothing.

        Takes any values of the right types. Raises InvariantError, with the number the command would have had, only
        when the exchange itself is broken; nobody may go on with it then.
        """
        venue = self.venue
        at_ns = command[0]
        if at_ns < venue.now_ns:
            message = f"the command is of {shown(at_ns)} ns, the last one was of {venue.now_ns}"
            return Refused(RejectReason.CLOCK_WENT_BACKWARDS, message)
        events: list[Event] = []
        venue.events = events
        before_ns, venue.now_ns = venue.now_ns, at_ns
        try:
            outcome = self._execute(command)
            if not events:
                venue.now_ns = before_ns
                assert outcome is not None
                return outcome
            if venue.follow_ups or venue.moved_stops:
                matching.finish(venue)
        except (InvariantError, AssertionError, LookupError) as error:
            raise InvariantError(f"{type(command).__name__}, to be number {venue.sequence + 1}: {error!r}") from error
        venue.sequence += 1
        return events

    # -- lookups -----------------------------------------------------------------------------------

    @property
    def sequence(self) -> int:
        """How many commands were accepted."""
        return self.venue.sequence

    @property
    def now_ns(self) -> int:
        """When the last accepted command was stamped."""
        return self.venue.now_ns

    @property
    def last_order_id(self) -> OrderId:
        return self.venue.last_order_id

    @property
    def last_trade_id(self) -> int:
        return self.venue.last_trade_id

    def symbols(self) -> list[Symbol]:
        return [Symbol(symbol) for symbol in sorted(self.venue.markets)]

    def account_ids(self) -> list[AccountId]:
        return sorted(self.venue.accounts)

    # The lookups by symbol raise KeyError for one that is not listed.

    def instrument(self, symbol: Symbol) -> Instrument:
        return self.venue.markets[symbol].instrument

    def phase(self, symbol: Symbol) -> Phase:
        return self.venue.markets[symbol].phase

    def mark_micros(self, symbol: Symbol) -> int:
        """The last trade's price; the reference price while there was none."""
        return self.venue.markets[symbol].mark_micros

    def symbol_sequence(self, symbol: Symbol) -> int:
        """How many accepted commands concerned this market."""
        return self.venue.markets[symbol].sequence

    def book(self, symbol: Symbol) -> OrderBook:
        """The live book, to be read only."""
        return self.venue.markets[symbol].book

    def reopenings(self) -> list[tuple[int, Symbol]]:
        """(when, symbol) of every volatility halt that is to end by itself, soonest first."""
        due = [(market.reopens_at_ns, market.instrument.symbol) for market in self.venue.markets.values()]
        return sorted((at_ns, symbol) for at_ns, symbol in due if at_ns is not None)

    def balance(self, account_id: AccountId, asset: str) -> tuple[int, int]:
        """(available, reserved) of an asset; an account that does not exist holds nothing."""
        account = self.venue.find_account(account_id)
        held = None if account is None else account.balances.get(asset)
        return (0, 0) if held is None else (held.available, held.reserved)

    def cost(self, account_id: AccountId, asset: str) -> int:
        """What the account's position took to come about, in micro-dollars; below zero for a short one."""
        account = self.venue.find_account(account_id)
        held = None if account is None else account.balances.get(asset)
        return 0 if held is None else held.cost

    def balances(self) -> Balances:
        """(account, asset, available, reserved) of every balance that is not zero, sorted."""
        for account in self.venue.all_accounts():
            for asset, held in sorted(account.balances.items()):
                if held.available or held.reserved:
                    yield account.account_id, asset, held.available, held.reserved

    def buying_power(self, account_id: AccountId) -> int:
        """In micro-dollars. Raises KeyError for an account that is not open."""
        return funds.buying_power(self.venue, self.venue.accounts[account_id])

    def issued(self, asset: str) -> int:
        """How much of an asset came in and has not left again: always the sum of all balances."""
        return self.venue.ledger.issued.get(asset, 0)

    def open_order(self, account_id: AccountId, order_id: OrderId) -> Order | None:
        """The order as it is now, to be read only; None when it is not open in this account."""
        account = self.venue.accounts.get(account_id)
        return None if account is None else account.orders.get(order_id)

    def open_orders(self, symbol: Symbol, side: Side) -> Iterator[Order]:
        """The resting orders of one side, best price first, oldest first."""
        market = self.venue.markets[symbol]
        for place, _, _ in market.book.queue(side):
            yield market.resting[place]

    def open_symbols(self, account_id: AccountId) -> list[Symbol]:
        """Where an account (0: anybody) has open orders."""
        accounts = self.venue.accounts
        concerned = accounts.values() if account_id == EVERYBODY else [accounts[account_id]]
        return sorted({order.accepted.symbol for account in concerned for order in account.orders.values()})

    @property
    def forgets(self) -> bool:
        """Whether client_order_ids were accepted that it does not know any more."""
        return self.venue.client_order_ids.forgotten > 0

    def known_order(self, account_id: AccountId, client_order_id: str) -> OrderId | None:
        """The order that was accepted under this client_order_id not too long ago, open or closed."""
        return self.venue.client_order_ids.find(account_id, client_order_id)

    # -- commands ----------------------------------------------------------------------------------

    def _execute(self, command: Command) -> Outcome | None:
        venue = self.venue
        match command:
            case PlaceOrder():
                return placing.place(venue, command)
            case CancelOrder():
                return _cancel(venue, command)
            case ReplaceOrder():
                return replacing.replace(venue, command)
            case CancelAll():
                return _cancel_all(venue, command)
            case ChangePhase():
                return days.change_phase(venue, command)
            case _:
                return _administer(venue, command)


_Administrative: TypeAlias = (
    Deposit
    | Withdraw
    | Transfer
    | OpenAccount
    | ChangeAccount
    | SetKillSwitch
    | SetFees
    | ListInstrument
    | ChangeInstrument
)


def _administer(venue: Venue, command: _Administrative) -> Refused | None:
    match command:
        case Deposit():
            return administration.deposit(venue, command)
        case Withdraw():
            return administration.withdraw(venue, command)
        case Transfer():
            return administration.transfer(venue, command)
        case OpenAccount():
            return administration.open_account(venue, command)
        case ChangeAccount():
            return administration.change_account(venue, command)
        case SetKillSwitch():
            return administration.set_kill_switch(venue, command)
        case SetFees():
            return administration.set_fees(venue, command)
        case ListInstrument():
            return administration.list_instrument(venue, command)
        case ChangeInstrument():
            return administration.change_instrument(venue, command)
        case _:
            assert_never(command)


def _cancel(venue: Venue, command: CancelOrder) -> Refused | None:
    account = venue.accounts.get(command.account_id)
    if account is None:
        return placing.unknown_account(command.account_id)
    order = account.orders.get(command.order_id)
    if order is None:
        if 0 < command.order_id <= venue.last_order_id:
            message = f"order {command.order_id} is not open in account {command.account_id}"
            return Refused(RejectReason.NOT_CANCELABLE, message)
        message = f"account {command.account_id} has no order {shown(command.order_id)}"
        return Refused(RejectReason.UNKNOWN_ORDER, message)
    order.market.sequence += 1
    lifecycle.cancel(venue, order, CancelReason.CLIENT)
    return None


def _cancel_all(venue: Venue, command: CancelAll) -> Refused | None:
    account_id = command.account_id
    account = venue.accounts.get(account_id)
    if account is None and account_id != EVERYBODY:
        return placing.unknown_account(account_id)
    market = venue.markets.get(command.symbol)
    if market is None:
        return funds.unknown_symbol(command.symbol)
    open_orders = venue.open_orders() if account is None else account.orders.values()
    orders = sorted((order for order in open_orders if order.market is market), key=lambda order: order.order_id)
    if not orders:
        message = f"account {account_id} has no open order in {command.symbol}"
        return Refused(RejectReason.NOT_CANCELABLE, message)
    killed = venue.killed or (account is not None and account.killed)
    market.sequence += 1
    for order in orders:
        if order.stage is not Stage.CLOSED:
            lifecycle.cancel(venue, order, CancelReason.KILL_SWITCH if killed else CancelReason.CLIENT)
    return None


def symbol_of(events: list[Event]) -> Symbol | None:
    """The market an accepted command concerned, from its events; None for listings, accounts, fees and transfers."""
    match events[0]:
        case OrderAccepted(symbol=symbol) | OrderCanceled(symbol=symbol) | OrderReplaced(symbol=symbol):
            return symbol
        case PhaseChanged(symbol=symbol) | Uncrossed(symbol=symbol):
            return symbol
        case _:
            return None
