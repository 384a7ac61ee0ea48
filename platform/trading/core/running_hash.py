"""The state's hash, kept up to date from the events at the cost of the rows they changed."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from trading.core import events as happened
from trading.core.commands import EVERYBODY
from trading.core.events import OUTSIDE, Event
from trading.core.exchange import Exchange
from trading.core.orders import AccountId, OrderId
from trading.core.state import (
    Row,
    account_row,
    balance_row,
    digest_of,
    hash_text,
    head_of,
    instrument_row,
    open_order_row,
)
from trading.core.venue import Order


class RunningHash:
    """``State.hash`` of a living exchange. ``touch`` must see every event since it was made; ``digest`` may be rare."""

    def __init__(self, exchange: Exchange) -> None:
        self._venue = exchange.venue
        self._digests: dict[Hashable, int] = {}
        self._total = 0
        self._symbols: set[str] = set(exchange.symbols())
        self._accounts: set[AccountId] = set(self._venue.accounts)
        self._balances = {(account_id, asset) for account_id, asset, _, _ in exchange.balances()}
        self._orders: set[OrderId] = set()
        self._owners: dict[OrderId, AccountId] = {}
        for order in self._venue.open_orders():
            self._touch_order(order.order_id, order.account.account_id)

    def touch(self, events: Iterable[Event]) -> None:
        """Notes what the events of one command may have changed."""
        for event in events:
            match event:
                case happened.LedgerPosted(debit_id, _, credit_id, _, asset, _):
                    self._balances |= {(debit_id, asset), (credit_id, asset)}
                case happened.Traded():
                    self._symbols.add(event.symbol)
                    self._orders |= {event.maker_order_id, event.taker_order_id}
                case happened.OrderAccepted():
                    self._symbols.add(event.symbol)
                    self._accounts.add(event.account_id)
                    self._touch_order(event.order_id, event.account_id)
                case happened.OrderRested() | happened.OrderTriggered() | happened.OrderActivated():
                    self._orders.add(event.order_id)
                case happened.OrderCanceled() | happened.OrderReplaced() | happened.OrderReduced():
                    self._symbols.add(event.symbol)
                    self._orders.add(event.order_id)
                case _:
                    self._touch_setting(event)

    def _touch_setting(self, event: Event) -> None:
        match event:
            case happened.AccountOpened() | happened.AccountChanged() | happened.KillSwitchSet():
                self._accounts.add(event.account_id)
            case happened.PhaseChanged() | happened.Uncrossed():
                self._symbols.add(event.symbol)
            case happened.InstrumentListed() | happened.InstrumentChanged():
                self._symbols.add(event.instrument.symbol)
            case _:
                pass  # a stop moved with a trade of its market; the fees are in the head

    def digest(self) -> str:
        """The hash of the state as it is now."""
        venue = self._venue
        self._put("head", head_of(venue))
        for symbol in self._symbols:
            market = venue.markets[symbol]
            self._put(symbol, instrument_row(market))
            for order in market.stops.trailing():  # every trade may move their marks
                self._orders.add(order.order_id)
        for account_id in self._accounts - {EVERYBODY}:
            self._put(account_id, account_row(venue.accounts[account_id]))
        for account_id, asset in self._balances:
            self._put_balance(account_id, asset)
        self._put_orders()
        for touched in (self._symbols, self._accounts, self._balances, self._orders):
            touched.clear()
        return hash_text(self._total)

    def _touch_order(self, order_id: OrderId, account_id: AccountId) -> None:
        self._orders.add(order_id)
        self._owners[order_id] = account_id

    def _put_balance(self, account_id: AccountId, asset: str) -> None:
        account = self._venue.find_account(account_id)
        if account is None:
            assert account_id == OUTSIDE
            return
        held = account.holding(asset)
        row = balance_row(account, asset, held) if held.available or held.reserved else None
        self._put((account_id, asset), row)

    def _put_orders(self) -> None:
        """With an order those it is linked to may have changed: their links, and what they reserve."""
        found = [(order_id, self._open(order_id)) for order_id in self._orders]
        linked = {
            other.order_id: other
            for _, order in found
            if order is not None and order.grouped
            for other in (order.sibling, order.parent, *order.legs)
            if other is not None
        }
        for order_id, order in [*found, *linked.items()]:
            self._put(("order", order_id), None if order is None else open_order_row(order))
            if order is None:
                self._owners.pop(order_id, None)

    def _open(self, order_id: OrderId) -> Order | None:
        owner = self._owners.get(order_id)
        return None if owner is None else self._venue.accounts[owner].orders.get(order_id)

    def _put(self, key: Hashable, row: Row | None) -> None:
        self._total -= self._digests.pop(key, 0)
        if row is not None:
            digest = self._digests[key] = digest_of(row)
            self._total += digest
