"""What an engine tells Prometheus about itself."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from trading.infra.telemetry import LATENCY_BUCKETS_S


class EngineMetrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.commands = Counter(
            "engine_commands", "Commands answered, by outcome.", ["outcome"], registry=self.registry
        )
        self.batch_commands = Histogram(
            "engine_batch_commands",
            "Journaled commands per transaction.",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
            registry=self.registry,
        )
        self.commit_seconds = Histogram(
            "engine_commit_seconds", "Time of one durable commit.", buckets=LATENCY_BUCKETS_S, registry=self.registry
        )
        self.apply_seconds = Histogram(
            "engine_apply_seconds",
            "Time to apply one batch in memory.",
            buckets=LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        waiting = Gauge(
            "engine_queue_commands", "Commands waiting for the next batch, by lane.", ["lane"], registry=self.registry
        )
        self.waiting_urgent, self.waiting_ordinary = waiting.labels("urgent"), waiting.labels("ordinary")
        self.active = Gauge("engine_active", "1 while this engine leads.", registry=self.registry)
        self.epoch = Gauge("engine_epoch", "Epoch this engine last led in.", registry=self.registry)
        self.sequence = Gauge("engine_sequence", "Last journal record applied.", registry=self.registry)
        self.published = Gauge("engine_published_sequence", "Last journal record in Redis.", registry=self.registry)
