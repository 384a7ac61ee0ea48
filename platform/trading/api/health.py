"""Can this process take an order now, and if not, which dependency is why. No probe can hang: each has a deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from fastapi import APIRouter, Response

from trading.api.context import Context, ContextOf
from trading.infra.database import DatabaseError
from trading.infra.redis import StreamError

router = APIRouter(prefix="/health")

PROBE_DEADLINE_S: Final = 0.5

# Orders need these; without Redis the platform is merely degraded.
_REQUIRED: Final = frozenset({"engine", "postgres"})


class _ProbeError(Exception):
    pass


@router.get("/live")
async def live() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/ready")
async def ready(shared: ContextOf, response: Response) -> dict[str, Any]:
    report = await _probe_all(shared, {"engine": _engine, "postgres": _postgres})
    down = [name for name, dependency in report.items() if dependency["state"] != "ok"]
    response.status_code = 503 if down else 200
    return {"status": "not ready" if down else "ok", "down": down}


@router.get("")
async def health(shared: ContextOf, response: Response) -> dict[str, Any]:
    report = await _probe_all(shared, {"engine": _engine, "postgres": _postgres, "redis": _redis})
    down = {name for name, dependency in report.items() if dependency["state"] != "ok"}
    status = "down" if down & _REQUIRED else "degraded" if down else "ok"
    response.status_code = 503 if status == "down" else 200
    return {"status": status, "node": shared.settings.node, "dependencies": report}


Probe = Callable[[Context], Awaitable[dict[str, Any]]]


async def _probe_all(shared: Context, probes: dict[str, Probe]) -> dict[str, dict[str, Any]]:
    answers = await asyncio.gather(*(_measured(probe, shared) for probe in probes.values()))
    return dict(zip(probes, answers, strict=True))


async def _measured(probe: Probe, shared: Context) -> dict[str, Any]:
    started_s = time.perf_counter()
    try:
        async with asyncio.timeout(PROBE_DEADLINE_S):
            found = {"state": "ok", **await probe(shared)}
    except (_ProbeError, DatabaseError, StreamError, OSError) as error:
        found = {"state": "down", "error": str(error) or type(error).__name__}
    return {**found, "latency_ms": round((time.perf_counter() - started_s) * 1e3, 3)}


async def _engine(shared: Context) -> dict[str, Any]:
    states = [state for state in await shared.engine.states() if state is not None]
    leaders = [state for state in states if state.role == "active"]
    if not leaders:
        raise _ProbeError(f"no active engine; {len(states)} of {len(shared.settings.engines)} answer")
    leader = max(leaders, key=lambda state: state.epoch)
    return {"role": "active", "node": leader.node, "epoch": leader.epoch, "standbys": len(states) - len(leaders)}


async def _postgres(shared: Context) -> dict[str, Any]:
    rows = await shared.database.fetch("SELECT pg_is_in_recovery() AS recovering", deadline_s=PROBE_DEADLINE_S)
    if rows[0]["recovering"]:
        raise _ProbeError("not writable: this server is a standby")
    return {"role": "primary"}


async def _redis(shared: Context) -> dict[str, Any]:
    await shared.redis.ping()
    return {"role": "primary"}
