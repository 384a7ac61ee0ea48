"""What an api tells Prometheus about itself, with the route's template as label, never a path with an id in it."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

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
        self.in_flight = 0
        in_flight = Gauge("api_requests_in_flight", "Requests not answered yet.", registry=self.registry)
        in_flight.set_function(lambda: self.in_flight)
        self.limited = Counter(
            "api_rate_limited", "Requests refused for their rate (429).", ["limit"], registry=self.registry
        )
        self.shed = Counter(
            "api_shed", "Requests refused because too many were under way (503).", ["limit"], registry=self.registry
        )
        self.auth_failures = Counter(
            "api_auth_failures", "Requests without a valid identity (401).", registry=self.registry
        )
        self.password_checks = Gauge(
            "api_password_checks", "Passwords being hashed or waiting to be.", registry=self.registry
        )
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def answered(self, method: str, route: str, status: int, seconds: float | None) -> None:
        """None: answered before there was anything to measure."""
        children = self._children.get((method, route, status))
        if children is None:  # finding them by their labels takes longer than counting
            children = (self.requests.labels(method, route, str(status)), self.seconds.labels(route))
            self._children[method, route, status] = children
        count, duration = children
        count.inc()
        if seconds is not None:
            duration.observe(seconds)
        if status == 401:
            self.auth_failures.inc()
