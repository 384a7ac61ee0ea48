"""An api of the test's own in front of a running stack, to be given other settings or a broken table."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr

from stack.embedded import EmbeddedStack
from trading.api.access import TABLE, Table
from trading.api.app import create_app
from trading.infra.settings import Settings


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # they are the test run's


def settings_for(stack: EmbeddedStack, **more: Any) -> Settings:
    values = {
        "node": "api:test",
        "port": 1,
        "postgres_dsn": SecretStr(stack.postgres_dsn()),
        "redis_url": SecretStr(stack.redis_url),
        "engine_urls": ",".join(stack.base_url(f"engine:{number}") for number in (1, 2)),
        "key_pepper": SecretStr(stack.key_pepper),
    }
    return Settings(**{**values, **more})


@contextlib.asynccontextmanager
async def own_api(stack: EmbeddedStack, *, table: Table = TABLE, **more: Any) -> AsyncIterator[tuple[str, FastAPI]]:
    """Its base URL and the application; ``more`` are settings."""
    app = create_app(settings_for(stack, **more), table=table)
    listener = socket.create_server(("127.0.0.1", 0))
    server = _Server(uvicorn.Config(app, log_config=None, access_log=False))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.wait({serving}, timeout=0.01)
        if serving.done():
            serving.result()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", app
    finally:
        server.should_exit = True
        await serving
        listener.close()
