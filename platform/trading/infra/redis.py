"""Redis: the stream that carries the journal to the feeds. Everything in it can be rebuilt from the journal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

STREAM = "elson:journal"
STREAM_LENGTH = 50_000
_FIELD = b"r"

StreamError = RedisError

# What XREAD answers under protocol 2: per stream its name and (id, fields) pairs.
_Streams = list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]


def connect(url: str, *, deadline_s: float = 0.5) -> Redis:
    """A client that gives up after ``deadline_s`` and never repeats a command by itself."""
    return Redis.from_url(
        url,
        socket_timeout=deadline_s,
        socket_connect_timeout=deadline_s,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )


async def last_published(client: Redis) -> int:
    """The sequence number of the newest record in the stream, 0 when it is empty."""
    entries = cast(list[tuple[bytes, Any]], await client.xrevrange(STREAM, count=1))
    return _sequence(entries[0][0]) if entries else 0


async def publish(client: Redis, records: Sequence[tuple[int, bytes]]) -> None:
    """Appends (sequence, encoded record) pairs in order; the sequence is the id, so no record can stand there twice."""
    async with client.pipeline(transaction=False) as pipeline:
        for sequence, payload in records:
            pipeline.xadd(STREAM, {_FIELD: payload}, id=f"{sequence}-0", maxlen=STREAM_LENGTH, approximate=True)
        for result in await pipeline.execute(raise_on_error=False):
            if isinstance(result, ResponseError) and "equal or smaller" in str(result):
                continue
            if isinstance(result, Exception):
                raise result


async def read_after(client: Redis, sequence: int, *, wait_ms: int, count: int = 500) -> list[tuple[int, bytes]]:
    """Records after ``sequence``, oldest first; empty when none came within ``wait_ms``."""
    answer = cast(_Streams | None, await client.xread({STREAM: f"{sequence}-0"}, count=count, block=wait_ms))
    return [(_sequence(entry_id), fields[_FIELD]) for _, entries in answer or () for entry_id, fields in entries]


def _sequence(entry_id: bytes) -> int:
    return int(entry_id.split(b"-")[0])
