"""Where runs are kept, and how their small files are written so that a kill at any moment leaves them readable."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

from reports.records import OPERATIONS, read_table

LATEST: Final = "latest"
REPEATS_FILE: Final = "repeats.json"  # in a folder of repeats: what was planned
SERIES_FILE: Final = "series.json"  # in a folder of variants or of a search: reports.side_by_side
_CHECKOUT: Final = Path(__file__).resolve().parent.parent


def runs_root(environment: Mapping[str, str]) -> Path:
    """The folder of all runs: ELSON_RUNS, else ``reports/runs`` of the checkout."""
    chosen = environment.get("ELSON_RUNS")
    return Path(chosen) if chosen else _CHECKOUT / "reports" / "runs"


def new_run_folder(root: Path, scenario: str) -> Path:
    """Creates ``<utc>-<scenario>`` in ``root``; two runs that start in the same second get different folders."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    name = f"{stamp}-{scenario.replace('/', '-')}"
    root.mkdir(parents=True, exist_ok=True)
    attempt = 1
    while True:
        folder = root / (name if attempt == 1 else f"{name}-{attempt}")
        try:
            folder.mkdir()
        except FileExistsError:
            attempt += 1
        else:
            return folder


def point_latest(root: Path, folder: Path) -> None:
    """Makes ``root/latest`` a link to ``folder``, in one step for whoever reads it meanwhile."""
    fresh = root / f".{LATEST}.{os.getpid()}"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(folder.name, target_is_directory=True)
    fresh.replace(root / LATEST)


def find_run(root: Path, name: str) -> Path:
    """The folder of a run, or of repeats, by path, by name in ``root``, or ``latest``. Raises FileNotFoundError."""
    for folder in (root / name, Path(name)):
        if name and is_record(folder):
            return folder.resolve()
    raise FileNotFoundError(f"no run {name!r} in {root} and no such folder with a run's record")


def is_record(folder: Path) -> bool:
    """Of a run, or of several in folders within."""
    return any((folder / part).exists() for part in ("run.json", "events.jsonl", REPEATS_FILE, SERIES_FILE))


def label_of(folder: Path) -> str:
    """What ``new_run_folder`` put after the time."""
    return folder.name.partition("-")[2]


def run_folders(folder: Path) -> list[Path]:
    """The runs in a folder of repeats, in order; the folder itself when it is a run's."""
    if not (folder / REPEATS_FILE).exists():
        return [folder]
    return sorted(path.parent for path in folder.glob("*/run.json"))


def write_text(path: Path, text: str) -> None:
    """Replaces the file in one step: a reader or a kill sees the old text or the new one, never half of it."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)  # on a full disk its half is room that others need
        raise


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=1, sort_keys=False, ensure_ascii=False, allow_nan=False) + "\n")


class EventLog:
    """Appends to events.jsonl, a line an event, handed to the operating system before ``add`` returns."""

    def __init__(self, folder: Path) -> None:
        self._file: IO[str] = (folder / "events.jsonl").open("a", encoding="utf-8", buffering=1)

    def add(self, event: str, *, at_ns: int | None = None, **details: Any) -> None:
        """Details must be JSON values. ``at_ns`` defaults to this machine's clock."""
        line = {"at_ns": time.time_ns() if at_ns is None else at_ns, "event": event, **details}
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def merge_operations(folder: Path) -> int:
    """Merges ``operations-*`` (one a process that drove the platform) into operations.parquet; returns its rows.

    Rows are ordered by intended time. The raw files stay; a torn one contributes every batch it had flushed.
    """
    names = sorted({path.name.partition(".")[0] for path in folder.glob("operations-*.*")})
    tables = [table for name in names if (table := _readable(folder, name)) is not None]
    merged = pa.concat_tables(tables).cast(OPERATIONS) if tables else OPERATIONS.empty_table()
    merged = merged.sort_by([("intended_ns", "ascending"), ("source", "ascending"), ("operation_id", "ascending")])
    partial = folder / "operations.parquet.partial"
    try:
        pq.write_table(merged, partial, compression="zstd")
        partial.replace(folder / "operations.parquet")
    except OSError:
        partial.unlink(missing_ok=True)  # on a full disk its half is room that others need
        raise
    return int(merged.num_rows)


def merge_left_operations(folder: Path) -> None:
    """Of a run that was killed before it merged them, or had no room to."""
    if not (folder / "operations.parquet").exists() and any(folder.glob("operations-*.*")):
        merge_operations(folder)


def _readable(folder: Path, name: str) -> pa.Table | None:
    """None for a table whose writer was killed before it wrote anything; ``Record.missing`` still tells of it."""
    try:
        return read_table(folder, name)
    except (FileNotFoundError, pa.ArrowInvalid):
        return None
