"""Commands of officers: to the engine, and when its refusal may only mean that it was done already, to the tables."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from trading.api.context import Context
from trading.api.engine_client import OutcomeUnknownError
from trading.api.errors import refusal
from trading.core.commands import Command
from trading.infra.database import DatabaseError, connect, within
from trading.wire.engine import Denied, Done

_TURN_DEADLINE_S: Final = 2.0
_TAKE_TURN: Final = "SELECT pg_advisory_lock(hashtextextended($1, 0))"


async def execute(
    command: Command, shared: Context, *, reached: Callable[[], Awaitable[bool]] | None = None
) -> Done | None:
    """None when it was refused although what it is to bring about is so: somebody, perhaps an earlier try of this
    very call, has done it. ``reached`` tells. Raises ApiError for any other refusal, and as ``EngineClient.execute``.
    """
    outcome, repeated = await shared.engine.execute(command, shared.deadline_s)
    if not isinstance(outcome, Denied):
        return outcome
    try:
        if reached is not None and await reached():
            return None
    except DatabaseError as error:
        if repeated:
            raise OutcomeUnknownError(str(error)) from error
        raise
    raise refusal(outcome)


@asynccontextmanager
async def written(advice: str) -> AsyncIterator[None]:
    """Around a write beside the engine: one that fails may have been carried out, unlike a read."""
    try:
        yield
    except DatabaseError as error:
        raise OutcomeUnknownError(f"{error}; {advice}") from error


@asynccontextmanager
async def turn(what: str, shared: Context) -> AsyncIterator[None]:
    """One change of ``what`` at a time, through all apis: it is read, changed in parts and written as a whole.

    Raises DatabaseError when the turn does not come in time. It ends with its connection, also if this process dies.
    """
    connection = await connect(shared.settings.postgres_dsn.get_secret_value(), f"{shared.settings.node} turn")
    try:
        await within(connection, connection.execute(_TAKE_TURN, what), _TURN_DEADLINE_S)
        yield
    finally:
        connection.terminate()
