"""What an account was worth at any time, against the same added up by hand, and the shapes of the answer."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from stack.embedded import EmbeddedStack
from tests.api.days import Naive, live_through
from tests.core.listing import ACCOUNTS
from tests.engine.conftest import database, shared_postgres
from trading.api.equity import equities, read_book
from trading.api.errors import ApiError
from trading.api.history import HistoryRequest, steps_of
from trading.api.holdings import Account, accounts_of
from trading.api.yesterday import Yesterday
from trading.core.orders import AccountId
from trading.infra.database import Pool, connect
from trading.wire.journal import JournalRecord
from trading.wire.market_data import DAY_NS

__all__ = ["database", "shared_postgres"]
pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(loop_scope="session")
async def pool(database: EmbeddedStack) -> AsyncIterator[Pool]:
    pool = Pool(database.postgres_dsn(), "test")
    yield pool
    await pool.close()


async def account_of(account_id: AccountId, pool: Pool) -> Account:
    return (await accounts_of([account_id], pool))[account_id]


async def lived(database: EmbeddedStack, seed: int) -> list[JournalRecord]:
    connection = await connect(database.postgres_dsn(), "test")
    records = await live_through(connection, seed)
    connection.terminate()
    return records


@pytest.mark.parametrize("seed", [1, 2])
async def test_the_series_is_what_adding_up_every_posting_gives(database: EmbeddedStack, pool: Pool, seed: int) -> None:
    records, draw = await lived(database, seed), Random(seed)
    at = [record.at_ns for record in records]
    moments = sorted({*draw.sample(at, 20), *(moment + 1 for moment in draw.sample(at, 20)), at[0] - 5, at[-1] + 1})
    naive = [Naive(records, moment) for moment in moments]
    for account_id in ACCOUNTS:
        book = await read_book(account_id, [*moments, 2**62], pool)
        found = await equities(book, [*moments, 2**62], time.time_ns(), pool)
        assert found[:-1] == [then.equity(account_id) for then in naive]
        account = await account_of(account_id, pool)
        assert found[-1] == account.equity == Naive(records, 2**62).equity(account_id, present=True)


async def test_the_day_began_with_what_there_was_at_midnight(database: EmbeddedStack, pool: Pool) -> None:
    records = await lived(database, 3)
    midnight_ns = time.time_ns() // DAY_NS * DAY_NS
    then, yesterday = Naive(records, midnight_ns), Yesterday(pool)
    for account_id in ACCOUNTS:
        opening = await yesterday.opening(account_id, await account_of(account_id, pool))
        assert opening.equity == then.equity(account_id)
        assert {s: q for s, q in opening.quantities.items() if q} == {
            asset: amount for asset, amount in then.holdings[account_id].items() if amount and asset != "USD"
        }
    assert await yesterday.closes(["AAA", "BBB", "CCC"]) == then.last


NOW_NS = 1_700_000_000 * 10**9  # 2023-11-14 22:13:20 UTC
MIDNIGHT_S = 1_699_920_000


@pytest.mark.parametrize(
    ("query", "timeframe", "first_s", "points"),
    [
        ({}, "1D", MIDNIGHT_S - 30 * 86_400, 31),  # from October 15th
        ({"period": "1D"}, "1Min", MIDNIGHT_S, 22 * 60 + 14),
        ({"period": "1W"}, "15Min", MIDNIGHT_S - 6 * 86_400, 6 * 96 + 89),
        ({"period": "1D", "timeframe": "1H"}, "1H", MIDNIGHT_S, 23),
        ({"period": "1A"}, "1D", MIDNIGHT_S - 364 * 86_400, 365),
        ({"period": "2D", "date_end": "2023-11-10"}, "1Min", MIDNIGHT_S - 5 * 86_400, 2880),
        ({"start": "2023-11-14T10:07:30Z", "end": "2023-11-14T11:00:00Z", "timeframe": "5Min"}, "5Min", 1699956300, 11),
        ({"start": "2023-11-01", "period": "1W", "timeframe": "1D"}, "1D", 1698796800, 7),
    ],
)
async def test_a_period_counts_whole_days_the_last_one_included(
    query: dict[str, Any], timeframe: str, first_s: int, points: int
) -> None:
    steps = steps_of(HistoryRequest(**query), NOW_NS)
    assert (steps.timeframe, steps.first_ns // 10**9, len(steps.starts)) == (timeframe, first_s, points)


@pytest.mark.parametrize(
    "query",
    [
        {"start": "2023-11-01", "end": "2023-11-02", "period": "1D"},
        {"end": "2023-11-02", "date_end": "2023-11-02"},
        {"period": "2M", "timeframe": "1Min"},
        {"period": "10D", "timeframe": "1Min"},
        {"period": "9999A"},
        {"start": "2024-01-01"},
        {"start": "9999-12-31", "period": "9999W"},
    ],
)
async def test_what_cannot_be_meant_or_is_too_much_is_refused(query: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as refused:
        steps_of(HistoryRequest(**query), NOW_NS)
    assert refused.value.status == 422
