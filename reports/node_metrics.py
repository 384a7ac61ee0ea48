"""What each node used of the machine, from the record's metric samples."""

from __future__ import annotations

from typing import Final

import pandas as pd

from reports.record import Record

Series = dict[str, tuple[list[int], list[float]]]  # node -> (at_ns, value)

_MEBIBYTE: Final = 2**20


def cpu_percent(record: Record) -> Series:
    """Per cent of one core."""
    return _series(record.metrics, "cpu_percent", 1.0)


def resident_mebibytes(record: Record) -> Series:
    return _series(record.metrics, "rss_bytes", 1 / _MEBIBYTE)


def _series(samples: pd.DataFrame, metric: str, factor: float) -> Series:
    series: Series = {}
    chosen = samples[samples["metric"] == metric].sort_values("at_ns", kind="stable")
    for node, rows in chosen.groupby("node", sort=True):
        series[str(node)] = ([int(at) for at in rows["at_ns"]], [float(value) * factor for value in rows["value"]])
    return series
