"""How many good answers a second the platform gave to the load."""

from __future__ import annotations

import numpy as np

from reports.dependence import Floats
from reports.latency import Scope, errored
from reports.outage import windows
from reports.record import MissingPartError, Record
from reports.timeline import NS_PER_S, measured


def goodput_by_second(record: Record, scope: Scope = Scope.ALL) -> Floats:
    """Good answers (of any kind of operation) that came in each whole second of the measured phase.

    A second belongs inside when a fault's window touches it. Raises MissingPartError when no second is left.
    """
    start_ns, end_ns = measured(record)
    seconds = (end_ns - start_ns) // NS_PER_S
    counts = np.zeros(seconds)
    for operation in record.operations:
        if operation.source == "load" and operation.done_ns is not None and not errored(operation):
            second = (operation.done_ns - start_ns) // NS_PER_S
            if 0 <= second < seconds:
                counts[second] += 1
    if scope is not Scope.ALL:
        inside = np.zeros(seconds, dtype=bool)
        for window_start_ns, window_end_ns in windows(record):
            first, last = (window_start_ns - start_ns) // NS_PER_S, (window_end_ns - start_ns) // NS_PER_S
            inside[max(0, first) : max(0, last + 1)] = True
        counts = counts[inside if scope is Scope.INSIDE_FAULTS else ~inside]
    if not len(counts):
        raise MissingPartError(f"the measured phase has no whole second {scope.replace('_', ' ')}")
    return counts
