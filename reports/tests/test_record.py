from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from reports.record import MissingPartError, Record
from reports.records import OPERATIONS, TableWriter, read_table
from reports.run_folder import EventLog, find_run, merge_operations, new_run_folder, point_latest, runs_root, write_text
from reports.tests.synthetic import read_rows


def write_killed(path: Path, rows: list[dict[str, Any]]) -> None:
    """What a writer leaves that flushed these rows and was then killed."""
    elsewhere = path.with_name("elsewhere")
    writer = TableWriter(elsewhere, OPERATIONS)
    for row in rows:
        writer.add(row)
    writer.flush()
    left = elsewhere.with_suffix(".arrows").read_bytes()
    writer.close()
    elsewhere.with_suffix(".parquet").unlink()
    path.with_suffix(".arrows").write_bytes(left)


def test_a_complete_record_misses_nothing(folder: Path) -> None:
    assert Record(folder).missing() == []


@pytest.mark.parametrize("name", ["run.json", "events.jsonl", "engine.json", "feed.parquet", "ledger.parquet"])
def test_a_record_names_the_part_it_lacks(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert [gap for gap in Record(folder).missing() if name in gap]


def test_a_table_whose_writer_was_killed_is_readable_and_called_cut_off(folder: Path) -> None:
    rows = read_rows(folder, "operations")
    (folder / "operations.parquet").unlink()
    write_killed(folder / "operations", rows[:100])
    record = Record(folder)
    assert len(record.operations) == 100
    assert record.missing() == ["operations was cut off: its writer was killed before it closed the table"]


def test_a_table_whose_writer_was_killed_at_its_first_moment_is_missing_and_not_torn(tmp_path: Path) -> None:
    code = "import pathlib, sys; from reports.records import *; TableWriter(pathlib.Path(sys.argv[1]), OPERATIONS)"
    writer = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "operations")])
    while not list(tmp_path.iterdir()) and writer.poll() is None:
        time.sleep(0.001)
    writer.kill()
    assert writer.wait() == -signal.SIGKILL
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path, "operations")


def test_a_raw_table_of_a_killed_generator_makes_the_record_incomplete(folder: Path) -> None:
    write_killed(folder / "operations-load", [])
    assert Record(folder).missing() == ["operations-load was cut off: its writer was killed before it closed the table"]


def test_a_missing_table_is_never_read_as_an_empty_one(folder: Path) -> None:
    (folder / "orders.parquet").unlink()
    with pytest.raises(MissingPartError, match=r"orders\.parquet is missing"):
        _ = Record(folder).orders


def test_a_table_with_a_hole_is_never_finished(tmp_path: Path) -> None:
    """As after a disk that was full for a moment: what follows the torn batch would be dropped in silence."""
    writer = TableWriter(tmp_path / "operations-load", OPERATIONS, rows_per_batch=1)
    row = dict.fromkeys(OPERATIONS.names) | {"source": "load", "operation_id": 1, "kind": "place", "account_id": 1}
    stream = tmp_path / "operations-load.arrows"
    whole_bytes = stream.stat().st_size
    writer.add({**row, "intended_ns": 1, "outcome": "ok"})
    with stream.open("r+b") as file:
        file.truncate(whole_bytes)
    with pytest.raises(OSError, match="holds 0 of 1 rows"):
        writer.close()
    assert stream.exists()
    assert not (tmp_path / "operations-load.parquet").exists()


def test_a_torn_last_event_is_dropped_and_a_torn_one_before_it_is_not(folder: Path) -> None:
    path = folder / "events.jsonl"
    whole = path.read_text()
    path.write_text(whole + '{"at_ns": 17672616')
    assert len(Record(folder).events) == len(whole.splitlines())
    path.write_text('{"at_ns": 17672616\n' + whole)
    with pytest.raises(MissingPartError, match="line 1"):
        _ = Record(folder).events


def test_nanoseconds_keep_every_digit_in_a_data_frame_with_gaps(folder: Path) -> None:
    rows = read_rows(folder, "operations")
    frame = Record(folder).frame("operations")
    assert list(frame["done_ns"]) == [row["done_ns"] for row in rows]
    assert frame["limit_price_micros"].isna().sum() == sum(row["limit_price_micros"] is None for row in rows)


def test_an_event_is_in_the_file_before_add_returns(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        log.add("node_started", node="engine:1")
        assert '"event": "node_started"' in (tmp_path / "events.jsonl").read_text()


def test_two_runs_that_start_in_the_same_second_get_different_folders(tmp_path: Path) -> None:
    folders = [new_run_folder(tmp_path / "runs", "failover/engine-crash") for _ in range(5)]
    assert len(set(folders)) == 5
    assert all(folder.is_dir() and "failover-engine-crash" in folder.name for folder in folders)


def test_latest_points_to_the_newest_run(tmp_path: Path) -> None:
    for scenario in ("first", "second"):
        folder = new_run_folder(tmp_path, scenario)
        (folder / "run.json").touch()
        point_latest(tmp_path, folder)
        assert find_run(tmp_path, "latest") == folder.resolve()


def test_a_run_nobody_has_made_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no run 'nowhere'"):
        find_run(tmp_path, "nowhere")


@pytest.mark.parametrize("name", ["", ".", "..", "/"])
def test_a_folder_that_holds_no_record_is_no_run(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError):
        find_run(tmp_path, name)


def test_the_folder_of_all_runs_follows_the_environment(tmp_path: Path) -> None:
    assert runs_root({"ELSON_RUNS": str(tmp_path)}) == tmp_path
    assert runs_root({}).parts[-2:] == ("reports", "runs")


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "verdict.json"
    write_text(path, "old")
    write_text(path, "new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_operations_of_load_and_market_are_merged_in_intended_order(folder: Path) -> None:
    rows = read_rows(folder, "operations")
    for source, part in (("load", rows[::2]), ("market", rows[1::2])):
        writer = TableWriter(folder / f"operations-{source}", OPERATIONS)
        for row in part:
            writer.add({**row, "source": source})
        writer.close()
    assert merge_operations(folder) == len(rows)
    merged = read_rows(folder, "operations")
    assert [row["intended_ns"] for row in merged] == [row["intended_ns"] for row in rows]
    assert {row["source"] for row in merged} == {"load", "market"}


@pytest.mark.parametrize("left", ["operations-market.arrows", "operations-market.arrows.partial"])
def test_a_generator_killed_before_it_wrote_anything_does_not_hide_what_the_others_wrote(
    folder: Path, left: str
) -> None:
    writer = TableWriter(folder / "operations-load", OPERATIONS)
    for row in read_rows(folder, "operations")[:10]:
        writer.add(row)
    writer.close()
    (folder / left).touch()
    assert merge_operations(folder) == 10
    assert any(gap.startswith("operations-market was cut off") for gap in Record(folder).missing())
