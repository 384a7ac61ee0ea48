"""A PostgreSQL pair with the platform's schema, for tests of what the engine writes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from stack.embedded import EmbeddedStack
from stack.options import StackOptions
from stack.topology import Role
from tests.conftest import small_platform
from trading.infra import tables
from trading.infra.database import connect
from trading.infra.migrate import migrate

_ROLES = frozenset({Role.POSTGRES, Role.TOXIPROXY})
_KEPT = {"leader_epoch", "leader_lease", "audit_log"}
_EMPTY = f"TRUNCATE {', '.join(name for name in tables.metadata.tables if name not in _KEPT)}"


class _Told(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.events.append(record.getMessage())


@pytest.fixture
def told() -> Iterator[list[str]]:
    """The names of all that is logged, whatever other tests made of the logging of this process."""
    logger, handler = logging.getLogger("elson"), _Told()
    logger.addHandler(handler)
    before, logger.disabled = logger.disabled, False
    yield handler.events
    logger.disabled = before
    logger.removeHandler(handler)


@pytest_asyncio.fixture(loop_scope="session")
async def postgres(tmp_path: Path) -> AsyncIterator[EmbeddedStack]:
    async with EmbeddedStack(small_platform(), StackOptions(tmp_path, roles=_ROLES)) as stack:
        await asyncio.to_thread(migrate, stack.postgres_dsn())
        yield stack


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedStack]:
    """For tests that heal what they hurt; the engines' links to it lead through proxies."""
    options = StackOptions(tmp_path_factory.mktemp("logs"), roles=_ROLES)
    async with EmbeddedStack(small_platform(proxied=("engine->postgres",)), options) as stack:
        await asyncio.to_thread(migrate, stack.postgres_dsn())
        yield stack


@pytest_asyncio.fixture(loop_scope="session")
async def database(shared_postgres: EmbeddedStack) -> EmbeddedStack:
    """The shared servers with nothing in their tables and nobody leading."""
    connection = await connect(shared_postgres.postgres_dsn(), "test")
    await connection.execute(_EMPTY)
    await connection.execute("UPDATE leader_lease SET expires_at = '-infinity', holder = ''")
    connection.terminate()
    return shared_postgres
