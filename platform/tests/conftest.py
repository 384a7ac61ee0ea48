"""One running platform for all tests that only use it, and fresh ones for those that break it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from stack.accounts import generate_accounts
from stack.embedded import EmbeddedStack
from stack.options import WITHOUT_BACKUPS, StackOptions
from stack.topology import Instrument, Topology, platform_topology
from tests.admin.office import Office
from tests.client import Client

SYMBOLS = ("AAA", "BBB", "FED", "SHO")
MARGIN = 6  # the index of the margin account, which owns no shares
ALPACA = "ALP"  # the symbol only Alpaca's clients trade, in three accounts of their own
ALPACA_ACCOUNTS = (7, 8, 9)  # the last one is a margin account and owns no shares


def small_platform(proxied: tuple[str, ...] = ()) -> Topology:
    """Prices may be far from their references; of SHO and ALP fractions are traded, and they can be sold short."""
    free = Instrument("", 10_000, 100_000_000, collar_ppm=1_000_000, band_ppm=0)
    instruments = [replace(free, symbol=symbol) for symbol in SYMBOLS]
    instruments[-1] = replace(instruments[-1], shortable=True, fractionable=True)
    instruments.append(replace(instruments[-1], symbol=ALPACA))
    accounts = generate_accounts(6, cash_micros=10**13, shares=dict.fromkeys(SYMBOLS, 100_000), name="trader")
    (margin,) = generate_accounts(1, cash_micros=10**9, shares={}, name="margin", first_id=7)
    clients = generate_accounts(2, cash_micros=10**11, shares={ALPACA: 1000}, name="alpaca", first_id=8)
    (holder,) = generate_accounts(1, cash_micros=10**11, shares={}, name="holder", first_id=10)
    return platform_topology(
        instruments=instruments,
        accounts=(*accounts, replace(margin, multiplier=2), *clients, replace(holder, multiplier=2)),
        proxied=proxied,
        feeds=2,
    )


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedStack]:
    """Shared by the whole session: leave it as it was found, but for orders."""
    async with EmbeddedStack(
        small_platform(), StackOptions(tmp_path_factory.mktemp("logs"), roles=WITHOUT_BACKUPS)
    ) as stack:
        yield stack


@pytest_asyncio.fixture(loop_scope="session")
async def own_platform(tmp_path: Path) -> AsyncIterator[EmbeddedStack]:
    """One test's own, to be broken."""
    async with EmbeddedStack(small_platform(), StackOptions(tmp_path, roles=WITHOUT_BACKUPS)) as stack:
        yield stack


@pytest_asyncio.fixture(loop_scope="session")
async def client(platform: EmbeddedStack) -> AsyncIterator[Client]:
    async with Client(platform.status()) as client:
        yield client


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def administered(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedStack]:
    """For tests that need officers: what they list, halt or switch off, nobody else's tests should feel.

    Both engines run again at the end of each test.
    """
    options = StackOptions(tmp_path_factory.mktemp("logs"), roles=WITHOUT_BACKUPS)
    async with EmbeddedStack(small_platform(), options) as stack:
        yield stack


@pytest_asyncio.fixture(loop_scope="session")
async def office(administered: EmbeddedStack) -> AsyncIterator[Office]:
    async with Office(administered) as office:
        yield office
