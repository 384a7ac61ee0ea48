"""What each node used of the machine, from the record's metric samples."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import pandas as pd

from reports.record import Record
from reports.timeline import NS_PER_S

Series = dict[str, tuple[list[int], list[float]]]  # node -> (at_ns, value)

# What a sampler outside the process writes, and what prometheus_client writes inside it.
CPU_GAUGE: Final = "cpu_percent"
CPU_COUNTER: Final = "process_cpu_seconds_total"
RESIDENT: Final = ("rss_bytes", "process_resident_memory_bytes")
_MEBIBYTE: Final = 2**20


def cpu_percent(record: Record) -> Series:
    """CPU in per cent of one core: sampled, else from the counter of CPU seconds."""
    samples = record.metrics
    series = _series(samples, (CPU_GAUGE,), 1.0)
    for node, (times, values) in _series(samples, (CPU_COUNTER,), 1.0).items():
        if node not in series and len(times) > 1:
            series[node] = (times[1:], _rates(times, values))
    return series


def resident_mebibytes(record: Record) -> Series:
    return _series(record.metrics, RESIDENT, 1 / _MEBIBYTE)


def _series(samples: pd.DataFrame, metrics: tuple[str, ...], factor: float) -> Series:
    """The first of ``metrics`` that a node has."""
    series: Series = {}
    for metric in metrics:
        chosen = samples[samples["metric"] == metric].sort_values("at_ns", kind="stable")
        for node, rows in chosen.groupby("node", sort=True):
            times = [int(at_ns) for at_ns in rows["at_ns"]]
            series.setdefault(str(node), (times, [float(value) * factor for value in rows["value"]]))
    return series


def _rates(times: list[int], values: list[float]) -> list[float]:
    """Per cent between neighbouring samples; a restarted process begins again at 0."""
    pairs = zip(pairwise(times), pairwise(values), strict=True)
    return [100 * max(0.0, after - before) * NS_PER_S / max(1, end - start) for (start, end), (before, after) in pairs]
