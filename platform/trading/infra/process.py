"""A process of the platform = HTTP server and, beside it, the work it exists for; either one's end is the end."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
import uvloop
from starlette.applications import Starlette

from trading.infra.http_protocol import HttpLimits, TurnAway, bounded_http
from trading.infra.settings import Settings
from trading.infra.telemetry import log, masked

DRAIN_S = 3
# Longer than clients keep idle connections: a request must not meet the closing of the one it was sent on.
KEEP_ALIVE_S = 75
MAX_FRAME_BYTES = 64 * 1024

# New objects before a collection of the youngest, and how many of those before each older one. What lives long here
# is no garbage: looking through an engine's 30,000 orders stops it for 25 ms, and it keeps far more.
_COLLECT_AFTER = (5_000, 10, 10_000)


class ProcessEndError(Exception):
    """An end that the process is built for: its message says all there is to say about it."""


async def _nothing() -> None:
    return None


def run(
    settings: Settings,
    app: Starlette,
    work: Callable[[], Coroutine[Any, Any, None]] | None = None,
    stop: Callable[[], Awaitable[None]] = _nothing,
    *,
    sockets: type[asyncio.Protocol] | None = None,
    turn_away: TurnAway | None = None,
) -> None:
    """Serves ``app`` until SIGTERM or SIGINT. ``work`` runs beside it; if it fails the process ends at once, code 1.

    ``sockets`` is the protocol of WebSocket connections, None for uvicorn's own; ``turn_away`` as in HttpLimits.
    """
    log("started", settings=masked(settings.model_dump()))
    # What is loaded by now stays: looking through it for garbage again and again would stop orders for milliseconds.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)
    uvloop.run(_run(settings, app, work, stop, sockets, turn_away))
    log("ended")


class _Server(uvicorn.Server):
    """Says first that it will end (``app.state.draining``), and goes on serving so long that others can notice."""

    def __init__(self, config: uvicorn.Config, app: Starlette, grace_s: float) -> None:
        super().__init__(config)
        self._app = app
        self._grace_s = grace_s

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Asks the server to end and no more: its own way raises the signal again, before our work has ended."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._drain, number)
        yield

    def _drain(self, number: signal.Signals) -> None:
        log("draining", signal=number.name, grace_s=self._grace_s)
        self._app.state.draining = True
        asyncio.get_running_loop().call_later(self._grace_s, self.handle_exit, number, None)


async def _run(
    settings: Settings,
    app: Starlette,
    work: Callable[[], Coroutine[Any, Any, None]] | None,
    stop: Callable[[], Awaitable[None]],
    sockets: type[asyncio.Protocol] | None,
    turn_away: TurnAway | None,
) -> None:
    limits = HttpLimits(settings.request_arrival_ms / 1000, settings.connections, turn_away=turn_away)
    server = _Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            http=bounded_http(limits),
            server_header=False,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=settings.trusted_proxies,
            timeout_graceful_shutdown=DRAIN_S,
            timeout_keep_alive=KEEP_ALIVE_S,
            ws=sockets or "auto",
            ws_max_size=MAX_FRAME_BYTES,
            ws_per_message_deflate=False,  # it would have to be done for every client anew
            backlog=4096,
        ),
        app,
        settings.drain_grace_ms / 1000,
    )
    app.state.draining = False
    task = asyncio.create_task(work()) if work is not None else None
    if task is not None:
        task.add_done_callback(_end_at_once)
    await server.serve()
    if not server.started:
        raise SystemExit(f"{settings.node} could not start; the lines above say why")
    if task is not None:
        task.remove_done_callback(_end_at_once)
        task.cancel()
        await asyncio.wait({task})
    await stop()


def _end_at_once(task: asyncio.Task[None]) -> None:
    """What this process knows may be wrong now, so nothing more is answered: open requests see the connection end."""
    error = None if task.cancelled() else task.exception()
    if isinstance(error, ProcessEndError):
        log("ended", level=logging.WARNING, reason=str(error))
    else:
        log("ended_by_error", level=logging.ERROR, error=error)
    os._exit(1)
