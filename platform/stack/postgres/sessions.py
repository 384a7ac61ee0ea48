"""The supervisor's own connections to the servers; none of them may hang it, however frozen a server is."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import asyncpg

T = TypeVar("T")

NOT_ANSWERING: Final = (
    *(OSError, TimeoutError),
    *(asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError),
)
_APPLICATION: Final = "elson-supervisor"
_SSL_REQUEST: Final = struct.pack("!ii", 8, 80877103)


async def within(connection: asyncpg.Connection[Any], work: Awaitable[T], limit_s: float) -> T:
    """The result of ``work`` on ``connection``; closes the socket and raises TimeoutError when it takes too long.

    Cancelling would have asyncpg ask the server to cancel, which ends a wait for the standby with a false success.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=limit_s)
    except asyncio.CancelledError:
        await _abandon(connection, task)
        raise
    if not done:
        await _abandon(connection, task)
        raise TimeoutError(f"no answer within {limit_s:g} s")
    try:
        return task.result()
    except AttributeError as error:
        if not connection.is_closed():
            raise
        # asyncpg's, of a connection that was terminated between a statement's preparation and its execution
        raise ConnectionAbortedError("the connection was closed meanwhile") from error


async def _abandon(connection: asyncpg.Connection[Any], task: asyncio.Future[T]) -> None:
    connection.terminate()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # retrieved: it only says that the connection was closed


class Session:
    """One kept connection to one server, opened when it is needed and again when it was lost."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: asyncpg.Connection[Any] | None = None

    async def fetch(self, query: str, *arguments: object, limit_s: float = 2.0) -> list[asyncpg.Record]:
        """Raises one of NOT_ANSWERING. The limit holds for connecting and for the query each."""
        connection = self._connection
        if connection is None or connection.is_closed():
            connection = self._connection = await _connect(self._dsn, limit_s)
        try:
            rows: list[asyncpg.Record] = await within(connection, connection.fetch(query, *arguments), limit_s)
        except NOT_ANSWERING:
            self.close()
            raise
        return rows

    async def value(self, query: str, *arguments: object, limit_s: float = 2.0) -> Any:
        return (await self.fetch(query, *arguments, limit_s=limit_s))[0][0]

    def close(self) -> None:
        if self._connection:
            self._connection.terminate()
            self._connection = None


@asynccontextmanager
async def session(dsn: str) -> AsyncIterator[Session]:
    opened = Session(dsn)
    try:
        yield opened
    finally:
        opened.close()


@asynccontextmanager
async def connection(dsn: str, *, within_s: float = 10) -> AsyncIterator[asyncpg.Connection[Any]]:
    """One for a few statements, which gives up on its own: a frozen server would hang its clients for ever."""
    opened = await asyncpg.connect(dsn, timeout=within_s, command_timeout=within_s)
    try:
        yield opened
    finally:
        opened.terminate()


async def answers(address: str, limit_s: float) -> bool:
    """Whether a server takes a new connection and forks a process that reads from it, at the price of one fork.

    It asks for TLS, which is answered before anybody has to say who they are.
    """
    host, _, port = address.partition(":")
    try:
        async with asyncio.timeout(limit_s):
            reader, writer = await asyncio.open_connection(host, int(port))
            try:
                writer.write(_SSL_REQUEST)
                return await reader.read(1) in (b"N", b"S")
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError):
        return False


async def _connect(dsn: str, limit_s: float) -> asyncpg.Connection[Any]:
    settings = {"application_name": _APPLICATION}
    return await asyncpg.connect(dsn, timeout=limit_s, command_timeout=None, server_settings=settings)
