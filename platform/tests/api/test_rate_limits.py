"""Who asks too often is refused before anything is done, and can read in every answer how far the limit is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stack.embedded import EmbeddedStack
from tests.api.extra import api_process
from tests.client import Client, limit_order
from trading.api.admission import Admission, Admit
from trading.api.metrics import ApiMetrics
from trading.api.rate_limits import LimitRates, class_of
from trading.infra import redis
from trading.infra.identity import Identity, Role
from trading.infra.rate_limits import LimitClass, Limiter, Rate

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

IDENTITY = Identity("key PK1", Role.TRADER, None)
LOW = '{"orders": [0.01, 3], "cancels": [0.01, 5], "reads": [0.01, 4], "strangers": [0.01, 30], "login": [0.01, 2]}'


# -- the middleware alone ----------------------------------------------------------------------------


class Work:
    """An application that says who asks, as authorisation does, and counts what it has done."""

    def __init__(self, *, status: int = 200) -> None:
        self.done = 0
        self.status = status
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["identity"] = IDENTITY
        self.done += 1
        await self.go_on.wait()
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": b""})


class LimitsAfterwards:
    """The bug that the check below must find: it does the work, then counts, and only then refuses."""

    def __init__(self, app: ASGIApp, *, limiter: Limiter) -> None:
        self._app = app
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer: list[Message] = []

        async def keep(message: Message) -> None:
            answer.append(message)

        await self._app(scope, receive, keep)
        if not (await self._limiter.take(LimitClass.ORDERS, "PK1")).allowed:
            answer[0]["status"] = 429
        for message in answer:
            await send(message)


async def ask(app: ASGIApp, method: str = "POST", path: str = "/v2/orders", *, key: bytes = b"PK1") -> int:
    """The status of the answer to one request without a body."""
    status = 0

    async def send(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    headers = [(b"apca-api-key-id", key)]
    await app({"type": "http", "method": method, "path": path, "headers": headers, "client": None}, receive, send)
    return status


async def works_for_refused(app: ASGIApp, work: Work) -> int:
    """How much of the work was done for requests that were refused."""
    statuses = [await ask(app) for _ in range(6)]
    assert statuses.count(429) >= 2
    return work.done - (len(statuses) - statuses.count(429))


@pytest_asyncio.fixture(loop_scope="session")
async def limiter(platform: EmbeddedStack) -> AsyncIterator[Limiter]:
    client = redis.connect(f"redis://{platform.wiring.address('redis:1')}/7")
    await client.flushdb()
    limiter = Limiter(client, {LimitClass.ORDERS: Rate(0.01, 3), LimitClass.STRANGERS: Rate(0.01, 1)}, patience_s=5)
    yield limiter
    await limiter.close()
    await client.aclose()


async def test_a_limiter_that_counts_after_the_work_is_found(limiter: Limiter) -> None:
    work = Work()
    assert await works_for_refused(LimitRates(work, limiter=limiter, metrics=ApiMetrics()), work) == 0
    work = Work()
    assert await works_for_refused(LimitsAfterwards(work, limiter=limiter), work) > 0


async def test_a_caller_has_a_bucket_of_its_own_only_while_its_credentials_are_valid(limiter: Limiter) -> None:
    work = Work()
    app = LimitRates(work, limiter=limiter, metrics=ApiMetrics())
    assert [await ask(app) for _ in range(5)] == [200, 200, 200, 200, 429]  # the first as a stranger
    work.status = 401
    app = LimitRates(work, limiter=limiter, metrics=ApiMetrics())
    assert await ask(app, key=b"guess 1") == 429  # all strangers of an address share what it has
    assert await ask(app, key=b"guess 2") == 429


async def test_orders_leave_room_for_cancels_and_reads_for_orders() -> None:
    work = Work()
    app = Admit(work, admission=Admission(at_once=4, metrics=ApiMetrics()))
    work.go_on.clear()
    waiting = [asyncio.create_task(ask(app, "GET"))]
    waiting += [asyncio.create_task(ask(app)) for _ in range(4)]
    await asyncio.sleep(0)
    assert [await ask(app, "GET"), await ask(app)] == [503, 503]
    waiting += [asyncio.create_task(ask(app, "DELETE")) for _ in range(8)]
    await asyncio.sleep(0)
    assert await ask(app, "DELETE") == 503
    assert work.done == len(waiting)
    work.go_on.set()
    assert await asyncio.gather(*waiting) == [200] * len(waiting)
    assert await ask(app) == 200


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/v2/orders", LimitClass.ORDERS),
        ("PATCH", "/v2/orders/1", LimitClass.ORDERS),
        ("DELETE", "/v2/orders", LimitClass.CANCELS),
        ("DELETE", "/v2/positions/AAA", LimitClass.CANCELS),
        ("PUT", "/admin/v1/kill_switch", LimitClass.CANCELS),
        ("GET", "/v2/orders", LimitClass.READS),
        ("GET", "/v2/stocks/bars", LimitClass.DATA),
        ("POST", "/auth/v1/login", LimitClass.LOGIN),
        ("GET", "/no/such/path", LimitClass.READS),
        ("GET", "/health/ready", None),
        ("GET", "/metrics", None),
    ],
)
async def test_every_request_has_its_class(method: str, path: str, expected: LimitClass | None) -> None:
    assert class_of(method, path) == expected


# -- an api with low limits --------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def low(platform: EmbeddedStack) -> AsyncIterator[str]:
    own_buckets = f"redis://{platform.wiring.address('redis:1')}/8"  # or the platform's own apis would refuse too
    settings = {"ELSON_RATE_LIMITS": LOW, "ELSON_RATE_LIMIT_PATIENCE_MS": "5000", "ELSON_REDIS_URL": own_buckets}
    async with api_process(platform, **settings) as url:
        yield url


Ask = Callable[..., Awaitable[Any]]


def asking(client: Client, url: str, account: int) -> Ask:
    async def request(method: str, path: str, **more: Any) -> Any:
        more.setdefault("headers", client.headers(account))
        async with client.http.request(method, url + path, **more) as response:
            return SimpleNamespace(status=response.status, headers=response.headers, body=await response.read())

    return request


async def test_refused_orders_are_not_in_the_book_and_cancels_still_pass(client: Client, low: str) -> None:
    request = asking(client, low, account=3)
    await request("GET", "/v2/account")  # from here on the key is known there
    orders = [limit_order("buy", 1, "10.00") for _ in range(6)]
    answers = [await request("POST", "/v2/orders", json=order) for order in orders]
    assert [answer.status for answer in answers] == [200, 200, 200, 429, 429, 429]
    assert [int(answer.headers["X-RateLimit-Remaining"]) for answer in answers] == [2, 1, 0, 0, 0, 0]
    assert {answer.headers["X-RateLimit-Limit"] for answer in answers} == {"3"}
    assert all(int(answer.headers["X-RateLimit-Reset"]) > time.time() for answer in answers)
    assert b'"code":42910000' in answers[3].body
    assert 1 <= int(answers[3].headers["Retry-After"]) <= 100
    for order in orders[3:]:
        path = f"/v2/orders:by_client_order_id?client_order_id={order['client_order_id']}"
        assert (await client.request("GET", path, account=3))[0] == 404
    assert (await request("DELETE", "/v2/orders")).status == 207


async def test_wrong_keys_are_charged_to_their_source_and_not_to_the_keys_owner(client: Client, low: str) -> None:
    request = asking(client, low, account=4)
    assert (await request("GET", "/v2/account")).status == 200
    stolen = {**client.headers(4), "APCA-API-SECRET-KEY": "guessed"}
    statuses = [(await request("GET", "/v2/account", headers=stolen)).status for _ in range(40)]
    assert set(statuses) == {401, 429}
    assert statuses == sorted(statuses)
    assert (await request("GET", "/v2/account")).status == 200


async def test_whoever_watches_is_never_limited(client: Client, low: str) -> None:
    request = asking(client, low, account=5)
    answers = [await request("GET", "/health/live", headers={}) for _ in range(60)]
    assert {answer.status for answer in answers} == {200}
    metrics = (await request("GET", "/metrics", headers={})).body.decode()
    assert 'api_rate_limited_total{limit="orders"} 3.0' in metrics
    assert "api_auth_failures_total" in metrics


async def test_logins_are_limited_by_their_source_before_a_password_is_looked_at(client: Client, low: str) -> None:
    request = asking(client, low, account=5)
    body = {"name": "nobody", "password": "guessed"}
    answers = [await request("POST", "/auth/v1/login", json=body, headers={}) for _ in range(4)]
    assert [answer.status == 429 for answer in answers] == [False, False, True, True]
