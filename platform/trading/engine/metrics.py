"""What an engine tells Prometheus about itself."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from trading.compiled import kind
from trading.core import exchange
from trading.infra.telemetry import LATENCY_BUCKETS_S


class EngineMetrics:
    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.commands = Counter("engine_commands", "Commands answered, by outcome.", ["outcome"], registry=registry)
        self.batch_commands = Histogram(
            "engine_batch_commands",
            "Journaled commands per transaction.",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
            registry=registry,
        )
        self.batch_limit = Gauge(
            "engine_batch_limit_commands",
            "Commands that one transaction takes of each lane at most; 0 before this engine led.",
            registry=registry,
        )
        self.commit_seconds = Histogram(
            "engine_commit_seconds", "Time of one durable commit.", buckets=LATENCY_BUCKETS_S, registry=registry
        )
        self.apply_seconds = Histogram(
            "engine_apply_seconds",
            "Time to apply one batch in memory.",
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        waiting = Gauge(
            "engine_queue_commands", "Commands waiting for the next batch, by lane.", ["lane"], registry=registry
        )
        self.waiting_urgent, self.waiting_ordinary = waiting.labels("urgent"), waiting.labels("ordinary")
        self.active = Gauge("engine_active", "1 while this engine leads.", registry=registry)
        Gauge("engine_core_compiled", "1 when the core is compiled, 0 when it is interpreted.", registry=registry).set(
            kind(exchange) == "compiled"
        )
        self.epoch = Gauge("engine_epoch", "Epoch this engine last led in.", registry=registry)
        self.sequence = Gauge("engine_sequence", "Last journal record applied.", registry=registry)
        self.lag_records = Gauge(
            "engine_replication_lag_records",
            "Records the leader has committed and this engine not applied.",
            registry=registry,
        )
        self.publisher_lag_records = Gauge(
            "engine_publisher_lag_records", "Records committed and not yet in Redis.", registry=registry
        )
        self.hash_comparisons = Counter(
            "engine_state_hash_comparisons",
            "State hashes compared with the leader's.",
            ["result"],
            registry=registry,
        )
        self.snapshots = Counter("engine_snapshots", "Snapshots by what became of them.", ["result"], registry=registry)
        self.published = Gauge("engine_published_sequence", "Last journal record in Redis.", registry=registry)
        # There from the start, so that a first one is seen as an increase.
        for result in ("same", "different"):
            self.hash_comparisons.labels(result)
        for result in ("made", "failed", "skipped"):
            self.snapshots.labels(result)
