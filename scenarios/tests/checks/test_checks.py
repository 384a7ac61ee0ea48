from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from reports.record import Record
from reports.render import rebuild
from reports.results import CheckVerdict, VerdictKind
from reports.tests.synthetic import read_rows, write_record, write_table
from reports.tests.synthetic_platform import Plan
from scenarios.checks import ALL_CHECKS, run_checks
from scenarios.checks.check import Check
from trading.core.orders import MICROS_PER_SHARE, OrderStatus

TABLES = ("operations", "journal", "orders", "fills", "ledger", "balances", "feed")


def verdicts(folder: Path) -> dict[str, CheckVerdict]:
    return {result.name: result.verdict for result in run_checks(Record(folder))}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_check_holds_on_an_honest_record(tmp_path: Path, seed: int) -> None:
    folder = write_record(tmp_path / "run", Plan(seed=seed, rate_per_s=30))
    results = run_checks(Record(folder))
    assert [result for result in results if result.verdict is not CheckVerdict.HOLDS] == []


def test_an_honest_record_passes(folder: Path) -> None:
    run_checks(Record(folder))
    assert rebuild(folder).verdict is VerdictKind.PASS


def test_an_honest_record_holds_what_the_seeded_bugs_spoil(folder: Path) -> None:
    """Every state of an order, auctions, reductions, fees with their rounding, and an account that owes."""
    record = Record(folder)
    assert {order.status for order in record.orders} >= {*OrderStatus} - {OrderStatus.EXPIRED}
    assert any(order.reduced_quantity for order in record.orders)
    assert any(order.client_order_id == "" for order in record.orders)
    assert any(order.quantity % MICROS_PER_SHARE for order in record.orders)
    assert {fill.liquidity for fill in record.fills} == {"maker", "taker", "auction"}
    assert {row.account_id for row in record.balances} >= {-2, -1}
    assert any(row.available < 0 for row in record.balances)
    assert any(row.cost_micros for row in record.balances)


def test_what_the_checks_found_is_kept_in_the_record(folder: Path) -> None:
    results = run_checks(Record(folder))
    assert Record(folder).checks() == results
    assert len({result.name for result in results}) == len(ALL_CHECKS)


def test_every_check_says_how_much_it_looked_at(folder: Path) -> None:
    assert all(any(letter.isdigit() for letter in result.summary) for result in run_checks(Record(folder)))


@pytest.mark.parametrize("check", ALL_CHECKS, ids=lambda check: check.name)
def test_no_check_holds_in_an_empty_folder(tmp_path: Path, check: Check) -> None:
    assert check(Record(tmp_path)).verdict is CheckVerdict.CANNOT_TELL


@pytest.mark.parametrize("check", ALL_CHECKS, ids=lambda check: check.name)
def test_no_check_holds_when_all_tables_are_empty(folder: Path, check: Check) -> None:
    for name in TABLES:
        write_table(folder, name, [])
    result = check(Record(folder))
    assert result.verdict is CheckVerdict.CANNOT_TELL
    assert "holds no" in result.summary


def test_no_acknowledged_order_means_that_nothing_can_be_told(folder: Path) -> None:
    rows = [{**row, "outcome": "unknown"} for row in read_rows(folder, "operations")]
    write_table(folder, "operations", rows)
    assert verdicts(folder)["acknowledged_orders"] is CheckVerdict.CANNOT_TELL


def test_a_record_without_the_engine_cannot_tell_whether_it_agrees(folder: Path) -> None:
    (folder / "engine.json").unlink()
    found = verdicts(folder)
    assert found["one_state"] is found["feed_book"] is CheckVerdict.CANNOT_TELL
    assert found["conservation"] is CheckVerdict.HOLDS


def test_unknown_outcomes_are_resolved_and_counted(folder: Path) -> None:
    rows = read_rows(folder, "operations")
    unknown = sum(row["outcome"] == "unknown" for row in rows)
    (result,) = [result for result in run_checks(Record(folder)) if result.name == "unknown_outcomes"]
    assert result.figures["unknown"] == unknown > 0


def test_evidence_is_cut_at_twenty_rows_and_the_count_is_not(folder: Path) -> None:
    write_table(folder, "orders", read_rows(folder, "orders")[:-100])
    result = ALL_CHECKS[0](Record(folder))
    assert len(result.evidence) == 20
    assert result.figures["lost"] > 20


def test_results_survive_json(folder: Path) -> None:
    write_table(folder, "orders", read_rows(folder, "orders")[:-5])
    for result in run_checks(Record(folder)):
        assert msgspec.json.decode(msgspec.json.encode(result), type=type(result)) == result
