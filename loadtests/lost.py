"""The share of a worker that was lost: what it left unsaid is written down, so that no operation is without a row."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq

from loadtests.command import LOAD_FILE
from loadtests.intended import ScheduleOptions
from loadtests.rows import row_of
from loadtests.schedule import operations
from loadtests.shares import Share
from loadtests.target import Target
from loadtests.workers import crew_report
from reports.records import OPERATIONS, WORKER_LOST, OutcomeKind, TableWriter, read_table


@dataclass(frozen=True, slots=True)
class LostShare:
    """Of a worker's share: rows it left, operations that it may have sent, and those it did not offer."""

    worker: int
    node: str
    at_ns: int
    recorded: int
    unclear: int
    not_offered: int


def complete_lost_shares(record: Path, options: ScheduleOptions, target: Target) -> list[LostShare]:
    """Adds the missing rows of every lost worker, in tables of their own. Raises OSError when they cannot be written.

    What was meant to start until the loss was noticed may have been sent, so its outcome is unknown; nobody offered
    what came later.
    """
    report = crew_report(record)
    start_ns = int(json.loads((record / LOAD_FILE).read_bytes())["start_ns"]) if report else 0
    lost = [worker for worker in report if worker["state"] == "lost"]
    return [_complete(record, one, Share(one["worker"] - 1, len(report)), options, target, start_ns) for one in lost]


def _complete(
    record: Path, worker: dict[str, Any], share: Share, options: ScheduleOptions, target: Target, start_ns: int
) -> LostShare:
    lost_ns = int(worker["at_ns"])
    left = _finish(record, f"operations-load-{share.index + 1}")
    writer = TableWriter(record / f"operations-load-{share.index + 1}-lost", OPERATIONS)
    unclear = not_offered = 0
    for operation in share.of(operations(options), options.accounts):
        if operation.operation_id in left:
            continue
        if begun := start_ns + operation.offset_ns <= lost_ns:
            unclear += 1
        else:
            not_offered += 1
        outcome = OutcomeKind.UNKNOWN if begun else OutcomeKind.FAIL
        answer = f"{WORKER_LOST}: {'it may have been sent' if begun else 'not offered'}"
        writer.add(msgspec.structs.asdict(row_of(operation, target, start_ns, outcome=outcome, answer=answer)))
    writer.close()
    return LostShare(worker["worker"], worker["node"], lost_ns, len(left), unclear, not_offered)


def _finish(record: Path, name: str) -> set[int]:
    """The ids of what the worker had recorded; its table, which it could not close, is closed for it."""
    try:
        table = read_table(record, name)
    except FileNotFoundError:
        return set()
    if not (record / f"{name}.parquet").exists():
        partial = record / f"{name}.parquet.partial"
        pq.write_table(table, partial, compression="zstd")
        partial.replace(record / f"{name}.parquet")
        (record / f"{name}.arrows").unlink()
    return set(table["operation_id"].to_pylist())
