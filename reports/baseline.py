"""What a run is compared with: taken from the baseline's record before the run, and kept in the run's own.

So a verdict needs nothing but its own record, and is the same again when the baseline is long gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from reports.dependence import Timed
from reports.goodput import goodput_by_second
from reports.latency import Scope, response_times
from reports.likeness import likeness
from reports.objectives import GOODPUT, STALENESS, Objective
from reports.record import MissingPartError, Record
from reports.results import VerdictKind
from reports.run_folder import run_folders
from reports.staleness import staleness

TABLE: Final = "baseline"
SCHEMA: Final = pa.schema(
    [
        pa.field("objective", pa.string(), nullable=False),  # Objective.title
        pa.field("run", pa.string(), nullable=False),  # name of the baseline's folder
        pa.field("at_ns", pa.int64(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),  # milliseconds, or good answers a second
    ]
)


class BaselineError(Exception):
    """A baseline nothing can be compared with; one line says why."""


def series(record: Record, objective: Objective) -> Timed:
    """The samples that an objective is judged by. Raises MissingPartError when there are none."""
    if objective.name == GOODPUT:
        values = goodput_by_second(record, Scope(objective.scope or Scope.ALL))
        return Timed(np.arange(len(values), dtype=np.int64) * 1_000_000_000, values)
    if objective.name in STALENESS:
        return staleness(record, Scope(objective.scope or Scope.ALL))
    scope = Scope(objective.scope or Scope.OUTSIDE_FAULTS)
    samples = response_times(record, objective.operation, scope)
    if not len(samples):
        what = {"place": "order", "read": "read"}.get(objective.operation, objective.operation)
        raise MissingPartError(f"no {what} was answered {scope.replace('_', ' ')} in the measured phase")
    return samples


def keep_baseline(folder: Path, objectives: Iterable[Objective], baselines: Mapping[str, Path]) -> None:
    """Writes baseline.parquet in ``folder``; ``baselines``: folders (a run's, or of repeats) by name.

    Runs of it that were INVALID are left out: how slow they were is not the platform's doing. Raises BaselineError when
    one cannot be compared with.
    """
    tables = []
    for objective in objectives:
        if objective.baseline is None:
            continue
        runs = [run for run in run_folders(baselines[objective.baseline]) if not _was_invalid(run)]
        if not runs:
            raise BaselineError(f"the baseline {objective.baseline} holds no run that was fit to be judged")
        try:
            _require_alike(Record(folder), Record(runs[0]))
            tables += [_table(objective, run.name, series(Record(run), objective)) for run in runs]
        except MissingPartError as error:
            raise BaselineError(f"the baseline {objective.baseline} cannot be compared with: {error}") from error
    if tables:
        pq.write_table(pa.concat_tables(tables), folder / f"{TABLE}.parquet", compression="zstd")


def kept_baseline(record: Record, objective: Objective) -> list[Timed]:
    """One series a run of the baseline. Raises MissingPartError when the record kept none."""
    rows = record.frame(TABLE)
    rows = rows[rows["objective"] == objective.title]
    if not len(rows):
        raise MissingPartError(f"baseline.parquet holds nothing for {objective.title}")
    return [
        Timed(run["at_ns"].to_numpy(np.int64), run["value"].to_numpy(np.float64))
        for _, run in rows.groupby("run", sort=True)
    ]


def _was_invalid(run: Path) -> bool:
    """Not of one that was never judged: nothing is known against it."""
    try:
        return Record(run).verdict().verdict is VerdictKind.INVALID
    except MissingPartError:
        return False


def _require_alike(record: Record, baseline: Record) -> None:
    """Raises MissingPartError: under another load or on another topology, any change would be theirs."""
    if blockers := likeness(record.run, baseline.run).blockers:
        raise MissingPartError("; ".join(blockers))


def _table(objective: Objective, run: str, samples: Timed) -> pa.Table:
    count = len(samples)
    columns = [[objective.title] * count, [run] * count, samples.at_ns, samples.values]
    return pa.Table.from_arrays([pa.array(column) for column in columns], schema=SCHEMA)
