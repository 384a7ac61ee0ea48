"""A platform for officers alone: they stop markets and engines, which nobody else's tests should feel."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from stack.embedded import EmbeddedStack
from stack.options import StackOptions
from tests.admin.office import Office
from tests.conftest import small_platform


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def administered(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedStack]:
    """Both engines run again at the end of each test."""
    options = StackOptions(tmp_path_factory.mktemp("logs"))
    async with EmbeddedStack(small_platform(), options) as stack:
        yield stack


@pytest_asyncio.fixture(loop_scope="session")
async def office(administered: EmbeddedStack) -> AsyncIterator[Office]:
    async with Office(administered) as office:
        yield office
