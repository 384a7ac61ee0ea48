"""What every request passes first and every answer last: its id, its headers, its figures, its line in the log."""

from __future__ import annotations

import logging
import re
import secrets
import time
from contextvars import ContextVar
from itertools import count
from typing import Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from trading.api.admission import REFUSAL, REFUSAL_HEADERS, Admission, Admit
from trading.api.metrics import ApiMetrics
from trading.api.rate_limits import LIMIT_HEADERS, LimitRates, class_of
from trading.infra.aged_reads import read_from
from trading.infra.rate_limits import LimitClass, Limiter
from trading.infra.settings import Settings
from trading.infra.telemetry import log

REQUEST_ID_HEADER: Final = "X-Request-ID"
TIMEOUT_HEADER: Final = "X-Request-Timeout"
LONGEST_TIMEOUT_S: Final = 30.0
_SHORTEST_TIMEOUT_S: Final = 0.05

# How long this request may take, when its client said so.
timeout_s: Final[ContextVar[float | None]] = ContextVar("timeout_s", default=None)

_REQUEST_ID, _TIMEOUT = REQUEST_ID_HEADER.lower().encode(), TIMEOUT_HEADER.lower().encode()
_IS_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{1,64}").fullmatch
_IS_SECONDS: Final = re.compile(rb"\d{1,3}(\.\d{1,6})?").fullmatch
_UNROUTED: Final = "unmatched"

# An order as nearly all clients write it, from its first byte to the end of its head.
_ORDER: Final = b"POST /v2/orders HTTP/1.1\r\n"
_ORDER_HEAD: Final = re.compile(re.escape(_ORDER) + rb"((?:[!#-'*+.0-9A-Z^-z|~-]+:[\t -~]*\r\n)+)\r\n").match
_LENGTH: Final = b"content-length:"
_LONGEST_ORDER: Final = 4_096
_OUT_OF_THE_ORDINARY: Final = (b"transfer-encoding", b"expect", b"upgrade", _REQUEST_ID)
_LINES_PER_S: Final = 20  # of failures, which come in thousands when something is down

_HEADERS: Final = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"frame-ancestors 'none'"),
]
_ONLY_TLS: Final = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


def stand_in_front(app: FastAPI, settings: Settings, *, limiter: Limiter, metrics: ApiMetrics) -> None:
    """Around everything added so far. What is named last comes first."""
    app.state.draining = False
    admission = Admission(at_once=settings.requests_at_once, metrics=metrics)
    app.state.turn_away = None if settings.allowed_origins else _Door(app, settings, admission, metrics)
    app.add_middleware(LimitRates, limiter=limiter, metrics=metrics)
    app.add_middleware(Admit, admission=admission)
    if settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Content-Type", "APCA-API-KEY-ID", "APCA-API-SECRET-KEY", REQUEST_ID_HEADER, TIMEOUT_HEADER],
            expose_headers=[REQUEST_ID_HEADER, *LIMIT_HEADERS, "Retry-After"],
        )
    app.add_middleware(Front, settings=settings, metrics=metrics)


class Front:
    """ASGI middleware around the whole application. No exception leaves it before an answer has begun."""

    def __init__(self, app: ASGIApp, *, settings: Settings, metrics: ApiMetrics) -> None:
        self._app = app
        self._metrics = metrics
        self._slow_s = settings.slow_request_ms / 1000
        self._headers = _headers(settings)
        self._ids = _RequestIds()
        self._lines = _Lines()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_s, status = time.perf_counter(), 0
        request_id, timeout = self._read(scope)
        scope["request_id"] = request_id.decode()

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = [*self._headers, (_REQUEST_ID, request_id)]
                if source := read_from.get():
                    own.append((b"x-read-from", source.encode()))
                if scope["app"].state.draining:
                    own.append((b"connection", b"close"))  # its next request shall go to another process
                message["headers"] = [*message.get("headers", ()), *own]
            await send(message)

        self._metrics.in_flight += 1
        error: Exception | None = None
        try:
            if timeout is None or _set_timeout(timeout):
                await self._app(scope, receive, watch)
            else:
                await _answer(watch, 422, 42210000, f"{TIMEOUT_HEADER}: expected 0.05 to 30 seconds")
        except Exception as failure:  # the edge: a defect is answered, and told in the log
            error = failure
            if status:
                raise  # a cut answer must not look whole
            text = f"internal error; please tell us the request id {request_id.decode()}"
            await _answer(watch, 500, 50010000, text)
        finally:
            self._metrics.in_flight -= 1
            seconds = time.perf_counter() - started_s
            self._metrics.answered(scope["method"], _route(scope), status or 500, seconds)
            if status >= 400 or seconds > self._slow_s or error:
                self._tell(scope, request_id, status, seconds, error)

    def _read(self, scope: Scope) -> tuple[bytes, bytes | None]:
        """The request's id, the client's if it is a sane one, and its own time limit as it stands there."""
        request_id, timeout = b"", None
        for name, value in scope["headers"]:
            if name == _REQUEST_ID and _IS_REQUEST_ID(value):
                request_id = value
            elif name == _TIMEOUT:
                timeout = value
        return request_id or self._ids.new(), timeout

    def _tell(self, scope: Scope, request_id: bytes, status: int, seconds: float, error: Exception | None) -> None:
        """Refusals are the client's affair: they are counted, and told only at debug."""
        level = (
            logging.ERROR if error else logging.WARNING if status >= 500 or seconds > self._slow_s else logging.DEBUG
        )
        if not logging.getLogger("elson").isEnabledFor(level):
            return
        suppressed = self._lines.suppressed()
        if suppressed is None and error is None:
            return
        identity = scope.get("identity")
        fields: dict[str, Any] = {
            "request_id": request_id.decode(),
            "method": scope["method"],
            "route": _route(scope),
            "status": status,
            "ms": round(seconds * 1e3, 1),
            "caller": getattr(identity, "name", None),
            "account": getattr(identity, "account_id", None),
        }
        if suppressed:
            fields["suppressed"] = suppressed
        log("request_failed" if status >= 400 or error else "request_slow", level=level, error=error, **fields)


class _RequestIds:
    def __init__(self) -> None:
        self._prefix, self._numbers = secrets.token_hex(6), count(1)

    def new(self) -> bytes:
        return f"{self._prefix}-{next(self._numbers):x}".encode()


class _Door:
    """A ``TurnAway``: refuses what ``Admit`` would refuse behind this and all between, for a fraction of the cost.

    In an overload most requests are refused, and what that takes the accepted ones do not get.
    """

    def __init__(self, app: FastAPI, settings: Settings, admission: Admission, metrics: ApiMetrics) -> None:
        self._app = app
        self._admission = admission
        self._metrics = metrics
        self._ids = _RequestIds()
        lines = (name + b": " + value + b"\r\n" for name, value in (*REFUSAL_HEADERS, *_headers(settings)))
        self._head = STATUS_LINE[503] + b"".join(lines) + _REQUEST_ID + b": "

    def __call__(self, method: bytes, target: bytes, headers: list[tuple[bytes, bytes]]) -> bytes | None:
        if self._app.state.draining:
            return None
        limit_class = class_of(method.decode("latin-1"), target.partition(b"?")[0].decode("latin-1"))
        if limit_class is None or not self._admission.refuses(limit_class):
            return None
        given = next((value for name, value in headers if name == _REQUEST_ID and _IS_REQUEST_ID(value)), None)
        return self._refusal(method.decode("latin-1"), given or self._ids.new())

    def at_a_glance(self, data: bytes) -> bytes | None:
        """Orders only: parsing one costs more than all the rest of its refusal."""
        if not self._admission.is_full(LimitClass.ORDERS) or self._app.state.draining or not _is_whole_order(data):
            return None
        self._admission.refuses(LimitClass.ORDERS)
        return self._refusal("POST", self._ids.new())

    def _refusal(self, method: str, request_id: bytes) -> bytes:
        self._metrics.answered(method, _UNROUTED, 503, None)
        return self._head + request_id + b"\r\n\r\n" + REFUSAL


def _is_whole_order(data: bytes) -> bool:
    """False also for whatever only the parser can judge."""
    head = _ORDER_HEAD(data) if len(data) <= _LONGEST_ORDER else None
    if head is None:
        return False
    fields = head[1].lower()
    if any(name in fields for name in _OUT_OF_THE_ORDINARY):
        return False
    if b"connection" in fields and b"\nconnection: keep-alive\r" not in fields:
        return False
    before, found, after = fields.partition(_LENGTH)
    if not found or not before.endswith(b"\n") or _LENGTH in after:
        return False
    length = after[: after.index(b"\r")].strip()
    return length.isdigit() and head.end() + int(length) == len(data)


def _headers(settings: Settings) -> list[tuple[bytes, bytes]]:
    return [*_HEADERS, _ONLY_TLS] if settings.behind_tls else _HEADERS


class _Lines:
    """So many a second; how many were left out is said by the next that is not."""

    def __init__(self) -> None:
        self._second, self._told, self._suppressed = 0, 0, 0

    def suppressed(self) -> int | None:
        """How many lines were left out before this one; None to leave this one out too."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._told = second, 0
        if self._told >= _LINES_PER_S:
            self._suppressed += 1
            return None
        suppressed, self._suppressed = self._suppressed, 0
        self._told += 1
        return suppressed


def _set_timeout(value: bytes) -> bool:
    if not _IS_SECONDS(value) or not _SHORTEST_TIMEOUT_S <= float(value) <= LONGEST_TIMEOUT_S:
        return False
    timeout_s.set(float(value))
    return True


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", _UNROUTED)


async def _answer(send: Send, status: int, code: int, message: str) -> None:
    body = msgspec.json.encode({"code": code, "message": message})
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
