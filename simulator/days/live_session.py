"""What a live day needs of the platform: its endpoints, its accounts, and whether it is there."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from time import time_ns

import aiohttp

from simulator.days.live import LiveMarket
from simulator.days.live_report import LiveReport
from simulator.days.simulation import Simulation
from simulator.days.tape import Tape
from simulator.market.accounts import market_role
from simulator.market.http_gateway import HttpGateway, HttpOptions, open_record
from stack.status import StackStatus
from trading.wire.feed_client import Keys

_READY_TIMEOUT_S = 1.0


async def trade_live(
    simulation: Simulation,
    status: StackStatus,
    folder: Path,
    *,
    speed: float,
    until_ns: int | None,
    max_in_flight: int = 1_024,
) -> LiveReport:
    """Every operation is recorded in ``operations-market``. Ends early at SIGINT and SIGTERM.

    Trades with the platform's general accounts, and with those of its own market only when there are no others.
    """
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    endpoints = [url.rstrip("/") for url in status.endpoints.get("api", ())]
    accounts = {account.name: account for account in status.accounts}
    general = [name for name in accounts if market_role(name) is None] or list(accounts)
    if not endpoints or not general:
        raise ValueError("the stack has no api, or no account to trade with")
    feeds = [url.rstrip("/") for url in status.endpoints.get("feed", ())]
    keys = Keys(accounts[general[0]].key_id, accounts[general[0]].secret_key)
    async with AsyncExitStack() as opened:
        session = await opened.enter_async_context(aiohttp.ClientSession())
        symbols = [words.symbol for words in simulation.day.symbols]
        tape = await opened.enter_async_context(Tape(feeds, keys, symbols)) if feeds else None
        # The market holds back what is too much; what it asks after a gap has room beside.
        options = HttpOptions(endpoints=endpoints, speed=speed, max_in_flight=2 * max_in_flight + len(general))
        gateway = HttpGateway(accounts, open_record(folder), options)

        async def is_ready() -> bool:
            return any([await _ready(session, endpoint) for endpoint in endpoints])

        market = LiveMarket(
            simulation,
            gateway,
            general,
            is_ready=is_ready,
            run_id=f"day-{simulation.seed:x}-{_now_text()}",
            speed=speed,
            max_in_flight=max_in_flight,
            tape=tape,
        )
        gateway.start()
        try:
            return await market.run(stop, until_ns=until_ns)
        finally:
            await gateway.close()


async def _ready(session: aiohttp.ClientSession, endpoint: str) -> bool:
    try:
        timeout = aiohttp.ClientTimeout(_READY_TIMEOUT_S)
        async with session.get(f"{endpoint}/health/ready", timeout=timeout) as response:
            return response.status == 200
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False


def _now_text() -> str:
    """Client order ids are unique for ever, so a second run of a day needs its own."""
    return format(time_ns() // 1_000_000, "x")
