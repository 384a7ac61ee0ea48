"""An engine that begins from a snapshot of an exchange in the midst of everything goes on as the leader does."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest

from stack.embedded import EmbeddedStack
from stack.options import StackOptions
from tests.client import Client, limit_order
from tests.conftest import MARGIN, WITHOUT_FEEDS, small_platform
from tests.engine.asking import accepted
from trading.core.commands import ChangePhase, Command, PlaceOrder
from trading.core.orders import (
    MICROS_PER_DOLLAR,
    MICROS_PER_SHARE,
    AccountId,
    OrderClass,
    OrderType,
    Phase,
    Side,
    SpecialTerms,
    Symbol,
    TimeInForce,
)
from trading.infra.database import connect

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

AAA, BBB, FED, SHO = (Symbol(name) for name in ("AAA", "BBB", "FED", "SHO"))
ANN, BOB, CLEO, MARY = AccountId(1), AccountId(2), AccountId(3), AccountId(MARGIN + 1)
BUY, SELL = Side.BUY, Side.SELL
BRACKET = SpecialTerms(
    order_class=OrderClass.BRACKET,
    take_profit_micros=120 * MICROS_PER_DOLLAR,
    stop_loss_micros=80 * MICROS_PER_DOLLAR,
)


def order(
    name: str,
    account: AccountId,
    symbol: Symbol,
    side: Side,
    dollars: int | None,
    special: SpecialTerms | None = None,
    *,
    kind: OrderType = OrderType.LIMIT,
    lasts: TimeInForce = TimeInForce.GTC,
) -> PlaceOrder:
    price = None if dollars is None else dollars * MICROS_PER_DOLLAR
    return PlaceOrder(0, account, name, symbol, side, kind, lasts, 10 * MICROS_PER_SHARE, price, special)


MIDST: list[Command] = [
    # A bracket whose entry is filled, so that its exits are live; another that still waits with its legs held.
    order("ask", BOB, AAA, SELL, 100),
    order("filled-bracket", ANN, AAA, BUY, 100, BRACKET),
    order("open-bracket", ANN, AAA, BUY, 90, BRACKET),
    # A short position, and a bid on credit.
    order("bid", BOB, SHO, BUY, 100),
    order("short", MARY, SHO, SELL, 100),
    order("margin-bid", MARY, AAA, BUY, 90),
    # Stops that wait, one of which trails.
    order("stop", ANN, AAA, SELL, None, SpecialTerms(stop_price_micros=85 * MICROS_PER_DOLLAR), kind=OrderType.STOP),
    order("trail", ANN, AAA, SELL, None, SpecialTerms(trail_ppm=50_000), kind=OrderType.TRAILING_STOP),
    # A volatility halt that outlasts the test, and a closing call with orders that cross.
    order("far-ask", BOB, BBB, SELL, 105),
    order("far-bid", ANN, BBB, BUY, 105),
    order("close-later", ANN, FED, BUY, 102, lasts=TimeInForce.CLS),
    ChangePhase(0, FED, Phase.PRE_CLOSE),
    order("close-ask", BOB, FED, SELL, 101, lasts=TimeInForce.CLS),
]


async def metric(client: Client, stack: EmbeddedStack, node: str, sample: str) -> float:
    async with client.http.get(stack.base_url(node) + "/metrics") as answer:
        found = re.search(rf"^{re.escape(sample)} (\S+)$", await answer.text(), re.MULTILINE)
    return float(found[1]) if found else 0.0


async def test_an_engine_restored_in_the_midst_of_everything_agrees_and_takes_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELSON_RECORDS_PER_SNAPSHOT", "20")
    monkeypatch.setenv("ELSON_RECORDS_PER_STATE_HASH", "5")
    topology = small_platform()
    halting = replace(topology.instruments[1], band_ppm=10_000, halt_ns=600 * 10**9)
    topology = replace(topology, instruments=(topology.instruments[0], halting, *topology.instruments[2:]))
    async with (
        EmbeddedStack(topology, StackOptions(tmp_path, roles=WITHOUT_FEEDS)) as stack,
        Client(stack.status()) as client,
    ):
        connection = await connect(stack.postgres_dsn(), "test")
        midst = (await accepted(stack, *MIDST))[-1].sequence
        for _ in range(20):  # a snapshot is due somewhere on the way, and a tail follows it
            assert (await client.place(limit_order("buy", 1, "50.00")))[0] == 200
        async with asyncio.timeout(30):
            while (await connection.fetchval("SELECT max(sequence) FROM snapshots") or 0) < midst:
                await client.place(limit_order("buy", 1, "50.00"))
        (standby,), (leader,) = await stack.resolve("engine:standby"), await stack.resolve("engine:active")
        await stack.kill(standby.name)
        await stack.restart(standby.name)
        for _ in range(10):
            assert (await client.place(limit_order("buy", 1, "50.00")))[0] == 200
        same = 'engine_state_hash_comparisons_total{result="same"}'
        async with asyncio.timeout(30):
            while await metric(client, stack, standby.name, same) < 1:
                await asyncio.sleep(0.05)
        assert (tmp_path / f"{standby.name}.log").read_text().count('"event": "restored"') == 1
        leaders = await client.full_state_of(leader.name)
        async with asyncio.timeout(30):  # it follows by a few milliseconds
            while (own := await client.full_state_of(standby.name))["sequence"] < leaders["sequence"]:
                await asyncio.sleep(0.02)
        assert own == leaders
        await stack.kill(leader.name)
        assert (await client.place(limit_order("buy", 1, "50.00")))[0] == 200
        # What was in the midst of something goes on: the closing auction, then the exits, one of which ends the other.
        await accepted(stack, ChangePhase(0, FED, Phase.CLOSED), order("take", CLEO, AAA, BUY, 120))
        filled = "SELECT count(*) FROM fills JOIN orders USING (order_id) WHERE orders.symbol = 'FED'"
        assert await connection.fetchval(filled) == 2
        exits = await connection.fetch(
            "SELECT status FROM orders WHERE parent_id = (SELECT order_id FROM orders WHERE client_order_id = $1)"
            " ORDER BY order_id",
            "filled-bracket",
        )
        assert [row["status"] for row in exits] == ["filled", "canceled"]
        connection.terminate()
