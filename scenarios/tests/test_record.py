"""What a run is told of its load before anything starts."""

from __future__ import annotations

from pathlib import Path

from scenarios.loader import load_scenario
from scenarios.record import run_description
from scenarios.tests.test_loader import GOOD


def test_the_limit_in_flight_follows_the_busiest_seconds_and_not_the_rate_that_the_load_begins_with(
    tmp_path: Path,
) -> None:
    spike = "rate_per_s: 10\n  arrivals: {kind: spike, to_per_s: 300, at: 2 s, for: 4 s}"
    (tmp_path / "spike.yaml").write_text(GOOD.replace("rate_per_s: 10", spike))
    described = run_description(load_scenario(tmp_path / "spike.yaml"), 7, (), ())
    assert 1_000 < described["load_max_in_flight"] < described["scheduled_operations"]
