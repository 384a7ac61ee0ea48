"""The pool of reads, on a real server."""

from __future__ import annotations

import pytest

from stack.embedded import EmbeddedStack
from trading.infra.database import DatabaseError, Pool

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

_OPEN = "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'refused-reads'"


async def test_a_refused_statement_leaves_no_connection_behind(platform: EmbeddedStack) -> None:
    refused = Pool(platform.postgres_dsn(), "refused-reads")
    observer = Pool(platform.postgres_dsn(), "observer")
    kept = []
    for _ in range(12):
        with pytest.raises(DatabaseError) as caught:
            await refused.fetch("SELECT $1::text", "\x00")
        kept.append(caught.value)  # as a log that is still being written would: nothing is collected meanwhile
    (row,) = await observer.fetch(_OPEN)
    assert row["n"] <= 1
    await refused.close()
    await observer.close()
