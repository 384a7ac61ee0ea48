"""What an api tells Prometheus about itself, with the route's template as label, never a path with an id in it."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trading.infra.telemetry import LATENCY_BUCKETS_S


class ApiMetrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "api_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "api_request_seconds", "Time to answer.", ["route"], buckets=LATENCY_BUCKETS_S, registry=self.registry
        )
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        children = self._children.get((method, route, status))
        if children is None:  # finding them by their labels takes longer than counting
            children = (self.requests.labels(method, route, str(status)), self.seconds.labels(route))
            self._children[method, route, status] = children
        count, duration = children
        count.inc()
        duration.observe(seconds)


class MeasureRequests:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, metrics: ApiMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_s, status = time.perf_counter(), 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            self._metrics.answered(scope["method"], route, status, time.perf_counter() - started_s)
