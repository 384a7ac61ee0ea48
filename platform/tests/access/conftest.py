"""A platform with somebody of every role, each with a key and a password; account 2 is somebody else's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest_asyncio

from stack.accounts import generate_accounts, with_staff
from stack.embedded import EmbeddedStack
from stack.options import WITHOUT_BACKUPS
from stack.topology import Instrument, Person, Topology, platform_topology
from tests.shared import SharedStacks

PASSWORD = "correct horse battery staple"
OWN, OTHER = ("AAA", "BBB")  # what account 1 holds, and account 2


def staffed_platform() -> Topology:
    free = Instrument("", 10_000, 100_000_000, collar_ppm=1_000_000, band_ppm=0)
    accounts = [
        generate_accounts(1, cash_micros=10**12, shares={symbol: 10_000}, first_id=number)[0]
        for number, symbol in ((1, OWN), (2, OTHER))
    ]
    topology = with_staff(
        platform_topology(instruments=[replace(free, symbol=symbol) for symbol in (OWN, OTHER)], accounts=accounts)
    )
    (maker,) = generate_accounts(1, cash_micros=0, shares={})
    people = [Person(role, role, 1, PASSWORD) for role in ("trader", "market_maker", "analyst")]
    analyst = next(key for key in topology.keys if key.role == "analyst")
    as_maker = replace(analyst, name="maker", role="market_maker", key_id=maker.key_id, secret_key=maker.secret_key)
    return replace(topology, keys=(*topology.keys, as_maker), people=(*topology.people, *people))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gate(shared_stacks: SharedStacks) -> EmbeddedStack:
    return await shared_stacks.get("gate", staffed_platform, WITHOUT_BACKUPS)


@pytest_asyncio.fixture(loop_scope="session")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Keeps no cookies: who is logged in is what a test says."""
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=15), cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        yield session
