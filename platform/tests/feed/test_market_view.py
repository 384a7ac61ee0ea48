"""The feed's view of a market against the exchange's own book, through everything that can happen to it."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from trading.core.commands import (
    CancelAll,
    CancelOrder,
    ChangePhase,
    Command,
    Deposit,
    ListInstrument,
    OpenAccount,
    PlaceOrder,
    ReplaceOrder,
    Transfer,
    Withdraw,
)
from trading.core.exchange import Exchange, symbol_of
from trading.core.orders import (
    BUY,
    OPEN_STATUSES,
    SELL,
    AccountId,
    AccountTerms,
    Instrument,
    OrderClass,
    OrderId,
    OrderType,
    Phase,
    SelfTrade,
    Side,
    SpecialTerms,
    Symbol,
    TimeInForce,
)
from trading.feed.market_view import Broadcast, LastRecord, MarketView
from trading.wire.feed import BookBuilder
from trading.wire.journal import JournalRecord
from trading.wire.orders import OrderView, fold

AAA = Symbol("AAA")
SHARE = DOLLAR = 10**6
ACCOUNTS = [AccountId(number) for number in (1, 2, 3)]
LISTED = Instrument(AAA, 10_000, 100, SHARE, 100 * DOLLAR, 500_000, 40_000, 5, shortable=True, fractionable=True)


class Floor:
    """An exchange, the feed's view of it, and a subscriber's book."""

    def __init__(self, view: MarketView | None = None) -> None:
        self.exchange = Exchange()
        self.view = view or MarketView(sequence=0, epoch=1, last_records={}, open_orders=[], positions={})
        self.at_ns = 2  # of orders placed
        self.book = BookBuilder(AAA, sequence=0)
        self.orders: dict[OrderId, OrderView] = {}
        self.accepted = self.traded = 0
        self.do(ListInstrument(1, LISTED))
        for account_id, terms in zip(ACCOUNTS, (SelfTrade.DECREMENT, SelfTrade.CANCEL_OLDEST, None), strict=True):
            margin = AccountTerms(multiplier=2) if terms is None else AccountTerms(self_trade=terms)
            self.do(OpenAccount(1, account_id, margin))
            self.do(Deposit(1, account_id, "USD", 10**7 * DOLLAR))
        for account_id in ACCOUNTS[:2]:
            self.do(Deposit(1, account_id, AAA, 100_000 * SHARE))
        self.do(ChangePhase(1, AAA, Phase.CONTINUOUS))

    def do(self, command: Command) -> Broadcast | None:
        """None for what was refused."""
        events = self.exchange.apply(command)
        if not isinstance(events, list):
            return None
        self.accepted += 1
        symbol = symbol_of(events)
        record = JournalRecord(
            sequence=self.exchange.sequence,
            epoch=1,
            at_ns=command.at_ns,
            symbol=symbol,
            symbol_sequence=None if symbol is None else self.exchange.symbol_sequence(symbol),
            command=command,
            events=events,
        )
        fold(self.orders, events, sequence=record.sequence, at_ns=record.at_ns)
        broadcast = self.view.apply(record, frozenset(ACCOUNTS))
        if symbol is not None:
            assert broadcast.book is not None
            self.book.apply(json.loads(broadcast.book.json))
        return broadcast

    def exchanges_book(self) -> tuple[dict[int, int], dict[int, int]]:
        book = self.exchange.book(AAA)
        return dict(book.levels(BUY)), dict(book.levels(SELL))

    def place(self, account: int, side: Side, quantity: int, price: int | None, **more: Any) -> list[dict[str, Any]]:
        """The updates it led to."""
        said = self.place_and_hear(account, side, quantity, price, **more)
        return [json.loads(update.json)["data"] for _, update in said.updates]

    def place_and_hear(self, account: int, side: Side, quantity: int, price: int | None, **more: Any) -> Broadcast:
        order_type = more.pop("order_type", OrderType.MARKET if price is None else OrderType.LIMIT)
        name, tif = f"c-{self.accepted}", more.pop("time_in_force", TimeInForce.DAY)
        limit = None if price is None else price * DOLLAR
        broadcast = self.do(
            PlaceOrder(
                self.at_ns, ACCOUNTS[account], name, AAA, side, order_type, tif, quantity, limit, more.get("special")
            )
        )
        assert broadcast is not None
        self.traded += len(messages(broadcast, "trades"))
        return broadcast


def messages(said: Broadcast, channel: str) -> list[dict[str, Any]]:
    return [json.loads(message.json) for name, message in said.others if name == channel]


@pytest.fixture
def floor() -> Floor:
    return Floor()


def random_special(random: Random, order_type: OrderType, side: Side, price: int) -> SpecialTerms | None:
    match order_type:
        case OrderType.TRAILING_STOP:
            return SpecialTerms(trail_micros=random.randint(1, 3) * DOLLAR)
        case OrderType.STOP | OrderType.STOP_LIMIT:
            return SpecialTerms(stop_price_micros=price)
        case _ if random.random() < 0.2:
            away = 2 * DOLLAR if side is BUY else -2 * DOLLAR
            exits = {"take_profit_micros": price + away, "stop_loss_micros": price - away}
            return SpecialTerms(order_class=OrderClass.BRACKET, **exits)
        case _:
            return None


def random_command(random: Random, floor: Floor, number: int) -> Command:
    account_id, side = random.choice(ACCOUNTS), random.choice((BUY, SELL))
    last = max(1, floor.exchange.last_order_id)
    order_id = OrderId(random.randint(max(1, last - 40), last))
    price = (100 + random.randint(-4, 4)) * DOLLAR
    kind = random.random()
    if kind < 0.2:
        return CancelOrder(number, account_id, order_id)
    if kind < 0.35:
        quantity = random.randint(1, 9) * SHARE if random.random() < 0.5 else None
        return ReplaceOrder(number, account_id, order_id, f"r-{number}", quantity, price if quantity is None else None)
    if kind < 0.4:
        return ChangePhase(number, AAA, random.choice(list(Phase)))
    if kind < 0.41:
        return CancelAll(number, account_id, AAA)
    if kind < 0.42:
        return random.choice(
            (Transfer(number, ACCOUNTS[0], ACCOUNTS[1], AAA, 7), Withdraw(number, ACCOUNTS[0], AAA, 5))
        )
    order_type = random.choice([OrderType.LIMIT] * 6 + list(OrderType))
    whole = random.random() < 0.8
    tif = random.choice([TimeInForce.DAY] * 8 + list(TimeInForce)) if whole else TimeInForce.DAY
    quantity = random.randint(1, 9) * SHARE if whole else random.randint(1, 9 * SHARE)
    limit = price if order_type in (OrderType.LIMIT, OrderType.STOP_LIMIT) else None
    special = random_special(random, order_type, side, price)
    return PlaceOrder(number, account_id, f"p-{number}", AAA, side, order_type, tif, quantity, limit, special)


@pytest.mark.parametrize("seed", range(6))
def test_a_subscribers_book_is_the_exchanges_after_every_record(floor: Floor, seed: int) -> None:
    random = Random(seed)
    for number in range(10, 2_010):
        floor.do(random_command(random, floor, number))
        assert (floor.book.bids, floor.book.asks) == floor.exchanges_book(), number
    assert floor.accepted > 1_000
    assert {order.status.value for order in floor.orders.values()} >= {"filled", "canceled", "replaced", "expired"}


@pytest.mark.parametrize("seed", range(3))
def test_a_view_loaded_from_the_open_orders_is_the_one_that_saw_it_all(floor: Floor, seed: int) -> None:
    random = Random(seed)
    for number in range(10, 1_000):
        floor.do(random_command(random, floor, number))
    symbol_sequence = floor.exchange.symbol_sequence(AAA)
    loaded = MarketView(
        sequence=floor.exchange.sequence,
        epoch=1,
        last_records={AAA: LastRecord(symbol_sequence, 1, 999)},
        open_orders=[order for order in floor.orders.values() if order.status in OPEN_STATUSES],
        positions={},
    )
    book = BookBuilder(AAA)
    book.apply(json.loads(loaded.books[AAA].whole("new").json))
    assert (book.bids, book.asks) == floor.exchanges_book()
    assert book.sequence == symbol_sequence


def test_a_fill_says_the_position_after_it_through_transfers_and_short_sales(floor: Floor) -> None:
    floor.do(Transfer(2, ACCOUNTS[0], ACCOUNTS[1], AAA, 25 * SHARE))
    floor.do(Withdraw(2, ACCOUNTS[0], AAA, 5 * SHARE))
    floor.place(2, SELL, 2 * SHARE, 100)
    updates = floor.place(0, BUY, 1_500_000, 100)
    fills = [update for update in updates if "fill" in update["event"]]
    assert [(fill["event"], fill["qty"], fill["position_qty"]) for fill in fills] == [
        ("partial_fill", "1.5", "-1.5"),
        ("fill", "1.5", "99971.5"),
    ]
    floor.place(0, BUY, 500_000, 100)
    floor.place(1, SELL, SHARE, 101)
    assert floor.place(2, BUY, SHARE, 101)[-1]["position_qty"] == "-1"


def test_a_brackets_legs_are_held_then_new_then_one_of_them_is_restated(floor: Floor) -> None:
    exits = SpecialTerms(order_class=OrderClass.BRACKET, take_profit_micros=103 * DOLLAR, stop_loss_micros=98 * DOLLAR)
    updates = floor.place(0, BUY, 3 * SHARE, 100, special=exits)
    assert [update["event"] for update in updates] == ["new", "held", "held"]
    updates = floor.place(1, SELL, 3 * SHARE, 100)
    assert [update["event"] for update in updates] == ["new", "fill", "fill", "new", "new"]
    updates = floor.place(1, BUY, SHARE, 103)
    assert [update["event"] for update in updates] == ["new", "partial_fill", "fill", "restated"]
    updates = floor.place(1, BUY, 2 * SHARE, 103)
    assert [update["event"] for update in updates][1:] == ["fill", "fill", "canceled"]


def test_a_replaced_order_says_what_replaced_it(floor: Floor) -> None:
    floor.place(0, BUY, 3 * SHARE, 99)
    broadcast = floor.do(ReplaceOrder(3, ACCOUNTS[0], OrderId(1), "r", quantity=2 * SHARE))
    assert broadcast is not None
    replaced, new = (json.loads(update.json)["data"] for _, update in broadcast.updates)
    assert (replaced["event"], new["event"]) == ("replaced", "new")
    assert replaced["order"]["replaced_by"] == new["order"]["id"]


def test_a_volatility_halt_and_its_end_are_told(floor: Floor) -> None:
    floor.place(1, SELL, SHARE, 110)
    name = f"c-{floor.accepted}"
    halting = PlaceOrder(9, ACCOUNTS[0], name, AAA, BUY, OrderType.LIMIT, TimeInForce.DAY, SHARE, 110 * DOLLAR)
    broadcast = floor.do(halting)
    assert broadcast is not None
    (halt,) = messages(broadcast, "statuses")
    assert (halt["T"], halt["sc"], halt["rc"], halt["phase"]) == ("s", "P", "LUDP", "halted")
    assert (halt["q"], halt["reopens_at"]) == (floor.book.sequence, "1970-01-01T00:00:00.000000014Z")
    assert (floor.book.bids, floor.book.asks) == ({110 * DOLLAR: SHARE}, {110 * DOLLAR: SHARE})  # crossed
    broadcast = floor.do(ChangePhase(14, AAA, Phase.CONTINUOUS))
    assert broadcast is not None
    (resumption,) = messages(broadcast, "statuses")
    assert (resumption["sc"], resumption["sm"], resumption["rc"]) == ("T", "Trading Resumption", "")
    assert [trade["p"] for trade in messages(broadcast, "trades")] == [110]
    assert (floor.book.bids, floor.book.asks) == ({}, {})
