from __future__ import annotations

import json
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from reports.latency import Scope, latency_table
from reports.record import Record
from reports.render import rebuild
from reports.results import CheckVerdict, VerdictKind
from reports.tests.conftest import write_checks
from reports.tests.test_gate import set_objectives

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(folder: Path) -> Samples:
    """Every sample, as the parser of the specification's reference implementation reads it; duplicates fail."""
    samples: Samples = {}
    text = (folder / "openmetrics.txt").read_text()
    for family in text_string_to_metric_families(text):  # type: ignore[no-untyped-call]
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in samples
            samples[key] = sample.value
    return samples


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def test_the_numbers_that_matter_arrive_in_seconds(folder: Path) -> None:
    figures = rebuild(folder).figures
    samples = parsed(folder)
    assert value(samples, "elson_run_info", run=folder.name, scenario="quickstart", seed="1") == 1
    assert value(samples, "elson_orders", outcome="acknowledged") == figures.orders_acknowledged
    assert value(samples, "elson_orders", outcome="lost") == 0
    assert value(samples, "elson_operations_per_second", rate="offered") == figures.rate_offered_per_s
    outage = figures.outages[1]
    found = value(samples, "elson_outage_seconds", fault="crash", kind="kill", target="engine:active")
    assert found == pytest.approx((outage.outage_ms or 0) / 1000, abs=1e-9)
    for row in latency_table(Record(folder)):
        if (row.kind, row.scope, row.measure) == ("place", Scope.OUTSIDE_FAULTS, "response"):
            labels = {"operation": "place", "faults": "outside_faults", "measure": "response"}
            assert value(samples, "elson_latency_samples", **labels) == row.count
            median = value(samples, "elson_latency_seconds", **labels, quantile="0.5")
            assert median == pytest.approx(row.percentiles["p50"].value / 1000, abs=1e-9)


@pytest.mark.parametrize("verdict", [CheckVerdict.HOLDS, CheckVerdict.VIOLATED])
def test_exactly_the_verdict_is_the_state_that_is_on(folder: Path, verdict: CheckVerdict) -> None:
    write_checks(folder, verdict)
    kind = rebuild(folder).verdict
    samples = parsed(folder)
    states = {each: value(samples, "elson_verdict", elson_verdict=each) for each in VerdictKind}
    assert states == {each: float(each is kind) for each in VerdictKind}
    assert value(samples, "elson_checks", result=verdict) == 1
    objective = {"objective": "outage_ms <= 1000 ms"}
    assert value(samples, "elson_objective", **objective, elson_objective="met") == 1
    assert value(samples, "elson_objective_bound", **objective, unit="ms") == 1000


def test_what_is_not_known_is_left_out_and_never_told_as_nothing(tmp_path: Path) -> None:
    rebuild(tmp_path)
    samples = parsed(tmp_path)
    assert value(samples, "elson_verdict", elson_verdict="INVALID") == 1
    assert {name for name, _ in samples} == {"elson_run_info", "elson_verdict"}


def test_names_of_any_kind_and_the_same_objective_twice_still_parse(folder: Path) -> None:
    set_objectives(folder, *[{"objective": "lost_orders", "max": 0}] * 2)
    run = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**run, "scenario": 'a "b"\\c\nd {e}'}))
    rebuild(folder)
    labels = {"run": folder.name, "scenario": 'a "b"\\c\nd {e}', "seed": "1"}
    assert value(parsed(folder), "elson_run_info", **labels) == 1
