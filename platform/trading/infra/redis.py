"""Redis: the stream that carries the journal to the feeds. Everything in it can be rebuilt from the journal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

STREAM = "elson:journal"
STREAM_LENGTH = 50_000  # in records
_FIELD = b"r"
_SEPARATOR = b"\n"  # encoded records hold none
_ENTRIES = 100  # read at once

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
    """Appends consecutive (sequence, encoded record) pairs as one entry, whose id is the last one's sequence.

    Nothing is added when all of them stand there already.
    """
    last = records[-1][0]
    payload = _SEPARATOR.join(record for _, record in records)
    try:
        oldest = max(0, last - STREAM_LENGTH)
        await client.xadd(STREAM, {_FIELD: payload}, id=f"{last}-0", minid=f"{oldest}-0", approximate=True)
    except ResponseError as error:
        if "equal or smaller" not in str(error):
            raise


async def read_after(client: Redis, sequence: int, *, wait_ms: int) -> list[tuple[int, bytes]]:
    """Records after ``sequence``, oldest first; empty when none came within ``wait_ms``.

    Two publishers may have divided the records differently, so one that was read before may come again.
    """
    answer = cast(_Streams | None, await client.xread({STREAM: f"{sequence}-0"}, count=_ENTRIES, block=wait_ms))
    entries = [entry for _, found in answer or () for entry in found]
    return [record for entry_id, fields in entries for record in _records(_sequence(entry_id), fields[_FIELD])]


def _records(last: int, payload: bytes) -> Iterator[tuple[int, bytes]]:
    records = payload.split(_SEPARATOR)
    return enumerate(records, last - len(records) + 1)


def _sequence(entry_id: bytes) -> int:
    return int(entry_id.split(b"-")[0])
