"""The load's half of a run's record: one row an intended operation, in ``operations-load``, a file a worker."""

from __future__ import annotations

import json
from pathlib import Path
from time import monotonic

from loadtests.command import LOAD_FILE
from loadtests.intended import ScheduleOptions
from loadtests.rows import EndedOperation, columns_of
from loadtests.schedule import operations, schedule_digest
from loadtests.shares import Share
from loadtests.target import Target
from reports.records import OPERATIONS, TableWriter

# Turning operations into an Arrow batch holds up every greenlet, and costs much that does not grow with it: so large
# that each stop is still about a millisecond.
ROWS_PER_BATCH = 600
_FLUSH_EVERY_S = 1.0


class Recorder:
    """Without a folder operations are dropped: a bare run is watched, not judged."""

    def __init__(self, folder: Path | None, share: Share, target: Target) -> None:
        self._folder = folder
        self._target = target
        self._ended: list[EndedOperation] = []
        self._writer: TableWriter | None = None
        self._schedule: dict[str, object] = {}
        self._flushed_at = monotonic()
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._writer = TableWriter(folder / table_of(share), OPERATIONS)

    def prepare(self, options: ScheduleOptions) -> None:
        """Draws the whole schedule once, to tell which one it is."""
        if self._folder is not None:
            self._schedule = described(options)

    def announce(self, start_ns: int) -> None:
        """Tells who waits for it when the prepared schedule starts."""
        if self._folder is not None and self._schedule:
            announce(self._folder, start_ns, self._schedule)

    def add(self, ended: EndedOperation) -> None:
        """Raises OSError when what has come together cannot be written: it is kept, and tried again."""
        if self._writer is None:
            return
        self._ended.append(ended)
        # A kill takes no more than a second with it.
        if len(self._ended) >= ROWS_PER_BATCH or monotonic() - self._flushed_at > _FLUSH_EVERY_S:
            self._flush(self._writer)

    def _flush(self, writer: TableWriter) -> None:
        if self._ended:
            writer.write_columns(columns_of(self._ended, self._target))
            self._ended = []
        self._flushed_at = monotonic()

    def close(self) -> None:
        if self._writer is not None:
            self._flush(self._writer)
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
