"""The canonical state: everything two exchanges must agree on to be the same, as plain values, and its hash.

It is also the snapshot: what is not in it does not survive a restart, and what is in it is covered by the hash.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, NamedTuple, TypeAlias

from trading.core.commands import PlaceOrder, ReplaceOrder
from trading.core.events import OrderAccepted
from trading.core.exchange import Exchange
from trading.core.ledger import Balance
from trading.core.orders import (
    BUY,
    AccountId,
    AccountTerms,
    FeeSchedule,
    Instrument,
    OrderId,
    OrderType,
    Phase,
    Side,
    SpecialTerms,
    Symbol,
    TimeInForce,
    TradeId,
)
from trading.core.venue import Account, Market, Order, Stage, Venue

STATE_VERSION: Final = 2


class Head(NamedTuple):
    sequence: int
    now_ns: int
    last_order_id: OrderId
    last_trade_id: TradeId
    killed: bool
    fees: FeeSchedule
    forgotten_client_order_ids: int


class InstrumentState(NamedTuple):
    instrument: Instrument
    phase: Phase
    symbol_sequence: int  # commands that concerned this market so far
    reference_price_micros: int
    last_price_micros: int | None
    last_place: int
    reopens_at_ns: int | None


class AccountState(NamedTuple):
    account_id: AccountId
    terms: AccountTerms
    killed: bool
    second: int  # the latest in which it ordered, and how often
    second_orders: int


class BalanceState(NamedTuple):
    account_id: AccountId
    asset: str
    available: int
    reserved: int
    cost_micros: int


class OpenOrderState(NamedTuple):
    order_id: OrderId
    account_id: AccountId
    client_order_id: str
    symbol: Symbol
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: int
    limit_price_micros: int | None
    special: SpecialTerms | None
    parent_id: OrderId | None
    replaces: OrderId | None
    stage: Stage
    leaves: int
    reduced: int
    price_micros: int
    reserve_micros: int
    covered: bool
    triggered: bool
    place: int
    stop_micros: int | None
    high_water_micros: int | None
    sibling_id: OrderId | None
    held_by: OrderId | None  # the entry a held leg waits for


class PlacedState(NamedTuple):
    """What was asked for under a client_order_id: one of the two."""

    order_id: OrderId
    place: PlaceOrder | None
    replace: ReplaceOrder | None


Row: TypeAlias = Head | InstrumentState | AccountState | BalanceState | OpenOrderState


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Sorted and complete: by symbol, account, account and asset, order id; client_order_ids oldest first."""

    head: Head
    instruments: tuple[InstrumentState, ...]
    accounts: tuple[AccountState, ...]
    balances: tuple[BalanceState, ...]
    open_orders: tuple[OpenOrderState, ...]
    client_order_ids: tuple[PlacedState, ...]

    def hash(self) -> str:
        """32 hexadecimal digits: the sum of its rows' digests, so that it can be kept up to date row by row.

        The client_order_ids are in it by their number only; each was an accepted order's, which is in the journal.
        """
        rows: list[Row] = [self.head, *self.instruments, *self.accounts, *self.balances, *self.open_orders]
        return hash_text(sum(map(digest_of, rows)))


def state_of(exchange: Exchange) -> State:
    venue = exchange.venue
    return State(
        head=head_of(venue),
        instruments=tuple(instrument_row(market) for _, market in sorted(venue.markets.items())),
        accounts=tuple(account_row(account) for _, account in sorted(venue.accounts.items())),
        balances=tuple(
            balance_row(account, asset, held)
            for account in venue.all_accounts()
            for asset, held in sorted(account.balances.items())
            if held.available or held.reserved
        ),
        open_orders=tuple(open_order_row(order) for order in venue.open_orders()),
        client_order_ids=tuple(_placed(*placed) for placed in venue.client_order_ids),
    )


def head_of(venue: Venue) -> Head:
    return Head(
        venue.sequence,
        venue.now_ns,
        venue.last_order_id,
        venue.last_trade_id,
        venue.killed,
        venue.fees,
        venue.client_order_ids.forgotten,
    )


def instrument_row(market: Market) -> InstrumentState:
    prices = (market.reference_micros, market.last_micros, market.last_place)
    return InstrumentState(market.instrument, market.phase, market.sequence, *prices, market.reopens_at_ns)


def account_row(account: Account) -> AccountState:
    return AccountState(account.account_id, account.terms, account.killed, account.second, account.second_orders)


def balance_row(account: Account, asset: str, held: Balance) -> BalanceState:
    return BalanceState(account.account_id, asset, held.available, held.reserved, held.cost)


def open_order_row(order: Order) -> OpenOrderState:
    return OpenOrderState(
        *order.accepted,
        order.stage,
        order.leaves,
        order.reduced,
        order.price_micros,
        order.reserve_micros,
        order.covered,
        order.triggered,
        order.place,
        order.stop_micros,
        order.high_water_micros,
        None if order.sibling is None else order.sibling.order_id,
        None if order.parent is None else order.parent.order_id,
    )


def _placed(order_id: OrderId, request: PlaceOrder | ReplaceOrder) -> PlacedState:
    if isinstance(request, PlaceOrder):
        return PlacedState(order_id, request, None)
    return PlacedState(order_id, None, request)


def digest_of(row: Row) -> int:
    text = json.dumps([type(row).__name__, row]).encode("ascii")
    return int.from_bytes(blake2b(text, digest_size=16).digest(), "big")


def hash_text(total: int) -> str:
    return f"{STATE_VERSION:x}-{total % 2**128:032x}"


# -- back to an exchange -----------------------------------------------------------------------------


def restore(state: State) -> Exchange:
    """An exchange that goes on exactly as the one whose state this is."""
    venue, head = Venue(), state.head
    venue.sequence, venue.now_ns, venue.killed = head.sequence, head.now_ns, head.killed
    venue.last_order_id, venue.last_trade_id = head.last_order_id, head.last_trade_id
    venue.set_fees(head.fees)
    for row in state.instruments:
        venue.markets[row.instrument.symbol] = _market_of(row)
    for owner in state.accounts:
        account = venue.accounts[owner.account_id] = Account(owner.account_id, owner.terms)
        account.agree_on(owner.terms, killed=owner.killed)
        account.second, account.second_orders = owner.second, owner.second_orders
    for balance in state.balances:
        _put_balance(venue, balance)
    _put_orders(venue, state.open_orders)
    for order_id, place, replace in state.client_order_ids:
        request = place or replace
        assert request is not None
        venue.client_order_ids.remember(request, order_id)
    venue.client_order_ids.forgotten = head.forgotten_client_order_ids
    return Exchange(venue)


def _market_of(row: InstrumentState) -> Market:
    market = Market(row.instrument)
    market.phase, market.sequence = row.phase, row.symbol_sequence
    market.reopens_at_ns = row.reopens_at_ns
    market.trade_at(row.last_price_micros)
    market.last_place = row.last_place
    market.refer_to(row.reference_price_micros)
    return market


def _put_balance(venue: Venue, row: BalanceState) -> None:
    account = venue.find_account(row.account_id)
    assert account is not None
    held = account.holding(row.asset)
    held.available, held.reserved, held.cost = row[2:]
    issued = venue.ledger.issued
    issued[row.asset] = issued.get(row.asset, 0) + held.available + held.reserved


def _put_orders(venue: Venue, rows: Iterable[OpenOrderState]) -> None:
    orders = {row.order_id: (_order_of(venue, row), row) for row in rows}
    for order, row in orders.values():
        if row.sibling_id is not None:
            order.sibling, order.grouped = orders[row.sibling_id][0], True
        if row.held_by is not None:
            entry = order.parent = orders[row.held_by][0]
            entry.legs, entry.grouped, order.grouped = (*entry.legs, order), True, True
    for order, _ in sorted(orders.values(), key=lambda entry: entry[0].place):
        _put_back(order)


def _order_of(venue: Venue, row: OpenOrderState) -> Order:
    account, market = venue.accounts[row.account_id], venue.markets[row.symbol]
    order = Order(OrderAccepted(*row[:12]), account, market, row.price_micros)
    order.stage, order.leaves, order.reduced, order.place = row.stage, row.leaves, row.reduced, row.place
    order.reserve_micros, order.covered, order.triggered = row.reserve_micros, row.covered, row.triggered
    order.stop_micros, order.high_water_micros = row.stop_micros, row.high_water_micros
    account.orders[row.order_id] = order
    if order.covered and order.side is BUY:
        order.holding.buying += order.leaves
    return order


def _put_back(order: Order) -> None:
    """Into its queue; orders come in the order of their places."""
    market = order.market
    if order.stage is Stage.RESTING:
        market.resting[order.place] = order
        market.book.sides[order.side][0].add(order.place, order.price_micros, order.leaves)
    elif order.stage is Stage.WAITING and order.waits_for_stop:
        market.stops.add(order)
    elif order.stage is Stage.WAITING:
        market.waiting_for_close[order.order_id] = order
