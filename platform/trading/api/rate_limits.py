"""Refuses who asks too often before anything is done for them: one bucket per caller and class of request.

Whoever shows credentials that were valid here has a bucket of their own. All others share the one of their source
address, so that neither guessing keys nor using somebody else's key id costs a caller anything.
"""

from __future__ import annotations

import math
import time
from typing import Final

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trading.api.metrics import ApiMetrics
from trading.infra.rate_limits import Decision, LimitClass, Limiter, source_of

Headers = list[tuple[bytes, bytes]]

# Alpaca's names. The reset is the second of the Unix epoch in which the bucket is full again.
LIMIT_HEADERS: Final = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")

_LIMIT, _REMAINING, _RESET = (name.lower().encode() for name in LIMIT_HEADERS)
_CREDENTIALS: Final = frozenset({b"apca-api-key-id", b"apca-api-secret-key", b"cookie", b"authorization"})
_NEVER_LIMITED: Final = ("/health", "/metrics")  # whoever watches must see, most of all now
_STOPS: Final = ("/kill_switch", "/phase")  # what takes risk away
_CALLERS_KEPT: Final = 20_000


def class_of(method: str, path: str) -> LimitClass | None:
    """None for what is not limited."""
    if path.startswith("/v2/orders"):
        if method == "POST":
            return LimitClass.ORDERS
        if method in ("GET", "HEAD"):
            return LimitClass.READS
        return LimitClass.CANCELS if method == "DELETE" else LimitClass.ORDERS
    if path.startswith("/v2/stocks"):
        return LimitClass.DATA
    if path.startswith("/v2/positions") and method == "DELETE":
        return LimitClass.CANCELS
    if path.startswith("/admin/v1") and path.endswith(_STOPS):
        return LimitClass.CANCELS
    if path.startswith(_NEVER_LIMITED):
        return None
    return LimitClass.LOGIN if path == "/auth/v1/login" else LimitClass.READS


class LimitRates:
    """ASGI middleware. ``scope["identity"]``, which authorisation leaves there, makes the caller known."""

    def __init__(self, app: ASGIApp, *, limiter: Limiter, metrics: ApiMetrics) -> None:
        self._app = app
        self._limiter = limiter
        self._metrics = metrics
        self._callers: dict[int, str] = {}  # by a fingerprint of what they show

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit_class = class_of(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if limit_class is None:
            await self._app(scope, receive, send)
            return
        shown = hash(tuple([header for header in scope["headers"] if header[0] in _CREDENTIALS]))
        name = self._callers.get(shown)
        if limit_class is LimitClass.LOGIN or name is None:
            limit_class = limit_class if limit_class is LimitClass.LOGIN else LimitClass.STRANGERS
            name = source_of(scope["client"][0]) if scope["client"] else ""
        decision = await self._limiter.take(limit_class, name)
        limits = _headers(decision)
        if not decision.allowed:
            self._metrics.limited.labels(limit_class).inc()
            await _refuse(send, limits, limit_class, decision)
            return

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *limits]
                self._learn(shown, scope, message["status"])
            await send(message)

        await self._app(scope, receive, watch)

    def _learn(self, shown: int, scope: Scope, status: int) -> None:
        identity = scope.get("identity")
        if status == 401:
            self._callers.pop(shown, None)
        elif identity is not None and shown not in self._callers:
            if len(self._callers) >= _CALLERS_KEPT:
                self._callers.clear()
            self._callers[shown] = identity.name


def _headers(decision: Decision) -> Headers:
    return [
        (_LIMIT, b"%d" % decision.limit),
        (_REMAINING, b"%d" % decision.remaining),
        (_RESET, b"%d" % math.ceil(time.time() + decision.reset_s)),
    ]


async def _refuse(send: Send, limits: Headers, limit_class: LimitClass, decision: Decision) -> None:
    message = f"too many requests ({limit_class}); the next one in {decision.retry_after_s:.3f} s"
    body = msgspec.json.encode({"code": 42910000, "message": message})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"retry-after", b"%d" % max(1, math.ceil(decision.retry_after_s))),
        *limits,
    ]
    await send({"type": "http.response.start", "status": 429, "headers": headers})
    await send({"type": "http.response.body", "body": body})
