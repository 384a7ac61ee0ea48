"""What every answer carries, the one shape of all errors, and how long a request may take."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from logging.handlers import BufferingHandler
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from fastapi import FastAPI, Request, Response

from stack.embedded import EmbeddedStack
from tests.api.extra import started
from tests.client import Client, limit_order
from trading.api.app import create_app
from trading.api.limits import MAX_DEPTH, too_deep
from trading.infra.settings import Settings

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


async def ask(client: Client, method: str, path: str, **more: Any) -> Any:
    more["headers"] = {**client.headers(), **more.get("headers", {})}
    base = more.pop("base", client.status.endpoints["api"][0])
    async with client.http.request(method, base + path, **more) as response:
        return SimpleNamespace(status=response.status, headers=response.headers, body=await response.read())


async def test_every_answer_carries_an_id_of_its_own_or_the_clients(client: Client) -> None:
    first, second = [await ask(client, "GET", "/v2/account") for _ in range(2)]
    assert first.headers["X-Request-ID"] != second.headers["X-Request-ID"]
    own = await ask(client, "GET", "/v2/account", headers={"X-Request-ID": "bot-7:42"})
    assert own.headers["X-Request-ID"] == "bot-7:42"
    for insane in ("a b", "x" * 65, 'a"b', "ä"):
        answer = await ask(client, "GET", "/no/such/path", headers={"X-Request-ID": insane})
        assert re.fullmatch(r"[0-9a-f]{12}-[0-9a-f]+", answer.headers["X-Request-ID"])


@pytest.mark.parametrize("path", ["/v2/account", "/no/such/path", "/health/live", "/metrics"])
async def test_no_answer_may_be_sniffed_framed_or_kept_and_none_names_the_server(client: Client, path: str) -> None:
    headers = (await ask(client, "GET", path)).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "Server" not in headers
    assert "Strict-Transport-Security" not in headers  # no TLS in front of this one


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/no/such/path", 404),
        ("PUT", "/v2/orders", 405),
        ("GET", "/v2/orders/1", 404),
        ("GET", "/v2/orders?limit=none", 422),
    ],
)
async def test_every_refusal_has_one_shape(client: Client, method: str, path: str, status: int) -> None:
    answer = await ask(client, method, path)
    error = json.loads(answer.body)
    assert answer.status == status
    assert set(error) == {"code", "message"}
    assert isinstance(error["code"], int)
    assert answer.headers["Content-Type"] == "application/json"


async def test_what_is_no_json_or_nested_too_deep_is_refused_before_it_is_read(client: Client) -> None:
    order = json.dumps(limit_order("buy", 1, "10.00"))
    answer = await ask(client, "POST", "/v2/orders", data=order, headers={"Content-Type": "text/plain"})
    assert (answer.status, json.loads(answer.body)["code"]) == (415, 41510000)
    deep = "[" * 30_000 + "]" * 30_000
    answer = await ask(client, "POST", "/v2/orders", data=deep, headers={"Content-Type": "application/json"})
    assert answer.status == 422
    assert "nested" in json.loads(answer.body)["message"]


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, False),
        (b"[" * (MAX_DEPTH + 1), True),
        (b"[]" * 100, False),
        (b'{"a":"' + b"[" * 100 + b'"}', False),
        (rb'{"a":"\"' + b"{" * 100 + b'"}', False),
        (rb'{"a":"\\"' + b"{" * 100, True),
    ],
)
async def test_only_brackets_outside_of_strings_nest(body: bytes, refused: bool) -> None:
    assert too_deep(body) is refused


# -- one api with its own settings -------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def open_to_a_page(platform: EmbeddedStack) -> AsyncIterator[Any]:
    settings = {"ELSON_ALLOWED_ORIGINS": '["https://desk.example"]', "ELSON_BEHIND_TLS": "true"}
    async with started(platform, **settings, ELSON_SLOW_REQUEST_MS="1") as (url, process):
        yield SimpleNamespace(url=url, process=process)


PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "apca-api-key-id"}


async def test_no_page_of_another_origin_may_call_unless_a_setting_names_it(
    client: Client, open_to_a_page: Any
) -> None:
    answer = await ask(client, "OPTIONS", "/v2/orders", headers={"Origin": "https://desk.example", **PREFLIGHT})
    assert answer.status == 405
    assert "Access-Control-Allow-Origin" not in answer.headers
    for origin, allowed in (("https://desk.example", "https://desk.example"), ("https://evil.example", None)):
        headers = {"Origin": origin, **PREFLIGHT}
        answer = await ask(client, "OPTIONS", "/v2/orders", headers=headers, base=open_to_a_page.url)
        assert answer.headers.get("Access-Control-Allow-Origin") == allowed
    answer = await ask(client, "GET", "/health/live", base=open_to_a_page.url)
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=")


async def test_a_slow_request_is_told_in_the_log_with_its_id_and_account_and_no_secret(
    client: Client, open_to_a_page: Any
) -> None:
    order = limit_order("buy", 1, "10.00")
    await ask(client, "POST", "/v2/orders", json=order, headers={"X-Request-ID": "slow-1"}, base=open_to_a_page.url)
    async with asyncio.timeout(10):
        while True:
            text = (await open_to_a_page.process.stdout.readline()).decode()
            assert client.account.secret_key not in text
            line = json.loads(text)
            if line.get("request_id") == "slow-1":
                break
    assert (line["event"], line["route"], line["status"]) == ("request_slow", "/v2/orders", 200)
    assert line["account"] == client.account.account_id
    assert line["ms"] >= 1


# -- a defect ----------------------------------------------------------------------------------------


@pytest.fixture
def records() -> Iterator[list[logging.LogRecord]]:
    """All that is logged, whatever other tests made of the logging of this process."""
    logger, handler = logging.getLogger("elson"), BufferingHandler(capacity=1_000)
    logger.addHandler(handler)
    before, logger.disabled = logger.disabled, False
    yield handler.buffer
    logger.disabled = before
    logger.removeHandler(handler)


async def test_a_defect_is_answered_without_a_trace_and_told_in_the_log(records: list[logging.LogRecord]) -> None:
    settings = Settings(node="api:test", port=1, postgres_dsn="postgresql://nowhere", engine_urls="http://nowhere")  # type: ignore[arg-type]
    app = create_app(settings)

    async def defect(_: Request) -> Response:
        raise RuntimeError("the secret of the defect")

    app.add_route("/defect", defect)
    status, headers, body = await call(app, "/defect")
    assert status == 500
    error = json.loads(body)
    assert error["code"] == 50010000
    assert dict(headers)[b"x-request-id"].decode() in error["message"]
    assert b"secret of the defect" not in body
    (record,) = [record for record in records if record.getMessage() == "request_failed"]
    assert record.exc_info is not None
    assert "the secret of the defect" in str(record.exc_info[1])


async def call(app: FastAPI, path: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 1),
        "scheme": "http",
        "root_path": "",
        "http_version": "1.1",
    }
    await app(scope, receive, send)
    return sent[0]["status"], sent[0]["headers"], sent[1]["body"]
