"""The load's half of a run's record: one row an intended operation, in ``operations-load``, a file a worker."""

from __future__ import annotations

import json
from pathlib import Path
from time import monotonic

import msgspec

from loadtests.command import LOAD_FILE
from loadtests.intended import ScheduleOptions
from loadtests.schedule import operations, schedule_digest
from loadtests.shares import Share
from reports.records import OPERATIONS, TableWriter
from reports.rows import Operation

# Turning rows into an Arrow batch holds up every greenlet: small batches keep each stop near a millisecond.
ROWS_PER_BATCH = 200
_FLUSH_EVERY_S = 1.0


class Recorder:
    """Without a folder rows are dropped: a bare run is watched, not judged."""

    def __init__(self, folder: Path | None, share: Share) -> None:
        self._folder = folder
        self._writer: TableWriter | None = None
        self._schedule: dict[str, object] = {}
        self._flushed_at = monotonic()
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._writer = TableWriter(folder / table_of(share), OPERATIONS, rows_per_batch=ROWS_PER_BATCH)

    def prepare(self, options: ScheduleOptions) -> None:
        """Draws the whole schedule once, to tell which one it is."""
        if self._folder is not None:
            self._schedule = described(options)

    def announce(self, start_ns: int) -> None:
        """Tells who waits for it when the prepared schedule starts."""
        if self._folder is not None and self._schedule:
            announce(self._folder, start_ns, self._schedule)

    def add(self, operation: Operation) -> None:
        if self._writer is None:
            return
        self._writer.add_values(msgspec.structs.astuple(operation))
        if monotonic() - self._flushed_at > _FLUSH_EVERY_S:  # a kill takes no more than that with it
            self._writer.flush()
            self._flushed_at = monotonic()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def table_of(share: Share) -> str:
    """The name of the worker's table; a worker alone has no number."""
    return "operations-load" if share.workers == 1 else f"operations-load-{share.index + 1}"


def described(options: ScheduleOptions) -> dict[str, object]:
    digest = schedule_digest(operations(options))
    return {"seed": options.seed, "operations": digest.operations, "schedule_digest": digest.sha256}


def announce(folder: Path, start_ns: int, schedule: dict[str, object]) -> None:
    """Writes load.json in one step: who reads it finds all of it."""
    partial = folder / f"{LOAD_FILE}.partial"
    partial.write_text(json.dumps({"start_ns": start_ns, **schedule}))
    partial.replace(folder / LOAD_FILE)
