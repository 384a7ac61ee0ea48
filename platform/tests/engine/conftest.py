"""A PostgreSQL pair with the platform's schema, for tests of what the engine writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from stack.embedded import EmbeddedStack
from stack.options import StackOptions
from stack.topology import Role
from tests.conftest import small_platform
from trading.infra.migrate import migrate


@pytest_asyncio.fixture(loop_scope="session")
async def postgres(tmp_path: Path) -> AsyncIterator[EmbeddedStack]:
    roles = frozenset({Role.POSTGRES, Role.TOXIPROXY})
    async with EmbeddedStack(small_platform(), StackOptions(tmp_path, roles=roles)) as stack:
        await asyncio.to_thread(migrate, stack.postgres_dsn())
        yield stack
