"""openmetrics.txt: the verdict and the numbers that matter, to be pushed to where a team's dashboards look.

In OpenMetrics' base units (seconds). What the record does not tell is left out, never 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, StateSetMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector

from reports.latency import QUANTILES, LatencyRow
from reports.results import (
    CheckResult,
    CheckVerdict,
    ObjectiveOutcome,
    ObjectiveResult,
    OutageFigure,
    Verdict,
    VerdictKind,
)

Labels = Mapping[str, str]


def openmetrics_text(
    name: str, verdict: Verdict, checks: Sequence[CheckResult], latencies: Sequence[LatencyRow]
) -> str:
    """Of the run (or the repeats) in the folder ``name``; the same input gives the same text."""
    registry = CollectorRegistry()
    registry.register(
        _Summary([*_verdict(name, verdict), *_objectives(verdict), _checks(checks), *_latencies(latencies)])
    )
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
    return text.decode()


class _Summary(Collector):
    """What a registry asks for; it does not change."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = [family for family in families if family.samples]

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def _verdict(name: str, verdict: Verdict) -> Iterator[Metric]:
    run = {"run": name, "scenario": verdict.scenario, "seed": "" if verdict.seed is None else str(verdict.seed)}
    yield InfoMetricFamily("elson_run", "What was run", value=run)
    states = {kind.value: kind is verdict.verdict for kind in VerdictKind}
    yield StateSetMetricFamily("elson_verdict", "The judgement of the run", value=states)
    figures = verdict.figures
    orders = {
        "acknowledged": figures.orders_acknowledged,
        "lost": figures.lost_orders,
        "doubled": figures.doubled_orders,
        "unknown": figures.unknown_orders,
    }
    yield _gauge("elson_orders", "Orders by what became of them", _by("outcome", orders))
    rates = {"offered": figures.rate_offered_per_s, "achieved": figures.rate_achieved_per_s}
    yield _gauge("elson_operations_per_second", "Operations a second in the measured phase", _by("rate", rates))
    spans = [
        (_fault(outage), None if outage.outage_ms is None else _seconds(outage.outage_ms)) for outage in figures.outages
    ]
    yield _gauge("elson_outage_seconds", "Longest span without an acknowledged order near a fault", spans)
    recovered = [(_fault(outage), float(outage.recovered)) for outage in figures.outages]
    yield _gauge("elson_outage_recovered", "Whether orders succeeded again after a fault", recovered)


def _objectives(verdict: Verdict) -> Iterator[Metric]:
    outcomes = StateSetMetricFamily("elson_objective", "How each objective was met", labels=["objective"])
    different = {_title(each): each for each in verdict.objectives}
    for title, objective in different.items():
        states = {outcome.value: outcome is objective.outcome for outcome in ObjectiveOutcome}
        outcomes.add_metric([title], states)
    yield outcomes
    for attribute in ("measured", "bound", "low", "high"):
        rows = [
            ({"objective": title, "unit": each.unit}, getattr(each, attribute)) for title, each in different.items()
        ]
        yield _gauge(f"elson_objective_{attribute}", "Of an objective, in its own unit; low to high holds 95 %", rows)


def _checks(checks: Sequence[CheckResult]) -> Metric:
    counted = Counter(check.verdict for check in checks)
    return _gauge(
        "elson_checks",
        "Checks by result",
        _by("result", {kind.value: counted[kind] for kind in CheckVerdict} if checks else {}),
    )


def _latencies(rows: Sequence[LatencyRow]) -> Iterator[Metric]:
    shared = [({"operation": row.kind, "faults": row.scope.value, "measure": row.measure}, row) for row in rows]
    percentiles = [
        ({**labels, "quantile": f"{QUANTILES[name]:g}"}, _seconds(percentile.value))
        for labels, row in shared
        for name, percentile in row.percentiles.items()
    ]
    yield _gauge("elson_latency_seconds", "Exact percentiles, from the intended start or from the sending", percentiles)
    yield _gauge(
        "elson_latency_samples", "Operations behind the percentiles", [(labels, row.count) for labels, row in shared]
    )


def _gauge(name: str, what: str, rows: Iterable[tuple[Labels, float | None]]) -> GaugeMetricFamily:
    known = [(labels, value) for labels, value in rows if value is not None]
    unit = "seconds" if name.endswith("_seconds") else ""
    family = GaugeMetricFamily(name, what, labels=list(known[0][0]) if known else [], unit=unit)
    for labels, value in known:
        family.add_metric(list(labels.values()), value)
    return family


def _seconds(duration_ms: float) -> float:
    return round(duration_ms / 1e3, 9)


def _by(label: str, values: Mapping[str, float | None]) -> list[tuple[Labels, float | None]]:
    return [({label: name}, value) for name, value in values.items()]


def _fault(outage: OutageFigure) -> Labels:
    return {"fault": outage.fault_id, "kind": outage.kind, "target": outage.target}


def _title(objective: ObjectiveResult) -> str:
    return f"{objective.title or objective.objective} {objective.asked}"
