"""Running platforms: one for all tests that only use it, one that is healed after each test, and fresh ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest
import pytest_asyncio
from xdist.remote import Producer

from stack.accounts import generate_accounts
from stack.embedded import EmbeddedStack
from stack.options import WITHOUT_BACKUPS, StackOptions
from stack.topology import Instrument, Role, Topology, platform_topology
from tests.admin.office import Office
from tests.client import Client
from tests.shared import SHARED, SharedStacks, heal
from tests.workers import ByStack

SYMBOLS = ("AAA", "BBB", "FED", "SHO")
MARGIN = 6  # the index of the margin account, which owns no shares
ALPACA = "ALP"  # the symbol only Alpaca's clients trade, in three accounts of their own
ALPACA_ACCOUNTS = (7, 8, 9)  # the last one is a margin account and owns no shares
WITHOUT_FEEDS = WITHOUT_BACKUPS - {Role.FEED}


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


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Modules that share a stack follow each other, after those with stacks of their own and before those with none."""
    modules = {module: list(tests) for module, tests in groupby(items, _module)}
    turns = {module: (_turn(tests), place) for place, (module, tests) in enumerate(modules.items())}
    yield
    items.sort(key=lambda item: turns[_module(item)])  # after pytest has ordered them by their loops


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByStack | None:
    return ByStack(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_stacks(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SharedStacks]:
    stacks = SharedStacks(tmp_path_factory.mktemp("logs"))
    yield stacks
    await stacks.keep(())


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def _only_what_is_needed(request: pytest.FixtureRequest, shared_stacks: SharedStacks) -> None:
    await shared_stacks.keep(_shared_by(item for item in request.session.items if _module(item) is request.node))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def platform(shared_stacks: SharedStacks) -> EmbeddedStack:
    """Shared by many modules: leave it as it was found, but for orders."""
    return await shared_stacks.get("platform", small_platform, WITHOUT_BACKUPS)


@pytest_asyncio.fixture(loop_scope="session")
async def own_platform(tmp_path: Path) -> AsyncIterator[EmbeddedStack]:
    """One test's own, for what others would not understand: an emptied Redis, fees, a whole day's records."""
    async with EmbeddedStack(small_platform(), StackOptions(tmp_path, roles=WITHOUT_BACKUPS)) as stack:
        yield stack


@pytest_asyncio.fixture(loop_scope="session")
async def healed_platform(shared_stacks: SharedStacks) -> AsyncIterator[EmbeddedStack]:
    """To be broken: what was killed or frozen runs again at the end of each test. Others' orders are in it."""
    stack = await shared_stacks.get("healed_platform", small_platform, WITHOUT_BACKUPS)
    yield stack
    await heal(stack)


@pytest_asyncio.fixture(loop_scope="session")
async def client(platform: EmbeddedStack) -> AsyncIterator[Client]:
    async with Client(platform.status()) as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def administered(shared_stacks: SharedStacks) -> EmbeddedStack:
    """For tests that need officers: what they list, halt or switch off, nobody else's tests should feel.

    Both engines run again at the end of each test.
    """
    return await shared_stacks.get("administered", small_platform, WITHOUT_BACKUPS)


@pytest_asyncio.fixture(loop_scope="session")
async def office(administered: EmbeddedStack) -> AsyncIterator[Office]:
    async with Office(administered) as office:
        yield office


def _module(item: pytest.Item) -> pytest.Module | None:
    return item.getparent(pytest.Module)


def _shared_by(items: Iterable[pytest.Item]) -> set[str]:
    return {name for item in items for name in getattr(item, "fixturenames", ()) if name in SHARED}


def _turn(tests: list[pytest.Item]) -> int:
    if shared := _shared_by(tests):
        return 1 + min(map(SHARED.index, shared))
    return 0 if any(test.get_closest_marker("stack") for test in tests) else 1 + len(SHARED)
