"""The one place that connects to PostgreSQL, and the rule that no statement may hang its caller.

A frozen server keeps its sockets open, so every statement has a deadline of its own. When it passes, the
socket is closed: asking the server to cancel instead would turn a commit that waits for its synchronous
standby into a success that is not replicated.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Any, Final, TypeVar

import asyncpg

from trading.infra.servers import NoPrimaryError, Servers

T = TypeVar("T")

CONNECT_DEADLINE_S = 2.0
_ASK_AGAIN_S: Final = 0.02

# The last: what asyncpg raises when a server died in the middle of its talk, as on a connection taken up right then.
_FAILURES: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

_known: dict[str, Servers] = {}  # by DSN: what one connection of this process learns, all others profit from


class DatabaseError(Exception):
    """The database did not do what was asked; nothing is known to have changed."""


class DeadlineError(DatabaseError):
    """No answer in time; the connection is closed and the outcome of its last statement unknown."""


class ConnectionLostError(DatabaseError):
    """The connection ended under the statement; whether that did anything is unknown."""


async def connect(dsn: str, application_name: str, **server_settings: str) -> asyncpg.Connection[Any]:
    """One connection; where ``dsn`` names several hosts, to the primary among them.

    Raises DatabaseError when there is none within two seconds. While no server of several is the primary one is being
    made of another, which takes a fraction of that: they are asked again.
    """
    servers = _known.setdefault(dsn, Servers.of(dsn))
    settings = {"application_name": application_name, **server_settings}
    reason: BaseException = TimeoutError("no answer in time")
    try:
        async with asyncio.timeout(CONNECT_DEADLINE_S):
            while True:
                try:
                    return await servers.open(timeout=CONNECT_DEADLINE_S, server_settings=settings)
                except NoPrimaryError as error:
                    reason = error
                await asyncio.sleep(_ASK_AGAIN_S)
    except TimeoutError:
        raise DatabaseError(f"cannot connect to PostgreSQL: {reason}") from reason
    except _FAILURES as error:
        raise DatabaseError(f"cannot connect to PostgreSQL: {error or type(error).__name__}") from error


async def within(connection: asyncpg.Connection[Any], work: Awaitable[T], deadline_s: float) -> T:
    """The result of ``work`` on ``connection``; raises DeadlineError and closes the socket when it takes too long."""
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=deadline_s)
    except asyncio.CancelledError:
        await _abandon(connection, task)
        raise
    if not done:
        await _abandon(connection, task)
        raise DeadlineError(f"no answer from PostgreSQL within {deadline_s:g} s")
    try:
        return task.result()
    except _FAILURES as error:
        raise DatabaseError(f"{type(error).__name__}: {error}") from error
    except AttributeError as error:
        if not connection.is_closed():
            raise
        # asyncpg's, of a connection that was terminated between a statement's preparation and its execution
        raise DatabaseError("the connection was closed meanwhile") from error


async def _abandon(connection: asyncpg.Connection[Any], task: asyncio.Future[T]) -> None:
    connection.terminate()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # retrieved: it only says that the connection was closed


class Pool:
    """A bounded pool for reads, each with its own deadline. A connection that missed one is closed, not reused."""

    def __init__(self, dsn: str, application_name: str, *, size: int = 8) -> None:
        self._dsn = dsn
        self._application_name = application_name
        self._slots = asyncio.Semaphore(size)
        self._idle: list[asyncpg.Connection[Any]] = []
        self._closed = False

    async def fetch(self, query: str, *arguments: object, deadline_s: float = 2.0) -> list[asyncpg.Record]:
        """Rows of ``query``; a SELECT is repeated on another connection when its server went away.

        Raises DatabaseError; DeadlineError covers waiting for a connection too.
        """
        started = time.monotonic()
        try:
            # Half the time at most: a query that starts with nothing left only costs its connection.
            async with asyncio.timeout(deadline_s / 2):
                await self._slots.acquire()
        except TimeoutError:
            raise DeadlineError(f"no free connection to PostgreSQL within {deadline_s / 2:g} s") from None
        try:
            while True:
                left_s = max(0.05, deadline_s - (time.monotonic() - started))
                try:
                    return await self._fetch(query, arguments, left_s)
                except ConnectionLostError:
                    if not query.lstrip().startswith("SELECT") or time.monotonic() - started > deadline_s:
                        raise
        finally:
            self._slots.release()

    async def close(self) -> None:
        self._closed = True
        self._drop_idle()

    async def _fetch(self, query: str, arguments: tuple[object, ...], deadline_s: float) -> list[asyncpg.Record]:
        connection = await self._checkout()
        try:
            rows: list[asyncpg.Record] = await within(connection, connection.fetch(query, *arguments), deadline_s)
        except DatabaseError as error:
            server_is_gone = connection.is_closed()
            connection.terminate()  # whatever state it is in; left open it would count against the server's limit
            if server_is_gone:
                self._drop_idle()  # or each of them would cost somebody its own deadline
                if not isinstance(error, DeadlineError):
                    raise ConnectionLostError(str(error)) from error
            raise
        self._check_in(connection)
        return rows

    def _drop_idle(self) -> None:
        while self._idle:
            self._idle.pop().terminate()

    async def _checkout(self) -> asyncpg.Connection[Any]:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return await connect(self._dsn, self._application_name)

    def _check_in(self, connection: asyncpg.Connection[Any]) -> None:
        if self._closed:
            connection.terminate()
        else:
            self._idle.append(connection)
