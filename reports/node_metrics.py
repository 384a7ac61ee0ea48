"""What each node used of the machine, from the record's metric samples."""

from __future__ import annotations

from typing import Final

import pandas as pd

from reports.record import MissingPartError, Record
from reports.timeline import measured

Series = dict[str, tuple[list[int], list[float]]]  # node -> (at_ns, value)

MACHINE: Final = "machine"  # the node that its samples name
_MEBIBYTE: Final = 2**20


def cpu_percent(record: Record) -> Series:
    """Per cent of one core."""
    return _series(record.metrics, "cpu_percent", 1.0)


def resident_mebibytes(record: Record) -> Series:
    return _series(record.metrics, "rss_bytes", 1 / _MEBIBYTE)


def measured_metrics(record: Record, metric: str, node: str | None = None) -> pd.DataFrame:
    """The samples of the measured phase."""
    start_ns, end_ns = measured(record)
    samples = record.metrics
    chosen = (samples["metric"] == metric) & (samples["at_ns"] >= start_ns) & (samples["at_ns"] <= end_ns)
    if node is not None:
        chosen &= samples["node"] == node
    return samples[chosen]


def cores_of(record: Record) -> int:
    """Of the machine. Raises MissingPartError when run.json does not say."""
    cores = record.run.get("machine", {}).get("cores")
    if not isinstance(cores, int) or cores < 1:
        raise MissingPartError("run.json does not say how many cores the machine has")
    return cores


def _series(samples: pd.DataFrame, metric: str, factor: float) -> Series:
    series: Series = {}
    chosen = samples[samples["metric"] == metric].sort_values("at_ns", kind="stable")
    for node, rows in chosen.groupby("node", sort=True):
        series[str(node)] = ([int(at) for at in rows["at_ns"]], [float(value) * factor for value in rows["value"]])
    return series
