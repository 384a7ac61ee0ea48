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
REFUSAL: Final = b'{"code":50310000,"message":"not executed: too many requests are under way"}'
REFUSAL_HEADERS: Final = [
    (b"content-type", b"application/json"),
    (b"content-length", b"%d" % len(REFUSAL)),
    (b"retry-after", b"1"),
]


class Admission:
    """How many requests of each class are under way. ``at_once``: how many orders may be."""

    def __init__(self, *, at_once: int, metrics: ApiMetrics) -> None:
        self._at_once = {limit_class: max(1, int(at_once * share)) for limit_class, share in _SHARE.items()}
        self.under_way = dict.fromkeys(_SHARE, 0)
        self._shed = {limit_class: metrics.shed.labels(limit_class) for limit_class in _SHARE}

    def is_full(self, limit_class: LimitClass) -> bool:
        return self.under_way[limit_class] >= self._at_once[limit_class]

    def refuses(self, limit_class: LimitClass) -> bool:
        """As ``is_full``; a refusal is counted."""
        full = self.is_full(limit_class)
        if full:
            self._shed[limit_class].inc()
        return full


class Admit:
    """ASGI middleware: 503 before the body is read."""

    def __init__(self, app: ASGIApp, *, admission: Admission) -> None:
        self._app = app
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit_class = class_of(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if limit_class is None:
            await self._app(scope, receive, send)
            return
        if self._admission.refuses(limit_class):
            await send({"type": "http.response.start", "status": 503, "headers": REFUSAL_HEADERS})
            await send({"type": "http.response.body", "body": REFUSAL})
            return
        self._admission.under_way[limit_class] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._admission.under_way[limit_class] -= 1
