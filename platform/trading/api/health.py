"""Can this process take an order now, and what is wrong with what it depends on. No probe can hang."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from trading.api.context import Context, ContextOf
from trading.infra.database import DatabaseError, Pool
from trading.infra.redis import StreamError, replication

router = APIRouter(prefix="/health")

PROBE_DEADLINE_S: Final = 0.5

# Orders need these; without Redis the platform is merely degraded.
_REQUIRED: Final = frozenset({"engine", "postgres"})

# The standbys' columns are NULL for one that is just connecting.
_POSTGRES: Final = """
SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool AS read_only, application_name,
    state, sync_state, pg_wal_lsn_diff(pg_current_wal_lsn(), coalesce(replay_lsn, flush_lsn))::bigint AS lag_bytes,
    (extract(epoch FROM replay_lag) * 1000)::float AS lag_ms
FROM (VALUES (1)) AS one LEFT JOIN pg_stat_replication ON true
"""


class State(StrEnum):
    OK = "ok"
    DEGRADED = "degraded"  # works, but what stands by for its failure does not
    DOWN = "down"


class _ProbeError(Exception):
    pass


Found = dict[str, Any]
_Probe = Callable[[], Awaitable[Found]]


class Health:
    """The probes of one api process. Who asks while a probe runs shares its answer: watching must not become load."""

    def __init__(self, shared: Context) -> None:
        self._shared = shared
        # Of its own: when reads have taken every connection of the others, that is no failure of the database.
        self._database = Pool(shared.settings.postgres_dsn.get_secret_value(), f"{shared.settings.node} health", size=1)
        self._probes: dict[str, _Probe] = {"engine": self._engine, "postgres": self._postgres, "redis": self._redis}
        if shared.settings.postgres_read_dsn is not None:
            self._probes["postgres_replica"] = self._replica
        self._running: dict[str, asyncio.Task[Found]] = {}
        self._since: dict[str, tuple[tuple[State, str | None], str]] = {}

    async def report(self, *names: str) -> dict[str, Found]:
        """What each dependency is like; all probes run together, each within PROBE_DEADLINE_S."""
        chosen = names or tuple(self._probes)
        answers = await asyncio.gather(*(self._shared_probe(name) for name in chosen))
        return dict(zip(chosen, answers, strict=True))

    async def close(self) -> None:
        await self._database.close()

    async def _shared_probe(self, name: str) -> Found:
        running = self._running.get(name)
        if running is None:
            running = self._running[name] = asyncio.create_task(self._measured(name))
            running.add_done_callback(lambda _: self._running.pop(name))
        return await asyncio.shield(running)

    async def _measured(self, name: str) -> Found:
        started_s = time.perf_counter()
        found: Found
        try:
            async with asyncio.timeout(PROBE_DEADLINE_S):
                found = await self._probes[name]()
        except (_ProbeError, DatabaseError, StreamError, OSError) as error:
            found = {"state": State.DOWN, "error": str(error) or "no answer in time"}
        latency_ms = round((time.perf_counter() - started_s) * 1e3, 3)
        return {**found, "since": self._told_since(name, found), "latency_ms": latency_ms}

    def _told_since(self, name: str, found: Found) -> str:
        """When this process first found it so, on the server that it is now."""
        known, seen = self._since.get(name), (found["state"], found.get("server"))
        if known is None or known[0] != seen:
            known = self._since[name] = (seen, datetime.now(UTC).isoformat(timespec="milliseconds"))
        return known[1]

    # -- the probes --------------------------------------------------------------------------------

    async def _engine(self) -> Found:
        states = [state for state in await self._shared.engine.states() if state is not None]
        leaders = [state for state in states if state.role == "active"]
        if not leaders:
            raise _ProbeError(f"no active engine; {len(states)} of {len(self._shared.settings.engines)} answer")
        leader = max(leaders, key=lambda state: state.epoch)
        standbys = [
            {"node": state.node, "lag_records": max(0, leader.sequence - state.sequence)}
            for state in states
            if state is not leader
        ]
        return {
            "state": State.OK if len(states) == len(self._shared.settings.engines) else State.DEGRADED,
            "role": "active",
            "node": leader.node,
            "epoch": leader.epoch,
            "sequence": leader.sequence,
            "standbys": standbys,
        }

    async def _postgres(self) -> Found:
        rows = await self._database.fetch(_POSTGRES, deadline_s=PROBE_DEADLINE_S)
        if rows[0]["read_only"]:
            raise _ProbeError("not writable: this server is a standby, or set to read only")
        standbys = [
            {
                "name": row["application_name"],
                "state": row["state"],
                "sync": row["sync_state"],
                "lag_bytes": row["lag_bytes"],
                "lag_ms": row["lag_ms"],
            }
            for row in rows
            if row["application_name"] is not None
        ]
        synchronous = any(row["sync"] in ("sync", "quorum") and row["state"] == "streaming" for row in standbys)
        return {"state": State.OK if synchronous else State.DEGRADED, "role": "primary", "standbys": standbys}

    async def _replica(self) -> Found:
        """History is read from the primary meanwhile: its loss degrades, and no more."""
        lag_s = await self._shared.history.lag_s()
        if lag_s is None:
            raise _ProbeError("not answering, or receiving nothing from the primary")
        keeps_up = lag_s * 1e3 <= self._shared.settings.replica_lag_ms
        return {"state": State.OK if keeps_up else State.DEGRADED, "role": "replica", "lag_ms": round(lag_s * 1e3, 3)}

    async def _redis(self) -> Found:
        found = await replication(self._shared.redis)
        alone = found.server is not None and not found.replicas
        limits = "local" if self._shared.limiter.away else "shared"
        return {"state": State.DEGRADED if alone else State.OK, **found._asdict(), "rate_limits": limits}


@router.get("/live")
async def live() -> dict[str, str]:
    """The process turns."""
    return {"status": "ok"}


@router.get("/ready")
async def ready(request: Request, response: Response) -> Found:
    """An order can be taken now: 503 without an engine that leads, a writable database, and before the shutdown."""
    if request.app.state.draining:
        response.status_code = 503
        return {"status": "not ready", "down": [], "draining": True}
    report = await request.app.state.health.report(*sorted(_REQUIRED))
    down = [name for name, found in report.items() if found["state"] is State.DOWN]
    response.status_code = 503 if down else 200
    return {"status": "not ready" if down else "ok", "down": down}


@router.get("")
async def health(request: Request, shared: ContextOf, response: Response) -> Found:
    """Every dependency; 503 only when orders cannot be taken."""
    report: dict[str, Found] = await request.app.state.health.report()
    states = {found["state"] for found in report.values()}
    down = {name for name, found in report.items() if found["state"] is State.DOWN}
    status = State.DOWN if down & _REQUIRED else State.OK if states == {State.OK} else State.DEGRADED
    response.status_code = 503 if status is State.DOWN else 200
    return {"status": status, "node": shared.settings.node, "dependencies": report}
