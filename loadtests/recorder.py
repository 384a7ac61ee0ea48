"""The load's half of a run's record: one row an intended operation, in ``operations-load``."""

from __future__ import annotations

from pathlib import Path

import msgspec

from reports.records import OPERATIONS, TableWriter
from reports.rows import Operation

# Turning rows into an Arrow batch holds up every greenlet: small batches keep each stop near a millisecond.
_ROWS_PER_BATCH = 200


class Recorder:
    """Without a folder rows are dropped: a bare run is watched, not judged."""

    def __init__(self, folder: Path | None) -> None:
        self._writer: TableWriter | None = None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._writer = TableWriter(folder / "operations-load", OPERATIONS, rows_per_batch=_ROWS_PER_BATCH)

    def add(self, operation: Operation) -> None:
        if self._writer is not None:
            self._writer.add(msgspec.structs.asdict(operation))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
