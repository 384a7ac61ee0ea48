from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reports.gate import verdict_of
from reports.record import Record
from reports.results import VerdictKind
from reports.tests.synthetic import read_rows, write_table
from reports.tests.test_validity import reasons
from reports.timeline import measured

MS = 1_000_000
Row = dict[str, Any]


def change(folder: Path, table: str, update: Callable[[Row], None]) -> None:
    rows = read_rows(folder, table)
    for row in rows:
        update(row)
    write_table(folder, table, rows)


def set_metric(folder: Path, metric: str, value: Callable[[int], float], node: str = "machine") -> None:
    """``value`` of the number of the sample."""
    rows = read_rows(folder, "metrics")
    chosen = [row for row in rows if row["metric"] == metric and row["node"] == node]
    for number, row in enumerate(chosen):
        row["value"] = value(number)
    write_table(folder, "metrics", rows)


def only_reason(folder: Path) -> str:
    (reason,) = reasons(folder)
    return reason


def test_a_generator_without_processor_time_to_spare_makes_the_run_invalid(folder: Path) -> None:
    set_metric(folder, "cpu_percent", lambda second: 99.0 if second % 4 == 0 else 60.0, "load:1")
    assert "the load generator load:1 had no processor time to spare: 25% of the seconds" in only_reason(folder)


def test_a_generator_that_is_busy_for_a_moment_does_not(folder: Path) -> None:
    set_metric(folder, "cpu_percent", lambda second: 99.0 if second == 8 else 60.0, "load:1")
    assert reasons(folder) == []


def test_a_slow_no_op_endpoint_makes_the_run_invalid(folder: Path) -> None:
    rows = read_rows(folder, "control")
    for row in rows[::20]:
        row["done_ns"] += 80 * MS
    write_table(folder, "control", rows)
    assert "even a no-op endpoint was slow: 5" in only_reason(folder)


def test_a_no_op_endpoint_that_was_hardly_probed_says_nothing(folder: Path) -> None:
    write_table(folder, "control", read_rows(folder, "control")[::3])
    assert "the no-op endpoint was probed" in only_reason(folder)
    write_table(folder, "control", [])
    assert "was not probed" in only_reason(folder)
    (folder / "control.parquet").unlink()
    assert "control.parquet is missing" in only_reason(folder)


def test_others_on_the_machine_make_the_run_invalid(folder: Path) -> None:
    set_metric(folder, "busy_percent", lambda _: 198.0)
    reason = only_reason(folder)
    assert reason.startswith("other processes took 3")
    assert "of the machine's 2 cores" in reason


def test_a_machine_that_the_run_itself_fills_is_its_own(folder: Path) -> None:
    set_metric(folder, "busy_percent", lambda _: 198.0)
    set_metric(folder, "cpu_percent", lambda _: 90.0, "postgres:1")
    assert reasons(folder) == []


def test_time_stolen_by_the_host_makes_the_run_invalid(folder: Path) -> None:
    set_metric(folder, "steal_percent", lambda _: 20.0)
    assert only_reason(folder) == "10% of the machine's time was stolen by its host (allowed are 5%)"


def test_a_clock_that_was_set_during_the_run_makes_it_invalid(folder: Path) -> None:
    set_metric(folder, "clock_drift_ms", lambda second: 0.0 if second < 10 else -250.0)
    assert only_reason(folder) == "the machine's clock jumped by 250.0 ms (allowed are 10 ms)"


def test_a_warm_up_that_was_not_over_makes_the_run_invalid(folder: Path) -> None:
    start_ns, end_ns = measured(Record(folder))
    early_ns = start_ns + (end_ns - start_ns) // 5

    def slower(row: Row) -> None:
        if row["done_ns"] is not None and start_ns <= row["intended_ns"] < early_ns:
            row["done_ns"] += 40 * MS

    change(folder, "operations", slower)
    assert only_reason(folder).startswith("The warm-up") or "the warm-up was not over" in only_reason(folder)


def test_a_handful_of_orders_tells_nothing(folder: Path) -> None:
    start_ns, end_ns = measured(Record(folder))
    rows = read_rows(folder, "operations")
    within = [row for row in rows if row["kind"] == "place" and start_ns <= row["intended_ns"] < end_ns]
    kept = {row["operation_id"] for row in within[:: len(within) // 15]}
    rows = [row for row in rows if row not in within or row["operation_id"] in kept]
    write_table(folder, "operations", rows)
    assert any("fewer than 20 tell nothing" in reason for reason in reasons(folder))


@pytest.mark.parametrize(("share", "valid"), [(0.4, True), (0.6, False)])
def test_a_wall_of_refusals_is_no_measurement(folder: Path, share: float, valid: bool) -> None:
    rows = read_rows(folder, "operations")
    orders = [row for row in rows if row["kind"] == "place" and row["outcome"] == "ok"]
    for number, row in enumerate(orders):
        if number % 10 < 10 * share:
            row.update(outcome="fail", http_status=403, order_id=None)
    write_table(folder, "operations", rows)
    assert any("refused on the merits" in reason for reason in reasons(folder)) != valid


def test_the_rule_of_the_warm_up_is_in_the_record(folder: Path) -> None:
    rule = json.loads((folder / "run.json").read_text())["warm_up_rule"]
    assert rule["left_out_s"] == pytest.approx(1.0)
    assert "count for no latency" in rule["rule"]


# -- a starved generator, a hundred times ----------------------------------------------------------


def stopped(rng: random.Random, rows: list[Row]) -> None:
    """It stands still once, and sends what was due then when it goes on."""
    length_ns = int(rng.uniform(0.6, 4) * 1e9)
    begin_ns = rows[0]["intended_ns"] + int(rng.random() * (rows[-1]["intended_ns"] - rows[0]["intended_ns"] - 5e9))
    for row in rows:
        if begin_ns <= row["intended_ns"] < begin_ns + length_ns:
            late(row, begin_ns + length_ns - row["intended_ns"])


def throttled(rng: random.Random, rows: list[Row]) -> None:
    """It cannot send as fast as it should, and lags ever more behind."""
    every_ns = (rows[-1]["intended_ns"] - rows[0]["intended_ns"]) / len(rows) * rng.uniform(1.05, 2)
    free_ns = float(rows[0]["intended_ns"])
    for row in rows:
        free_ns = max(free_ns, row["intended_ns"]) + every_ns
        late(row, int(free_ns - row["intended_ns"]))


def hiccuping(rng: random.Random, rows: list[Row]) -> None:
    """Again and again something else has its core."""
    for row in rows:
        if rng.random() < rng.uniform(0.03, 0.3):
            late(row, int(rng.uniform(60, 400) * MS))


def giving_up(rng: random.Random, rows: list[Row]) -> None:
    """It never sends a part of what was due."""
    share = rng.uniform(0.04, 0.5)
    for row in rows:
        if rng.random() < share:
            row.update(sent_ns=None, done_ns=None, outcome="fail", http_status=None)


def late(row: Row, by_ns: int) -> None:
    for moment in ("sent_ns", "done_ns"):
        if row[moment] is not None:
            row[moment] += by_ns


@pytest.mark.parametrize("starve", [stopped, throttled, hiccuping, giving_up])
def test_a_starved_generator_is_invalid_every_time(
    folder: Path, starve: Callable[[random.Random, list[Row]], None]
) -> None:
    start_ns, end_ns = measured(Record(folder))
    for seed in range(25):
        rows = read_rows(folder, "operations")
        original = [dict(row) for row in rows]
        starve(random.Random(seed), [row for row in rows if start_ns <= row["intended_ns"] < end_ns])
        write_table(folder, "operations", rows)
        verdict = verdict_of(Record(folder))
        assert verdict.verdict is VerdictKind.INVALID, f"seed {seed}"
        assert any("the load generator" in reason for reason in verdict.invalid), f"seed {seed}"
        write_table(folder, "operations", original)
