"""One question and its answer through a link, timed: the smallest each server's protocol has."""

from __future__ import annotations

import asyncio
import time

from stack.topology import Role

_ATTEMPTS = 3
_HTTP_QUESTION = b"GET /health/live HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n"
_QUESTIONS = {
    # SSLRequest, answered by one byte before any login (PostgreSQL documentation, 55.2.10).
    Role.POSTGRES: b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
    Role.REDIS: b"PING\r\n",
}


async def round_trip_ms(address: str, server: Role, *, limit_s: float = 1.0) -> float | None:
    """Milliseconds from connecting to the first byte of the answer; None when there was none within the limit."""
    host, _, port = address.rpartition(":")
    started = time.perf_counter()
    try:
        async with asyncio.timeout(limit_s):
            answered = await _ask(host, int(port), _QUESTIONS.get(server, _HTTP_QUESTION))
    except (OSError, TimeoutError):
        return None
    return round((time.perf_counter() - started) * 1000, 3) if answered else None


async def quickest_round_trip_ms(address: str, server: Role) -> float | None:
    """Of a few: a single one may have waited for the processor. None as soon as one gets no answer."""
    times = []
    for _ in range(_ATTEMPTS):
        found = await round_trip_ms(address, server)
        if found is None:
            return None
        times.append(found)
    return min(times)


async def _ask(host: str, port: int, question: bytes) -> bool:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(question)
        await writer.drain()
        return bool(await reader.read(1))
    finally:
        writer.close()
