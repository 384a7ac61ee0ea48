"""How old the market's news was when a subscriber had it: from the engine's commit to the message's arrival."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec
import numpy as np

from reports.dependence import Timed, timed
from reports.latency import Scope, is_steady
from reports.outage import windows
from reports.record import MissingPartError, Record
from reports.timeline import NS_PER_MS, NS_PER_S, measured

_NEWS: Final = ("o", "t")  # books and trades; what else comes is about the connection or repeats these


class _Dated(msgspec.Struct):
    """Of a message only when it happened, and whether it repeats a whole book (``r``)."""

    t: datetime | None = None
    r: bool = False


_DECODER: Final = msgspec.json.Decoder(_Dated)


def staleness(record: Record, scope: Scope = Scope.ALL) -> Timed:
    """Milliseconds by moment of arrival, of every book change and trade of the measured phase.

    Snapshots are left out: they answer a subscription and are as old as the last change. Both clocks are this
    machine's. Raises MissingPartError when nothing was received.
    """
    start_ns, end_ns = measured(record)
    spans = windows(record)
    at_ns, ages_ms = [], []
    for message in record.feed:
        if message.kind not in _NEWS or not start_ns <= message.received_ns < end_ns:
            continue
        inside = any(start <= message.received_ns <= end for start, end in spans)
        if scope is not Scope.ALL and inside != (scope is Scope.INSIDE_FAULTS):
            continue
        happened_ns = _happened_ns(message.message)
        if happened_ns is not None:
            at_ns.append(message.received_ns)
            ages_ms.append((message.received_ns - happened_ns) / NS_PER_MS)
    if not ages_ms:
        raise MissingPartError(f"no news of the market was received {scope.replace('_', ' ')} in the measured phase")
    return timed(at_ns, list(np.maximum(ages_ms, 0.0)), steady=is_steady(record, scope))


def _happened_ns(message: str) -> int | None:
    try:
        dated = _DECODER.decode(message)
    except msgspec.MsgspecError as error:
        raise MissingPartError(f"feed holds a message that cannot be read: {error}") from error
    if dated.t is None or dated.r:
        return None
    seconds = int(dated.t.replace(microsecond=0).timestamp())
    return seconds * NS_PER_S + dated.t.microsecond * 1_000
