"""A PostgreSQL pair with the platform's schema, for tests of what the engine writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
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
