"""Refuses early what would only wait: a bounded number of requests under way, cancels last to be refused."""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from trading.api.metrics import ApiMetrics
from trading.api.rate_limits import class_of
from trading.infra.rate_limits import LimitClass

# Of the requests that may be under way: reads leave room for orders, and orders for what takes risk away.
_SHARE: Final = {
    LimitClass.READS: 0.25,
    LimitClass.DATA: 0.25,
    LimitClass.LOGIN: 0.25,
    LimitClass.ORDERS: 1.0,
    LimitClass.CANCELS: 2.0,
}
_BODY: Final = b'{"code":50310000,"message":"not executed: too many requests are under way"}'
_HEADERS: Final = [
    (b"content-type", b"application/json"),
    (b"content-length", b"%d" % len(_BODY)),
    (b"retry-after", b"1"),
]


class Admit:
    """ASGI middleware: 503 before the body is read."""

    def __init__(self, app: ASGIApp, *, at_once: int, metrics: ApiMetrics) -> None:
        self._app = app
        self._at_once = {limit_class: max(1, int(at_once * share)) for limit_class, share in _SHARE.items()}
        self._under_way = dict.fromkeys(_SHARE, 0)
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit_class = class_of(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if limit_class is None:
            await self._app(scope, receive, send)
            return
        if self._under_way[limit_class] >= self._at_once[limit_class]:
            self._metrics.shed.labels(limit_class).inc()
            await send({"type": "http.response.start", "status": 503, "headers": _HEADERS})
            await send({"type": "http.response.body", "body": _BODY})
            return
        self._under_way[limit_class] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way[limit_class] -= 1
