"""Everything that ever changed an account: nothing missing, nothing twice, and each figure as the journal has it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from stack.embedded import EmbeddedStack
from tests.admin.office import Office
from tests.api.days import live_through
from tests.api.venue import Venue
from tests.core.listing import ACCOUNTS
from tests.engine.conftest import database, shared_postgres
from trading.api.activities import PAGES, PageRequest, page_of
from trading.api.activity_shapes import ALPACAS_KINDS, KINDS, Place, activity_id, place_of
from trading.core.events import LedgerPosted, OrderAccepted, OrderReduced, Traded
from trading.core.orders import SELL, AccountId, Side
from trading.infra.database import Pool, connect
from trading.wire.journal import JournalRecord
from trading.wire.orders import decimal_text, order_uuid, shares_text

__all__ = ["database", "shared_postgres"]
pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(loop_scope="session")
async def pool(database: EmbeddedStack) -> AsyncIterator[Pool]:
    pool = Pool(database.postgres_dsn(), "test")
    yield pool
    await pool.close()


class NaiveOrders:
    """What every order had filled and still had to fill, folded event by event."""

    def __init__(self) -> None:
        self.quantities: dict[int, int] = {}
        self.filled: dict[int, int] = defaultdict(int)

    def trades(self, record: JournalRecord) -> list[tuple[int, dict[str, Any]]]:
        """Each side of each trade: whose it was, and the activity without its id."""
        found: list[tuple[int, dict[str, Any]]] = []
        for event in record.events:
            match event:
                case OrderAccepted():
                    self.quantities[event.order_id] = event.quantity
                case OrderReduced():
                    self.quantities[event.order_id] -= event.quantity
                case Traded():
                    other = Side.BUY if event.taker_side is SELL else SELL
                    sides = [
                        (event.taker_side, event.taker_order_id, event.taker_account_id),
                        (other, event.maker_order_id, event.maker_account_id),
                    ]
                    found += [(who, self._filled(side, order, event)) for side, order, who in sorted(sides)]
                case _:
                    pass
        return found

    def _filled(self, side: str, order_id: int, trade: Traded) -> dict[str, Any]:
        self.filled[order_id] += trade.quantity
        leaves = self.quantities[order_id] - self.filled[order_id]
        return {
            "activity_type": "FILL",
            "type": "partial_fill" if leaves else "fill",
            "order_status": "partially_filled" if leaves else "filled",
            "side": str(side),
            "symbol": trade.symbol,
            "price": decimal_text(trade.price_micros),
            "qty": shares_text(trade.quantity),
            "leaves_qty": shares_text(leaves),
            "cum_qty": shares_text(self.filled[order_id]),
            "order_id": order_uuid(order_id),  # type: ignore[arg-type]
        }


def payments_of(record: JournalRecord) -> list[tuple[int, str, str, int]]:
    """Whose, of which type, asset and amount; fees of a record together, charges and rebates apart."""
    found, fees = [], defaultdict(int)
    for event in record.events:
        if not isinstance(event, LedgerPosted) or event.debit_account_id == event.credit_account_id:
            continue
        debit, _, credit, _, asset, amount = event
        if credit < 0:
            fees[debit, 0] -= amount
        elif debit < 0:
            fees[credit, 1] += amount
        elif record.symbol is None:
            journal = debit > 0 and credit > 0
            cash = asset == "USD"
            for who, sign, alone in ((debit, -1, "CSW"), (credit, 1, "CSD")):
                kind = ("JNLC" if cash else "JNLS") if journal else alone if cash else "ACATS"
                found += [(who, kind, asset, sign * amount)] if who else []
    return found + [(who, "FEE", "USD", amount) for (who, _), amount in sorted(fees.items(), key=lambda fee: fee[0][1])]


def expected(records: Sequence[JournalRecord]) -> dict[int, list[dict[str, Any]]]:
    orders, activities = NaiveOrders(), defaultdict(list)
    for record in records:
        payments = payments_of(record)
        for who, kind, asset, amount in [payment for payment in payments if payment[1] != "FEE"]:
            activities[who].append(_payment(kind, asset, amount))
        for who, activity in orders.trades(record):
            activities[who].append(activity)
        for who, kind, asset, amount in [payment for payment in payments if payment[1] == "FEE"]:
            activities[who].append(_payment(kind, asset, amount))
    return activities


def _payment(kind: str, asset: str, amount: int) -> dict[str, Any]:
    if asset == "USD":
        return {"activity_type": kind, "net_amount": decimal_text(amount)}
    return {"activity_type": kind, "net_amount": "0", "symbol": asset, "qty": shares_text(amount)}


async def pages(account_id: int, pool: Pool, *, kinds: Sequence[str] = sorted(KINDS), **more: Any) -> list[Any]:
    """All activities, page after page."""
    found: list[dict[str, Any]] = []
    token = None
    while page := await page_of(AccountId(account_id), PageRequest(page_token=token, **more), kinds, pool):
        assert page[0] not in found[-1:], "a page begins with the end of the one before"
        found += page
        token = page[-1]["id"]
    return found


async def test_pages_tell_everything_once_and_as_the_journal_has_it(database: EmbeddedStack, pool: Pool) -> None:
    connection = await connect(database.postgres_dsn(), "test")
    naive = expected(await live_through(connection, 5))
    for account_id in ACCOUNTS:
        forwards = await pages(account_id, pool, direction="asc", page_size=37)
        shown = [{name: found[name] for name in want} for found, want in zip(forwards, naive[account_id], strict=True)]
        assert shown == naive[account_id]
        assert await pages(account_id, pool, page_size=41) == forwards[::-1]
        ids = [activity["id"] for activity in forwards]
        assert sorted(set(ids)) == ids
        fees = await pages(account_id, pool, kinds=["FEE"], direction="asc")
        assert fees == [activity for activity in forwards if activity["activity_type"] == "FEE"]
        day = forwards[len(forwards) // 2]["id"][:8]
        of_day = await pages(account_id, pool, direction="asc", date=f"{day[:4]}-{day[4:6]}-{day[6:]}")
        assert of_day == [activity for activity in forwards if activity["id"].startswith(day)]
        await _check_bounds(account_id, forwards, pool)
    await _check_plan(connection)
    connection.terminate()


async def _check_bounds(account_id: int, forwards: list[dict[str, Any]], pool: Pool) -> None:
    """Times bound exclusively: to the microsecond, which is what a datetime can say."""
    trades = [activity for activity in forwards if activity["activity_type"] == "FILL"]
    first, last = (trades[len(trades) * part // 4]["transaction_time"][:26] for part in (1, 3))
    bounded = await pages(account_id, pool, kinds=["FILL"], direction="asc", after=first + "Z", until=last + "Z")
    assert bounded == [a for a in trades if first + "000Z" < a["transaction_time"] < last + "000Z"]


async def _check_plan(connection: Any) -> None:
    """Every source of a page is read along its own index, whatever else is in the tables."""
    await connection.execute("SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off")
    arguments = "1, ARRAY['FILL', 'FEE', 'CSD', 'CSW'], 0, 0, 0, 1000000, 0, 0, 50"
    types = "bigint, text[], bigint, int, bigint, bigint, int, bigint, int"
    await connection.execute(f"PREPARE page ({types}) AS {PAGES['desc']}")
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN EXECUTE page({arguments})"))
    for index in ("ix_fills_account_id", "ix_ledger_paid", "ix_ledger_got", "ix_ledger_charged", "ix_ledger_rebated"):
        assert f"Index Scan Backward using {index}" in plan or f"Index Scan using {index}" in plan, plan


async def test_an_activitys_id_says_its_place() -> None:
    place = Place(2**40 + 17, 1, 2**50 + 3)
    text = activity_id(place, 1_700_000_000_123_456_789)
    assert text.startswith("20231114221320123::")
    assert place_of(text) == place
    for other in (
        "",
        "x",
        text[:-1],
        text + "0",
        text.replace("-8", "-4", 1),
        text.replace("::", ":"),
        "１" + text[1:],
    ):
        assert place_of(other) is None, other


async def test_who_pages_while_trading_goes_on_misses_nothing_and_sees_nothing_twice(office: Office) -> None:
    venue, buyer = await Venue.opened(office), await office.trader()

    async def trade(count: int) -> None:
        for _ in range(count):
            await venue.trade(buyer, "buy", 1, "10.00")

    async def all_pages(direction: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        query = f"direction={direction}&page_size=2"
        while True:
            token = f"&page_token={found[-1]['id']}" if found else ""
            status, page = await buyer.ask("GET", f"/v2/account/activities?{query}{token}")
            assert status == 200
            if not page:
                return found
            found += page

    await trade(6)
    before = await all_pages("asc")
    trading = asyncio.create_task(trade(12))
    backwards, forwards = await asyncio.gather(all_pages("desc"), all_pages("asc"))
    await trading
    after = await all_pages("asc")
    assert len(after) == 1 + 18
    assert after[: len(before)] == before
    assert after[: len(forwards)] == forwards  # what was there, then what came, without a hole
    assert len(forwards) >= len(before)
    assert backwards[::-1] == after[: len(backwards)]  # all that was older than its newest


async def test_a_deposit_a_journal_and_a_fill_are_shown_as_alpacas_clients_expect(office: Office) -> None:
    """1,000,000 came in, 250.50 went to the maker; of 5 shares it offered 3 were bought at 10."""
    venue, buyer = await Venue.opened(office), await office.trader()
    maker = venue.maker
    journal = {"from_account_id": buyer.account_id, "to_account_id": maker.account_id, "asset": "USD"}
    journal |= {"amount": "250.50", "reference": uuid4().hex}
    assert (await office.operator("POST", "/journals", journal))[0] == 200
    offered = await venue.order(maker, "sell", 5, "10.00")
    await venue.order(buyer, "buy", 3, "10.00")
    _, (bought, journaled, deposited) = await buyer.ask("GET", "/v2/account/activities")
    assert (deposited["activity_type"], deposited["net_amount"]) == ("CSD", "1000000.00")
    assert (journaled["activity_type"], journaled["net_amount"]) == ("JNLC", "-250.50")
    assert (bought["type"], bought["qty"], bought["price"], bought["leaves_qty"]) == ("fill", "3", "10.00", "0")
    _, (sold,) = await maker.ask("GET", "/v2/account/activities/FILL")
    assert (sold["type"], sold["order_status"], sold["order_id"]) == ("partial_fill", "partially_filled", offered["id"])
    assert (sold["cum_qty"], sold["leaves_qty"], sold["side"]) == ("3", "2", "sell")
    _, paid = await maker.ask("GET", "/v2/account/activities?category=non_trade_activity&direction=asc")
    assert [(a["activity_type"], a["net_amount"], a.get("qty")) for a in paid] == [
        *(("CSD", "1000000.00", None), ("ACATS", "0", "1000"), ("JNLC", "250.50", None)),
    ]


@pytest.mark.parametrize(
    "query",
    [
        *("/XX", "?activity_types=FILL,XX", "?page_size=0", "?page_size=101", "?page_token=abc", "?direction=up"),
        *("?date=2026-01-01&after=2026-01-01", "?activity_types=FILL&category=trade_activity", "?colour=red"),
    ],
)
async def test_what_cannot_be_meant_is_refused(office: Office, query: str) -> None:
    trader = await office.trader(cash=None)
    status, error = await trader.ask("GET", f"/v2/account/activities{query}")
    assert (status, error["code"] // 100_000 in (400, 422)) == (422, True)


async def test_types_that_never_happen_here_have_no_activities(office: Office) -> None:
    trader = await office.trader()
    for kind in sorted(ALPACAS_KINDS - KINDS)[:5]:
        assert await trader.ask("GET", f"/v2/account/activities/{kind}") == (200, [])
    for query in ("date=9999-12-31", "after=9999-12-31", "until=0001-01-01"):
        assert await trader.ask("GET", f"/v2/account/activities?{query}") == (200, [])
