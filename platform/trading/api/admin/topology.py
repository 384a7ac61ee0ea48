"""The platform as this api sees it now. Every look has its own deadline and they run together: nothing hangs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, Final

from fastapi import Response

from trading.api.admin.audited import router
from trading.api.answer import answer
from trading.api.context import Context, ContextOf
from trading.infra.database import DatabaseError
from trading.infra.redis import StreamError, replication

routes = router()

_DEADLINE_S: Final = 0.5

_DATABASE: Final = "SELECT pg_is_in_recovery() AS recovering"
_STANDBYS: Final = """
SELECT application_name AS name, state, sync_state, extract(epoch FROM replay_lag) * 1000 AS ms,
    pg_wal_lsn_diff(pg_current_wal_lsn(), coalesce(replay_lsn, flush_lsn))::bigint AS bytes -- receivers replay nothing
FROM pg_stat_replication ORDER BY application_name
"""
# A connection is named after its node, as in "api:1" or "engine:2 reads".
_CONNECTED: Final = """
SELECT split_part(application_name, ' ', 1) AS node, count(*) AS connections FROM pg_stat_activity
WHERE backend_type = 'client backend' AND datname = current_database() AND application_name ~ '^(api|engine|feed):'
GROUP BY node ORDER BY node
"""


@routes.get("/topology")
async def get_topology(shared: ContextOf) -> Response:
    """``nodes`` are those connected to the database, a way to see the others that does not need them to answer."""
    parts = {
        "engines": _engines(shared),
        "database": _database(shared),
        "nodes": _nodes(shared),
        "redis": _redis(shared),
    }
    found = await asyncio.gather(*(_in_time(part) for part in parts.values()))
    return answer({"seen_by": shared.settings.node, **dict(zip(parts, found, strict=True))})


async def _in_time(part: Awaitable[Any]) -> Any:
    try:
        async with asyncio.timeout(_DEADLINE_S):
            return await part
    except (DatabaseError, StreamError, OSError) as error:
        return {"error": str(error) or "no answer in time"}


async def _engines(shared: Context) -> list[dict[str, Any]]:
    states = await shared.engine.states()
    return [
        {"url": url, "role": "unreachable"}
        if state is None
        else {"url": url, "node": state.node, "role": state.role, "epoch": state.epoch, "sequence": state.sequence}
        for url, state in zip(shared.settings.engines, states, strict=True)
    ]


async def _database(shared: Context) -> dict[str, Any]:
    (server,) = await shared.database.fetch(_DATABASE, deadline_s=_DEADLINE_S)
    standbys = [] if server["recovering"] else await shared.database.fetch(_STANDBYS, deadline_s=_DEADLINE_S)
    return {
        "role": "standby" if server["recovering"] else "primary",
        "standbys": [
            {
                "name": row["name"],
                "state": row["state"],
                "sync_state": row["sync_state"],
                "lag_bytes": row["bytes"],
                "lag_ms": None if row["ms"] is None else float(row["ms"]),
            }
            for row in standbys
        ],
    }


async def _nodes(shared: Context) -> list[dict[str, Any]]:
    rows = await shared.database.fetch(_CONNECTED, deadline_s=_DEADLINE_S)
    return [{"node": row["node"], "database_connections": row["connections"]} for row in rows]


async def _redis(shared: Context) -> dict[str, Any]:
    return (await replication(shared.redis))._asdict()
