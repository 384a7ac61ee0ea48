from __future__ import annotations

from typing import Any

import pytest

from reports.objectives import ObjectiveError, parse_objective


@pytest.mark.parametrize(
    ("entry", "title"),
    [
        ({"objective": "latency_p99.99_ms", "max": 5}, "latency_p99.99_ms"),
        ({"objective": "latency_p99_ms", "max": 5, "operation": "cancel"}, "latency_p99_ms of cancel"),
        ({"objective": "goodput_per_s", "min": 100, "scope": "outside_faults"}, "goodput_per_s outside_faults"),
        ({"objective": "feed_staleness_p95_ms", "max": 100}, "feed_staleness_p95_ms"),
        ({"objective": "outage_ms", "max": 100, "success_bar": 0.5}, "outage_ms under 0.5"),
        ({"objective": "latency_p99_ms", "max": "+10 %", "baseline": "latest"}, "latency_p99_ms against latest"),
        ({"objective": "goodput_per_s", "min": "-5%", "baseline": "b"}, "goodput_per_s against b"),
    ],
)
def test_what_can_be_asked_for(entry: dict[str, Any], title: str) -> None:
    assert parse_objective(entry).title == title


def test_a_change_against_a_baseline_is_in_per_cent() -> None:
    assert parse_objective({"objective": "latency_p50_ms", "max": "+7.5 %", "baseline": "b"}).bound == 7.5
    assert parse_objective({"objective": "goodput_per_s", "min": "-5 %", "baseline": "b"}).bound == -5


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ({"objective": "goodput_per_s", "max": 1}, "max"),
        ({"objective": "latency_p99_ms", "min": 1}, "min"),
        ({"objective": "latency_p99_ms", "max": "+10 %"}, "max"),
        ({"objective": "latency_p99_ms", "max": 10, "baseline": "b"}, "max"),
        ({"objective": "outage_ms", "max": "+10 %", "baseline": "b"}, "baseline"),
        ({"objective": "latency_p99_ms", "max": "+10 %", "baseline": ""}, "baseline"),
        ({"objective": "outage_ms", "max": 1, "success_bar": 0}, "success_bar"),
        ({"objective": "error_ratio", "max": 1, "success_bar": 0.5}, "success_bar"),
        ({"objective": "error_ratio", "max": 1, "operation": "cancel"}, "operation"),
        ({"objective": "latency_p99_ms", "max": 1, "operation": "Cancel!"}, "operation"),
        ({"objective": "latency_p99_ms", "max": 1, "budget": 3}, "objective"),
        ({"objective": "lost_orders", "max": 0, "scope": "all"}, "scope"),
        ({"objective": "latency_p98_ms", "max": 1}, "objective"),
    ],
)
def test_what_means_nothing_is_refused_at_its_key(entry: dict[str, Any], key: str) -> None:
    with pytest.raises(ObjectiveError) as refused:
        parse_objective(entry)
    assert refused.value.key == key
