"""What a batch leaves in the tables, and that the migrations make just those tables."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from stack.embedded import EmbeddedStack
from trading.core.commands import CancelOrder
from trading.core.events import (
    FEES,
    AccountChanged,
    AccountOpened,
    Bucket,
    Event,
    InstrumentChanged,
    InstrumentListed,
    KillSwitchSet,
    LedgerPosted,
    OrderAccepted,
    OrderActivated,
    OrderRested,
    PhaseChanged,
    StopMoved,
    Traded,
)
from trading.core.orders import (
    BUY,
    SELL,
    AccountId,
    AccountTerms,
    Instrument,
    Limits,
    OrderClass,
    OrderId,
    OrderStatus,
    OrderType,
    Phase,
    SelfTrade,
    SpecialTerms,
    Symbol,
    TimeInForce,
    TradeId,
)
from trading.infra import tables
from trading.infra.columns import JOURNALED, RECORDED
from trading.infra.database import connect
from trading.infra.journal import Batch, JournalWriter, order_of
from trading.wire.journal import JournalRecord
from trading.wire.orders import OrderView, fold

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

AAA = Symbol("AAA")
LISTED = Instrument(AAA, 10_000, 100, 10**6, 50_000_000, 200_000, 100_000, 5 * 10**9)
ONE, TWO = AccountId(1), AccountId(2)


class Book:
    """Commits events as one record's, as an engine would."""

    def __init__(self, connection: Any, epoch: int) -> None:
        self.connection = connection
        self.epoch = epoch
        self.writer = JournalWriter(connection, epoch, 3.0)
        self.orders: dict[OrderId, OrderView] = {}
        self.sequence = 0

    async def commit(self, *records: list[Event]) -> None:
        batch = Batch()
        for events in records:
            self.sequence += 1
            for order_id in fold(self.orders, events, sequence=self.sequence, at_ns=self.sequence):
                batch.orders[order_id] = self.orders[order_id]
            batch.add(
                JournalRecord(
                    sequence=self.sequence,
                    epoch=self.epoch,
                    at_ns=self.sequence,
                    symbol=None,
                    symbol_sequence=None,
                    command=CancelOrder(self.sequence, ONE, OrderId(1)),
                    events=events,
                )
            )
        await self.writer.commit(batch)

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await self.connection.fetch(query)]


@pytest_asyncio.fixture(loop_scope="session")
async def book(database: EmbeddedStack) -> Any:
    connection = await connect(database.postgres_dsn(), "projections")
    yield Book(connection, await connection.fetchval("SELECT epoch FROM leader_epoch"))
    connection.terminate()


def accepted(order_id: int, **more: Any) -> OrderAccepted:
    plain: dict[str, Any] = {
        "order_id": OrderId(order_id),
        "account_id": ONE,
        "client_order_id": f"c-{order_id}",
        "symbol": AAA,
        "side": SELL,
        "order_type": OrderType.LIMIT,
        "time_in_force": TimeInForce.GTC,
        "quantity": 3 * 10**6,
        "limit_price_micros": 60_000_000,
        "special": None,
        "parent_id": None,
        "replaces": None,
    }
    return OrderAccepted(**plain | more)


def traded(trade_id: int, price_micros: int, *, auction: bool = False) -> Traded:
    return Traded(
        *(TradeId(trade_id), AAA, price_micros, 10**6, BUY, OrderId(1), ONE, 2 * 10**6, OrderId(2), TWO, 0, auction)
    )


async def test_the_migrations_make_the_tables_of_the_code(database: EmbeddedStack) -> None:
    def differences(connection: Connection) -> list[Any]:
        found = compare_metadata(MigrationContext.configure(connection), tables.metadata)
        return [difference for difference in found if "alembic_version" not in str(difference)]

    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: connect(database.postgres_dsn(), "compare")
    )
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_the_columns_that_programs_write_are_the_tables_own() -> None:
    written = JOURNALED | RECORDED
    declared = {table.name: table.columns for table in tables.metadata.tables.values() if table.name in written}
    kinds = {name: [(column.name, column.type.compile()) for column in own] for name, own in declared.items()}
    assert kinds == {name: list(columns.items()) for name, columns in written.items()}


async def test_a_market_keeps_what_a_batch_does_not_change(book: Book) -> None:
    market = "SELECT phase, reference_price_micros, last_price_micros FROM markets"
    await book.commit([InstrumentListed(LISTED)])
    assert await book.rows(market) == [("closed", 50_000_000, None)]
    await book.commit([PhaseChanged(AAA, Phase.CONTINUOUS, 51_000_000, None)])
    assert await book.rows(market) == [("continuous", 51_000_000, None)]
    await book.commit([accepted(1), accepted(2, account_id=TWO), traded(1, 60_000_000)], [traded(2, 61_000_000)])
    assert await book.rows(market) == [("continuous", 51_000_000, 61_000_000)]
    await book.commit([PhaseChanged(AAA, Phase.HALTED, 51_000_000, 9)])
    assert await book.rows(market) == [("halted", 51_000_000, 61_000_000)]
    await book.commit([InstrumentChanged(LISTED._replace(tradable=False))])
    assert await book.rows("SELECT * FROM instruments") == [tuple(LISTED._replace(tradable=False))]


async def test_an_accounts_terms_and_its_kill_switch_are_its_newest(book: Book) -> None:
    terms = AccountTerms(2, SelfTrade.DECREMENT, blocked=True, limits=Limits(1, 2, 3, 4, 5))
    await book.commit([AccountOpened(ONE, AccountTerms())])
    await book.commit([AccountOpened(TWO, AccountTerms())], [AccountChanged(TWO, AccountTerms())])
    await book.commit([AccountChanged(ONE, terms), KillSwitchSet(AccountId(0), engaged=True)])
    await book.commit([KillSwitchSet(AccountId(0), engaged=False), KillSwitchSet(TWO, engaged=True)])
    assert await book.rows("SELECT * FROM accounts ORDER BY account_id") == [
        (1, 2, "decrement", True, 1, 2, 3, 4, 5, 1),
        (2, 1, "cancel_newest", False, None, None, None, None, None, 2),
    ]
    assert await book.rows("SELECT * FROM kill_switches ORDER BY account_id") == [(0, False), (2, True)]


async def test_every_property_of_an_order_is_read_back_as_it_was_folded(book: Book) -> None:
    trail = SpecialTerms(trail_ppm=15_000, post_only=True, order_class=OrderClass.BRACKET, take_profit_micros=7)
    await book.commit(
        [
            accepted(1, order_type=OrderType.TRAILING_STOP, special=trail, limit_price_micros=None),
            accepted(2, client_order_id="", parent_id=OrderId(1)),
            accepted(3, client_order_id="", parent_id=OrderId(1), replaces=OrderId(9)),
        ]
    )
    await book.commit(
        [
            OrderActivated(OrderId(2)),
            OrderRested(OrderId(2), AAA, SELL, 60_000_000, 3 * 10**6, 17),
            StopMoved(OrderId(1), AAA, 99, 98),
        ]
    )
    stored = [order_of(row) for row in await book.connection.fetch("SELECT * FROM orders ORDER BY order_id")]
    assert stored == list(book.orders.values())
    assert [order.status for order in stored] == [OrderStatus.NEW] * 3
    assert (stored[1].price_micros, stored[1].place, stored[0].high_water_mark_micros) == (60_000_000, 17, 99)


async def test_fills_and_postings_say_who_took_and_where_the_charges_went(book: Book) -> None:
    charge = LedgerPosted(ONE, Bucket.AVAILABLE, FEES, Bucket.AVAILABLE, "USD", 5)
    await book.commit(
        [accepted(1), accepted(2, account_id=TWO), traded(1, 60_000_000), charge],
        [traded(2, 60_000_000, auction=True)],
    )
    assert await book.rows("SELECT trade_id, side, liquidity FROM fills ORDER BY trade_id, side") == [
        *((1, "buy", "taker"), (1, "sell", "maker")),
        *((2, "buy", "auction"), (2, "sell", "auction")),
    ]
    assert await book.rows("SELECT debit_account_id, credit_account_id, amount FROM ledger") == [(1, -1, 5)]
