"""What the platform holds after the drain, in the record: the primary's tables, the active engine's state."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import aiohttp
import asyncpg
import pyarrow as pa

from reports.records import DATABASE_TABLES, TableWriter
from reports.run_folder import write_json
from stack.postgres import sessions
from stack.postgres.nodes import SERVERS
from stack.postgres.servers import Cluster

_ROWS_PER_FETCH: Final = 5_000
_WRITABLE: Final = "SELECT NOT pg_is_in_recovery() AS writable, epoch FROM cluster_epoch"
_ANSWER_LIMIT: Final = aiohttp.ClientTimeout(total=30)


async def dump_database(dsn: str, folder: Path) -> dict[str, int]:
    """The tables of one moment; returns the rows of each. ``dsn`` is the primary's, never a replica's."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return {name: await _dump_table(connection, folder, name) for name in DATABASE_TABLES}
    finally:
        await connection.close(timeout=5)


async def dump_engine(url: str, folder: Path) -> dict[str, Any]:
    """engine.json: sequence, state hash and books, computed by the engine at one moment."""
    state: dict[str, Any]
    async with aiohttp.ClientSession(timeout=_ANSWER_LIMIT) as session, session.get(f"{url}/state/full") as answer:
        answer.raise_for_status()
        state = await answer.json()
    write_json(folder / "engine.json", state)
    return state


async def database_servers(cluster: Cluster) -> list[dict[str, Any]]:
    """What each server says of itself: whether it takes writes, and the cluster's epoch as far as it knows."""
    return [await _server(cluster, node) for node in SERVERS]


async def _server(cluster: Cluster, node: str) -> dict[str, Any]:
    try:
        async with sessions.session(cluster.dsn(cluster.address(node))) as session:
            (row,) = await session.fetch(_WRITABLE)
    except sessions.NOT_ANSWERING as error:
        return {"node": node, "error": str(error) or type(error).__name__}
    return {"node": node, **row}


async def _dump_table(connection: asyncpg.Connection, folder: Path, name: str) -> int:
    schema: pa.Schema = DATABASE_TABLES[name]
    columns = ", ".join(schema.names)
    writer = TableWriter(folder / name, schema)
    rows = 0
    async for record in connection.cursor(f"SELECT {columns} FROM {name} ORDER BY 1, 2", prefetch=_ROWS_PER_FETCH):
        writer.add(record)
        rows += 1
    writer.close()
    return rows
