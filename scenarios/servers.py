"""What PostgreSQL and Redis say of themselves, for the record's metrics."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from stack.embedded import EmbeddedStack
from stack.postgres.sessions import NOT_ANSWERING, Session
from stack.topology import Role

Sample = tuple[str, str, float]  # metric, labels, value

_LIMIT_S: Final = 0.4  # each, for connecting and for the answer: a frozen server must not hold up the others' samples
_DATABASE: Final = """
SELECT xact_commit, xact_rollback, blks_hit, blks_read, numbackends,
    (SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND backend_type = 'client backend') AS active
FROM pg_stat_database WHERE datname = current_database()
"""
_COUNTED: Final = ("xact_commit", "xact_rollback", "blks_hit", "blks_read")
_STANDBYS: Final = """
SELECT application_name, pg_wal_lsn_diff(pg_current_wal_lsn(), coalesce(replay_lsn, flush_lsn)) AS behind_bytes
FROM pg_stat_replication WHERE NOT pg_is_in_recovery()
"""


class ServerSamples:
    """Keeps one connection to each server, opened again after a failure."""

    def __init__(self, stack: EmbeddedStack) -> None:
        self._stack = stack
        self._sessions: dict[str, Session] = {}
        self._clients: dict[str, Redis] = {}
        self._before: dict[str, tuple[float, Mapping[str, Any]]] = {}

    async def of(self, node: str) -> list[Sample]:
        """Nothing of a server that does not answer in time, and of a node of another kind."""
        match Role(node.partition(":")[0]):
            case Role.POSTGRES:
                return await self._postgres(node)
            case Role.REDIS:
                return await self._redis(node)
            case _:
                return []

    async def aclose(self) -> None:
        for session in self._sessions.values():
            session.close()
        for client in self._clients.values():
            await client.aclose()

    async def _postgres(self, node: str) -> list[Sample]:
        if node not in self._sessions:
            self._sessions[node] = Session(self._stack.postgres_dsn(node))
        session = self._sessions[node]
        try:
            (counted,) = await session.fetch(_DATABASE, limit_s=_LIMIT_S)
            standbys = await session.fetch(_STANDBYS, limit_s=_LIMIT_S)
        except NOT_ANSWERING:
            return []
        samples: list[Sample] = [
            ("postgres_sessions", "", counted["numbackends"]),
            ("postgres_active_sessions", "", counted["active"]),
        ]
        for standby in standbys:
            label = f'standby="{standby["application_name"]}"'
            samples.append(("postgres_replication_behind_bytes", label, float(standby["behind_bytes"] or 0)))
        return [*samples, *self._since_before(node, counted)]

    def _since_before(self, node: str, counted: Mapping[str, Any]) -> Iterator[Sample]:
        """A server that was started again counts from zero: then nothing can be told this once."""
        now_s = time.monotonic()
        before_s, before = self._before.get(node, (now_s, counted))
        self._before[node] = (now_s, counted)
        more = {name: counted[name] - before[name] for name in _COUNTED}
        if now_s == before_s or min(more.values()) < 0:
            return
        yield "postgres_commits_per_s", "", round(more["xact_commit"] / (now_s - before_s), 2)
        yield "postgres_rollbacks_per_s", "", round(more["xact_rollback"] / (now_s - before_s), 2)
        if wanted := more["blks_hit"] + more["blks_read"]:
            yield "postgres_buffer_hit_ratio", "", round(more["blks_hit"] / wanted, 6)

    async def _redis(self, node: str) -> list[Sample]:
        if node not in self._clients:
            host, _, port = self._stack.wiring.address(node).partition(":")
            self._clients[node] = Redis(
                host=host,
                port=int(port),
                socket_timeout=_LIMIT_S,
                socket_connect_timeout=_LIMIT_S,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
            )
        try:
            told = await self._clients[node].info()  # before version 7 it takes one section at a time
        except (RedisError, OSError, TimeoutError):
            return []
        return [
            ("redis_operations_per_s", "", told["instantaneous_ops_per_sec"]),
            ("redis_used_memory_bytes", "", told["used_memory"]),
            ("redis_clients", "", told["connected_clients"]),
        ]
