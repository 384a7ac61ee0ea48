"""A seed lists, opens and pays in what it says, once."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from stack.embedded import EmbeddedStack
from tests.client import Client
from trading.core.orders import AccountId, Symbol
from trading.infra.database import connect
from trading.infra.seeding import Seed, SeedAccount, SeedFees, SeedInstrument, seed_platform
from trading.infra.settings import Settings

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

SEED = Seed(
    instruments=[
        SeedInstrument(Symbol("NEW"), 10_000, 50_000_000),
        SeedInstrument(Symbol("WAIT"), 50, 500_000, band_ppm=0, shortable=True, opens=False),
    ],
    accounts=[SeedAccount(AccountId(90), "later", "PKLATER", "secret", 5_000_000, {"NEW": 7}, multiplier=2)],
    fees=SeedFees(taker_ppb=3_000_000, maker_ppb=-1_000_000),
)


async def test_seeding_again_changes_nothing(own_platform: EmbeddedStack) -> None:
    async with Client(own_platform.status()) as client:
        settings = Settings(
            node="seeding",
            port=1,
            postgres_dsn=SecretStr(own_platform.postgres_dsn()),
            engine_urls=",".join(own_platform.base_url(name) for name in ("engine:1", "engine:2")),
        )
        await seed_platform(settings, SEED)
        seeded = await client.active_state()
        await seed_platform(settings, SEED)
        assert await client.active_state() == seeded
    connection = await connect(own_platform.postgres_dsn(), "test")
    market = "SELECT m.symbol, phase, sub_dollar_tick_micros, lot, collar_ppm, band_ppm, shortable FROM markets m"
    markets = await connection.fetch(f"{market} JOIN instruments USING (symbol) WHERE m.symbol IN ('NEW', 'WAIT')")
    assert sorted(map(tuple, markets)) == [
        ("NEW", "continuous", 100, 10**6, 200_000, 100_000, False),
        ("WAIT", "closed", 50, 10**6, 200_000, 0, True),
    ]
    balances = await connection.fetch("SELECT asset, available FROM balances WHERE account_id = 90 ORDER BY asset")
    assert [tuple(row) for row in balances] == [("NEW", 7_000_000), ("USD", 5_000_000)]
    assert await connection.fetchval("SELECT multiplier FROM accounts WHERE account_id = 90") == 2
    connection.terminate()
