"""A PostgreSQL pair with the platform's schema, for tests of what the engine writes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from stack.embedded import EmbeddedStack
from stack.options import StackOptions
from stack.topology import Role
from tests.conftest import small_platform
from tests.shared import SharedStacks, heal
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
async def own_postgres(tmp_path: Path) -> AsyncIterator[EmbeddedStack]:
    """One test's own, to promote another server in."""
    async with EmbeddedStack(small_platform(), StackOptions(tmp_path, roles=_ROLES)) as stack:
        await _migrate(stack)
        yield stack


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared_postgres(shared_stacks: SharedStacks) -> EmbeddedStack:
    """The engines' links to it lead through proxies."""
    topology = partial(small_platform, proxied=("engine->postgres",))
    return await shared_stacks.get("shared_postgres", topology, _ROLES, _migrate)


@pytest_asyncio.fixture(loop_scope="session")
async def database(shared_postgres: EmbeddedStack) -> AsyncIterator[EmbeddedStack]:
    """The shared servers with nothing in their tables and nobody leading; killed and frozen ones run again after."""
    connection = await connect(shared_postgres.postgres_dsn(), "test")
    await connection.execute(_EMPTY)
    await connection.execute("UPDATE leader_lease SET expires_at = '-infinity', holder = ''")
    connection.terminate()
    yield shared_postgres
    await heal(shared_postgres)


async def _migrate(stack: EmbeddedStack) -> None:
    await asyncio.to_thread(migrate, stack.postgres_dsn())
