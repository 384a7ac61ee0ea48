"""The load's half of a run's record: one row an intended operation, in ``operations-load``."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from loadtests.command import LOAD_FILE
from loadtests.schedule import IntendedOperation, schedule_digest
from reports.records import OPERATIONS, TableWriter
from reports.rows import Operation

# Turning rows into an Arrow batch holds up every greenlet: small batches keep each stop near a millisecond.
_ROWS_PER_BATCH = 200


class Recorder:
    """Without a folder rows are dropped: a bare run is watched, not judged."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._writer: TableWriter | None = None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._writer = TableWriter(folder / "operations-load", OPERATIONS, rows_per_batch=_ROWS_PER_BATCH)

    def announce(self, start_ns: int, seed: int, operations: list[IntendedOperation]) -> None:
        """Tells who waits for it when the schedule starts, and which schedule it is."""
        if self._folder is None:
            return
        document = {
            "start_ns": start_ns,
            "seed": seed,
            "operations": len(operations),
            "schedule_digest": schedule_digest(operations),
        }
        partial = self._folder / f"{LOAD_FILE}.partial"
        partial.write_text(json.dumps(document))
        partial.replace(self._folder / LOAD_FILE)

    def add(self, operation: Operation) -> None:
        if self._writer is not None:
            self._writer.add(msgspec.structs.asdict(operation))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
