"""A database with a market's history in it, recorded, and a server of /v2/stocks in front of it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import asyncpg
import pytest_asyncio
import uvicorn
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from stack.embedded import EmbeddedStack
from tests.engine.conftest import database, shared_postgres
from trading.api import errors, market_data
from trading.api.market_data_reads import MarketData
from trading.feed.recorder import Recorder
from trading.infra.aged_reads import AgedReads
from trading.infra.database import Pool, connect
from trading.infra.journal import Batch, JournalWriter
from trading.wire.journal import JournalRecord

__all__ = ["database", "shared_postgres"]

Get = Callable[..., Awaitable[tuple[int, Any]]]
FOR_EVER_H = 10**6


async def commit(connection: asyncpg.Connection[Any], records: Sequence[JournalRecord]) -> None:
    """Into the journal and the fills, as an engine would."""
    epoch = await connection.fetchval("SELECT epoch FROM leader_epoch")
    writer = JournalWriter(connection, epoch, 10.0)
    for first in range(0, len(records), 1_000):
        batch = Batch()
        for record in records[first : first + 1_000]:
            batch.add(record)
        await writer.commit(batch)


@asynccontextmanager
async def recording(dsn: str, *, quotes_kept_h: int = FOR_EVER_H, node: str = "feed:1") -> AsyncIterator[Recorder]:
    recorder = Recorder(dsn, node, quotes_kept_h=quotes_kept_h, registry=CollectorRegistry())
    task = asyncio.create_task(recorder.run())
    try:
        yield recorder
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def recorded(connection: asyncpg.Connection[Any], sequence: int) -> None:
    """Waits until the market data has come to this record."""
    async with asyncio.timeout(20):
        while await connection.fetchval("SELECT max(sequence) FROM market_data_progress") != sequence:
            await asyncio.sleep(0.02)


@asynccontextmanager
async def serving(dsn: str) -> AsyncIterator[str]:
    """The routes of /v2/stocks by themselves; nobody is asked who they are."""
    app = FastAPI()
    app.include_router(market_data.router)
    errors.install(app)
    database = Pool(dsn, "test")
    app.state.market_data = MarketData(AgedReads(database, None, most_lag_s=1))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        task = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            while not server.started:
                await asyncio.sleep(0.01)
            yield "http://{}:{}".format(*listening.getsockname())
        finally:
            server.should_exit = True
            await task
            await database.close()


@pytest_asyncio.fixture(loop_scope="session")
async def connection(database: EmbeddedStack) -> AsyncIterator[asyncpg.Connection[Any]]:
    connection = await connect(database.postgres_dsn(), "test")
    yield connection
    connection.terminate()


def getting(session: aiohttp.ClientSession, url: str) -> Get:
    async def get(path: str, **query: object) -> tuple[int, Any]:
        shown = {name: str(value) for name, value in query.items()}
        async with session.get(f"{url}/v2/stocks{path}", params=shown) as response:
            return response.status, await response.json()

    return get
