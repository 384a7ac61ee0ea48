"""Clients that send requests no sane one would, over raw sockets: slow, endless, half, or not HTTP at all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from stack.embedded import EmbeddedStack
from tests.api.extra import api_process
from tests.api.raw import Raw
from trading.api.admission import REFUSAL

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
HALVES = {
    "half a request line": b"GET /health",
    "a head without its end": b"GET /health/live HTTP/1.1\r\nHost: x\r\n",
    "half a body": b"POST /v2/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
    "half a chunk": b"POST /v2/orders HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    "half a second request": LIVE + b"GET /",
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def hasty(platform: EmbeddedStack) -> AsyncIterator[str]:
    """Waits half a second for a request, and serves five connections."""
    async with api_process(platform, ELSON_REQUEST_ARRIVAL_MS="500", ELSON_CONNECTIONS="5") as url:
        yield url


async def healthy(url: str) -> None:
    connection = await Raw.to(url)
    await connection.send(LIVE)
    assert (await connection.answer())[0] == 200
    await connection.close()


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES.keys())
async def test_a_request_that_does_not_come_whole_ends_its_connection(hasty: str, half: bytes) -> None:
    connection = await Raw.to(hasty)
    await connection.send(half)
    if half.startswith(LIVE):
        assert (await connection.answer())[0] == 200
    async with asyncio.timeout(10):
        status, error = await connection.answer()
        assert (status, error["code"]) == (408, 40810000)
        assert await connection.end() == b""


async def test_an_empty_line_after_an_answer_begins_a_request(hasty: str) -> None:
    connection = await Raw.to(hasty)
    await connection.send(LIVE)
    assert (await connection.answer())[0] == 200
    await connection.send(b"\r\n")
    async with asyncio.timeout(10):
        assert (await connection.answer())[0] == 408
    await connection.close()


async def test_a_byte_now_and_then_does_not_keep_a_request_alive(hasty: str) -> None:
    connection = await Raw.to(hasty)
    dripping = asyncio.create_task(drip(connection))
    async with asyncio.timeout(10):
        assert (await connection.answer())[0] == 408
    dripping.cancel()
    await connection.close()


async def drip(connection: Raw) -> None:
    for byte in b"GET /health/live HTTP/1.1\r\nX-Slow: " + b"z" * 1_000:
        await connection.send(bytes([byte]))
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "without end"])
async def test_a_head_that_is_too_large_is_refused(hasty: str, whole: bool) -> None:
    connection = await Raw.to(hasty)
    head = b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Large: " + b"z" * 100_000
    for start in range(0, len(head), 20_000):
        if connection.writer.is_closing():
            break
        await connection.send(head[start : start + 20_000])
        await asyncio.sleep(0.01)
    if whole and not connection.writer.is_closing():
        connection.writer.write(b"\r\n\r\n")
    async with asyncio.timeout(10):
        status, error = await connection.answer()
    assert (status, error["code"]) == (431, 43110000)
    await connection.close()


async def test_many_headers_in_one_piece_are_too_large_too(hasty: str) -> None:
    connection = await Raw.to(hasty)
    many = b"".join(b"X-%d: %b\r\n" % (number, b"z" * 100) for number in range(400))
    await connection.send(b"GET /health/live HTTP/1.1\r\nHost: x\r\n" + many + b"\r\n")
    assert (await connection.answer())[0] == 431
    await connection.close()


async def test_what_is_not_http_is_refused_in_the_one_shape(hasty: str) -> None:
    connection = await Raw.to(hasty)
    await connection.send(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")
    status, error = await connection.answer()
    assert (status, set(error)) == (400, {"code", "message"})
    assert await connection.end() == b""


async def test_requests_sent_at_once_are_answered_in_their_order(hasty: str) -> None:
    connection = await Raw.to(hasty)
    await connection.send(LIVE + b"GET /no/such/path HTTP/1.1\r\nHost: x\r\n\r\n" + LIVE)
    assert [(await connection.answer())[0] for _ in range(3)] == [200, 404, 200]
    await connection.close()


async def test_more_connections_than_are_served_are_told_so(hasty: str) -> None:
    async with asyncio.timeout(10):
        while True:  # those of the tests before may not have ended yet
            held = [await Raw.to(hasty) for _ in range(5)]
            one_more = await Raw.to(hasty)
            status, error = await one_more.answer()
            await one_more.close()
            for connection in held:
                await connection.close()
            if status == 503:
                break
    assert error["code"] == 50310000
    await asyncio.sleep(0.1)
    await healthy(hasty)


AT_ONCE = 4


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def narrow(platform: EmbeddedStack) -> AsyncIterator[str]:
    """Lets in as few requests as can be set."""
    async with api_process(platform, ELSON_REQUESTS_AT_ONCE=str(AT_ONCE)) as url:
        yield url


ORDER = b"POST /v2/orders HTTP/1.1\r\nHost: x\r\nX-Request-ID: mine\r\nContent-Length: 20000\r\n\r\n" + b" " * 20_000


async def test_what_is_turned_away_is_told_so_and_its_connection_goes_on(narrow: str) -> None:
    second = await Raw.to(narrow)
    halves = await fill(narrow)
    for _ in range(2):
        await second.send(ORDER[:100])
        head = await second.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        fields = dict(line.split(b": ", 1) for line in head.splitlines()[1:] if line)
        assert fields[b"x-request-id"] == b"mine"
        assert (fields[b"retry-after"], fields[b"x-content-type-options"]) == (b"1", b"nosniff")
        body = await second.reader.readexactly(int(fields[b"content-length"]))
        assert json.loads(body)["code"] == 50310000
        await second.send(ORDER[100:] + LIVE)  # the rest of what was refused is no request
        assert (await second.answer())[0] == 200
    assert 'api_shed_total{limit="orders"} 2.0' in await text_of(narrow, "/metrics")
    for half in halves:
        await half.close()
    async with asyncio.timeout(10):
        status = 503
        while status == 503:  # until the halves are known to have ended
            await second.send(ORDER)
            status, _ = await second.answer()
    assert status == 415
    await second.close()


async def test_answers_keep_the_order_of_their_requests_when_some_are_turned_away(narrow: str) -> None:
    second = await Raw.to(narrow)
    halves = await fill(narrow)
    await second.send(LIVE + ORDER + LIVE)
    assert [(await second.answer())[0] for _ in range(3)] == [200, 503, 200]
    for connection in (*halves, second):
        await connection.close()


LENGTH = b"Content-Length: 2\r\n"
SHAPES = {
    "plain": LENGTH,
    "kept alive": b"Connection: keep-alive\r\n" + LENGTH,
    "to be closed": b"Connection: close\r\n" + LENGTH,
    "with an id of its own": b"X-Request-ID: own\r\n" + LENGTH,
    "of a length in doubt": b"X-Content-Length: 3\r\n" + LENGTH,
}


@pytest.mark.parametrize("fields", SHAPES.values(), ids=SHAPES)
async def test_an_order_is_turned_away_alike_whether_it_comes_in_one_piece_or_two(narrow: str, fields: bytes) -> None:
    order = b"POST /v2/orders HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n{}"
    answers = []
    for cut in (len(order), len(order) - 1, 30):
        halves = await fill(narrow)
        second = await Raw.to(narrow)
        await second.send(order[:cut])
        if cut < len(order):
            await asyncio.sleep(0.05)  # or the kernel would make one piece of them again
            await second.send(order[cut:])
        head = (await second.reader.readuntil(b"\r\n\r\n")).lower()
        names = [line.partition(b":")[0] for line in head.splitlines()]
        answers.append((names, b"x-request-id: own" in head, json.loads(await second.reader.readexactly(len(REFUSAL)))))
        if cut == len(order) and fields != SHAPES["to be closed"]:
            await second.send(order + LIVE)  # the connection goes on, and what follows an order is seen
            assert [(await second.answer())[0] for _ in range(2)] == [503, 200]
        for connection in (*halves, second):
            await connection.close()
    assert answers[0] == answers[1] == answers[2]


async def fill(url: str) -> list[Raw]:
    """As many orders as may be are under way then: none of them is whole."""
    await until_under_way(url, 0)  # or what an earlier test left would take the places
    halves = [await Raw.to(url) for _ in range(AT_ONCE)]
    for half in halves:
        await half.send(HALVES["half a body"])
    await until_under_way(url, AT_ONCE)
    return halves


async def until_under_way(url: str, requests: int) -> None:
    wanted = f"api_requests_in_flight {requests + 1}.0"  # the one that asks is under way too
    async with asyncio.timeout(10):
        while wanted not in await text_of(url, "/metrics"):
            await asyncio.sleep(0.01)


async def text_of(url: str, path: str) -> str:
    async with aiohttp.ClientSession() as http, http.get(url + path) as response:
        return await response.text()
