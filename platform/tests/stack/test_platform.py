"""The whole platform on the stack: started, seeded, its roles followed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from stack.accounts import generate_accounts
from stack.embedded import EmbeddedStack
from stack.options import StackOptions
from stack.registry import find_stack
from stack.topology import Instrument, platform_topology
from tests.stack.conftest import Events

pytestmark = pytest.mark.stack


@pytest.fixture
async def platform(tmp_path: Path, events: Events) -> AsyncIterator[EmbeddedStack]:
    accounts = generate_accounts(2, cash_micros=5_000_000, shares={"AAA": 10})
    instruments = [Instrument("AAA", tick_micros=10_000, reference_price_micros=100_000_000)]
    topology = platform_topology(instruments=instruments, accounts=accounts, proxied=["engine->postgres"])
    async with EmbeddedStack(topology, StackOptions(tmp_path / "logs"), events) as stack:
        yield stack


async def test_an_outside_client_joins_with_what_the_status_tells(platform: EmbeddedStack) -> None:
    status = find_stack()
    assert {node.state for node in status.nodes} == {"ready", "planned"}  # market and load come with a run
    account = status.accounts[1]
    headers = {"APCA-API-KEY-ID": account.key_id, "APCA-API-SECRET-KEY": account.secret_key}
    async with aiohttp.ClientSession(headers=headers) as client:
        for api in status.endpoints["api"]:
            async with client.get(f"{api}/v2/account") as answer:
                assert answer.status == 200
                assert float((await answer.json())["cash"]) == 5.0


async def test_the_active_engine_is_whichever_leads_now(platform: EmbeddedStack, events: Events) -> None:
    (active,), (standby,) = await platform.resolve("engine:active"), await platform.resolve("engine:standby")
    assert {active.name, standby.name} == {"engine:1", "engine:2"}
    (link,) = await platform.resolve_links("engine:active->postgres:primary")
    assert (link.client, link.proxied) == (active, True)
    await platform.kill(active.name)
    async with asyncio.timeout(20):
        while not events.named("role_changed", node=standby.name, role="active"):
            await asyncio.sleep(0.02)
    assert await platform.resolve("engine:active") == [standby]
    assert platform.node(standby.name).role == "active"
    await platform.restart(active.name)
    assert await platform.resolve("engine:standby") == [active]
