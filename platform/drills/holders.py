"""Whether two servers of PostgreSQL's pair ever took writes at the same time: both are asked all the time."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final

from stack.postgres import sessions
from stack.postgres.nodes import PAIR
from stack.postgres.servers import Cluster
from stack.tasks import end

_EVERY_S: Final = 0.05
_LIMIT_S: Final = 0.5
# Each promotion begins a new timeline; who is in recovery takes no writes.
_TIMELINE: Final = """
SELECT CASE WHEN NOT pg_is_in_recovery()
       THEN ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END
"""


class Holders:
    """Use as an async context manager. ``second`` counts answers of servers that should have been fenced by then.

    That is one that takes writes although, before it was asked, a server of a later promotion had said so of itself.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._sessions = {node: sessions.Session(cluster.dsn(cluster.address(node))) for node in PAIR}
        self._latest = 0
        self.answers = 0
        self.second = 0

    async def __aenter__(self) -> Holders:
        self._tasks = [asyncio.create_task(self._ask(node)) for node in PAIR]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await end(*self._tasks)
        for session in self._sessions.values():
            session.close()

    async def _ask(self, node: str) -> None:
        while True:
            latest = self._latest
            try:
                timeline = await self._sessions[node].value(_TIMELINE, limit_s=_LIMIT_S)
            except sessions.NOT_ANSWERING:
                timeline = None
            if timeline is not None:
                self.answers += 1
                self.second += timeline < latest
                self._latest = max(self._latest, timeline)
            await asyncio.sleep(_EVERY_S)
