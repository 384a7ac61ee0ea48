"""The share of a worker that was lost: what it left unsaid is written down, so that no operation is without a row."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from loadtests.command import LOAD_FILE
from loadtests.intended import IntendedOperation, ScheduleOptions
from loadtests.rows import EndedOperation, columns_of
from loadtests.schedule import operations
from loadtests.shares import Share
from loadtests.target import Target
from loadtests.workers import crew_report
from reports.records import OPERATIONS, WORKER_LOST, OutcomeKind, TableWriter, read_table

_ROWS_PER_BATCH: Final = 2_000


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
    counts: Counter[OutcomeKind] = Counter()
    mine = share.of(operations(options), options.accounts)
    unsaid = (_ended(one, start_ns, lost_ns) for one in mine if one.operation_id not in left)
    while batch := list(islice(unsaid, _ROWS_PER_BATCH)):
        counts.update(one.outcome for one in batch)
        writer.write_columns(columns_of(batch, target))
    writer.close()
    unclear, not_offered = counts[OutcomeKind.UNKNOWN], counts[OutcomeKind.FAIL]
    return LostShare(worker["worker"], worker["node"], lost_ns, len(left), unclear, not_offered)


def _ended(operation: IntendedOperation, start_ns: int, lost_ns: int) -> EndedOperation:
    intended_ns = start_ns + operation.offset_ns
    begun = intended_ns <= lost_ns
    outcome = OutcomeKind.UNKNOWN if begun else OutcomeKind.FAIL
    answer = f"{WORKER_LOST}: {'it may have been sent' if begun else 'not offered'}"
    return EndedOperation(operation, intended_ns, outcome, answer.encode())


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
