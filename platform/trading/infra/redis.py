"""Redis: the stream that carries the journal to the feeds. Everything in it can be rebuilt from the journal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from redis.asyncio import Redis as Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from trading.infra.sentinel import Address, connect_through, shown

STREAM = "elson:journal"
STREAM_LENGTH = 50_000  # in records
_END = "elson:journal:end"  # the newest record's sequence: reading the entry itself would carry all of its records
_FIELD = b"r"
_SEPARATOR = b"\n"  # encoded records hold none
_ENTRIES = 100  # read at once

_SENTINELS = "redis+sentinel://"

# A new primary may lack what the old one had not sent it: a hole would stay, if entries were just appended.
_PUBLISH = """
local at = redis.call('GET', KEYS[2]) or '0'
if at ~= ARGV[1] then return at end
redis.call('XADD', KEYS[1], 'MINID', '~', ARGV[4], ARGV[3], 'r', ARGV[5])
redis.call('SET', KEYS[2], ARGV[2])
"""

StreamError = RedisError

# What XREAD answers under protocol 2: per stream its name and (id, fields) pairs.
_Streams = list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]


class Replication(NamedTuple):
    """``server``: under which address the sentinels' choice is reached; None where there are no sentinels."""

    role: str
    replicas: int
    server: str | None


def connect(url: str, addresses: Mapping[str, str] | None = None, *, deadline_s: float = 0.25) -> Redis:
    """A client that gives up after ``deadline_s`` and never repeats a command by itself.

    ``url`` is redis://HOST:PORT/DB, or redis+sentinel://HOST:PORT,HOST:PORT/NAME/DB for whoever leads the pair NAME.
    ``addresses`` leads from the HOST:PORT that sentinels speak of to where it is reached. Raises ValueError.
    """
    options: dict[str, Any] = {
        "socket_timeout": deadline_s,
        "socket_connect_timeout": deadline_s,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }
    if not url.startswith(_SENTINELS):
        return Redis.from_url(url, **options)
    hosts, _, rest = url.removeprefix(_SENTINELS).partition("/")
    service, _, database = rest.partition("/")
    if not service:
        raise ValueError(f"{url!r} names no pair: expected {_SENTINELS}HOST:PORT,HOST:PORT/NAME/DB")
    reached_at = {_address(own): _address(other) for own, other in (addresses or {}).items()}
    sentinels = [_address(host) for host in hosts.split(",")]
    return connect_through(sentinels, service, reached_at, db=int(database or 0), **options)


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"{text!r} is no address of a Redis or a sentinel: expected HOST:PORT")
    return host, int(port)


async def replication(client: Redis) -> Replication:
    """How the server that answers is doing as one of a pair."""
    found = await client.info("replication")
    address = getattr(client.connection_pool, "master_address", None)
    return Replication(found["role"], found["connected_slaves"], shown(address) if address else None)


class StreamMovedError(RedisError):
    """The stream does not end where it was left: another primary leads, or another publisher was there."""


async def last_published(client: Redis) -> int:
    """The sequence number of the newest record in the stream, 0 when it is empty."""
    return int(await client.get(_END) or 0)


async def publish(client: Redis, records: Sequence[tuple[int, bytes]], *, after: int) -> int:
    """Appends consecutive (sequence, encoded record) pairs as one entry, whose id is the last one's sequence.

    Returns that, where the stream ends now. Raises StreamMovedError, and adds nothing, unless it ended at ``after``.
    """
    last = records[-1][0]
    payload = _SEPARATOR.join(record for _, record in records)
    arguments = (after, last, f"{last}-0", f"{max(0, last - STREAM_LENGTH)}-0", payload)
    at = await client.register_script(_PUBLISH)(keys=[STREAM, _END], args=arguments)
    if at is not None:
        raise StreamMovedError(f"the stream ends at record {int(at)}, not at {after}")
    return last


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
