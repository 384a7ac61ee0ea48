"""The exchange against its specification, on commands nobody would think of."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from trading.core.commands import CancelOrder, CloseSession, Command, Deposit, ListInstrument, OpenAccount, PlaceOrder
from trading.core.events import CASH, OUTSIDE, Refused
from trading.core.exchange import Exchange
from trading.core.orders import AccountId, OrderId, OrderType, Side, Symbol, TimeInForce
from trading.core.replay import replay
from trading.core.state import state_of

from .naive_exchange import NaiveExchange

ACCOUNTS = [AccountId(number) for number in (1, 2, 3)]
SYMBOLS = [Symbol("AAA"), Symbol("BBB")]
TICK = 10

accounts = st.sampled_from([*ACCOUNTS, *ACCOUNTS, AccountId(9)])
symbols = st.sampled_from([*SYMBOLS[:1] * 6, SYMBOLS[1], Symbol("ZZZ")])
absurd = st.integers() | st.sampled_from([-(2**63), 2**63, 10**9 + 1, 10**17 + 1, 10**400])
quantities = st.integers(1, 30) | st.integers(1, 30) | st.integers(1, 30) | absurd
limits = st.integers(95, 105).map(lambda ticks: ticks * TICK)
names = st.integers(0, 60).map("order-{}".format) | st.sampled_from(["", "x" * 49, "a\0"])

limit_orders = st.builds(
    PlaceOrder,
    at_ns=st.just(0),
    account_id=accounts,
    client_order_id=names,
    symbol=symbols,
    side=st.sampled_from(Side),
    order_type=st.just(OrderType.LIMIT),
    time_in_force=st.sampled_from(TimeInForce),
    quantity=quantities,
    limit_price_micros=limits | limits | limits | limits | absurd | st.none(),
)
market_orders = limit_orders.map(lambda order: order._replace(order_type=OrderType.MARKET, limit_price_micros=None))
cancels = st.builds(
    CancelOrder, at_ns=st.just(0), account_id=accounts, order_id=st.integers(1, 12).map(OrderId) | absurd.map(OrderId)
)
deposits = st.builds(
    Deposit,
    at_ns=st.just(0),
    account_id=accounts,
    asset=st.sampled_from([CASH, *SYMBOLS, "EUR"]),
    amount=st.integers(1, 10_000) | absurd,
)
commands: st.SearchStrategy[Command] = st.one_of(
    limit_orders,
    limit_orders,
    limit_orders,
    market_orders,
    cancels,
    deposits,
    st.builds(CloseSession, at_ns=st.just(0), symbol=symbols),
    st.builds(OpenAccount, at_ns=st.just(0), account_id=st.sampled_from(ACCOUNTS)),
    st.builds(ListInstrument, at_ns=st.just(0), symbol=st.sampled_from(SYMBOLS), tick_micros=st.just(TICK)),
)


def opening() -> list[Command]:
    """Enough for most orders, little enough that some run out."""
    listings = [ListInstrument(0, symbol, TICK) for symbol in SYMBOLS]
    opened = [OpenAccount(0, account_id) for account_id in ACCOUNTS]
    funded = [Deposit(0, account_id, CASH, 100_000) for account_id in ACCOUNTS]
    stocked = [Deposit(0, account_id, SYMBOLS[0], 100) for account_id in ACCOUNTS]
    return [*listings, *opened, *funded, *stocked]


def check_conservation(exchange: Exchange) -> None:
    """Nothing appears, disappears or is owed."""
    held: dict[str, int] = {}
    for account_id, asset, available, reserved in exchange.balances():
        assert account_id != OUTSIDE
        assert available >= 0
        assert reserved >= 0
        held[asset] = held.get(asset, 0) + available + reserved
    assert held == {asset: exchange.issued(asset) for asset in held}
    assert all(exchange.issued(asset) == 0 for asset in {CASH, *SYMBOLS} - held.keys())


def check_reservations(exchange: Exchange) -> None:
    """What is reserved is exactly what the open orders may still need."""
    needed: dict[tuple[AccountId, str], int] = {}
    for order in state_of(exchange).open_orders:
        buying = order.side is Side.BUY
        key = (order.account_id, CASH if buying else order.symbol)
        needed[key] = needed.get(key, 0) + order.leaves * (order.limit_price_micros if buying else 1)
    reserved = {(account, asset): amount for account, asset, _, amount in exchange.balances() if amount}
    assert reserved == needed


def check_books(exchange: Exchange) -> None:
    """Levels are sorted, as deep as their queues, and the two sides do not cross."""
    for symbol in exchange.symbols():
        bids, asks = exchange.book(symbol).levels(Side.BUY), exchange.book(symbol).levels(Side.SELL)
        assert bids == sorted(bids, reverse=True)
        assert asks == sorted(asks)
        assert not (bids and asks) or bids[0][0] < asks[0][0]
        for side, levels in ((Side.BUY, bids), (Side.SELL, asks)):
            depth: dict[int, int] = {}
            for order in exchange.open_orders(symbol, side):
                depth[order.price_micros] = depth.get(order.price_micros, 0) + order.leaves
            assert list(depth.items()) == levels


@settings(max_examples=150, deadline=None)
@given(st.lists(commands, min_size=10, max_size=60))
def test_the_exchange_does_what_its_specification_does(day: list[Command]) -> None:
    exchange, naive = Exchange(), NaiveExchange()
    journal = []
    for command in [*opening(), *day]:
        before = state_of(exchange)
        outcome, expected = exchange.apply(command), naive.apply(command)
        if isinstance(outcome, list):
            assert outcome == expected
            journal.append((command, outcome))
        else:
            assert state_of(exchange) == before
            assert outcome[0] == expected[0]  # reason or order id; the specification writes no messages
            assert isinstance(outcome, Refused) == isinstance(expected, Refused)
        check_conservation(exchange)
        check_reservations(exchange)
        check_books(exchange)
    for account_id, asset, *balance in exchange.balances():
        assert tuple(balance) == naive.balance(account_id, asset)
    assert state_of(replay(journal)).hash() == state_of(exchange).hash()
