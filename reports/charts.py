"""The report's charts as data: Plotly traces and shapes, thinned, from the record.

Colours are roles ("load", "good", ...) that the page turns into colours of its light or dark scheme.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import cycle
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from reports.latency import Samples, Scope, response_ms
from reports.node_metrics import Series, cpu_percent, resident_mebibytes
from reports.outage import outages
from reports.record import MissingPartError, Record
from reports.records import OutcomeKind
from reports.rows import Operation
from reports.timeline import NS_PER_MS, NS_PER_S, faults, measured, phases, role_spans

Chart = dict[str, Any]

MAX_POINTS: Final = 4_000
MAX_CURVE_POINTS: Final = 400
MAX_BINS: Final = 160
MAX_SILENT: Final = 500
BINS_PER_DECADE: Final = 12  # of response time: steps of a fifth
_BIN_WIDTHS_S: Final = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_NODE_COLOURS: Final = ("n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8")


def all_charts(record: Record) -> dict[str, Chart]:
    """Every chart the record has data for, by the id of its place in the page."""
    makers: dict[str, Callable[[Record], Chart]] = {
        "latency": latency_chart,
        "heat": heat_chart,
        "rate": rate_chart,
        "timeline": timeline_chart,
        "distribution": distribution_chart,
        "cpu": lambda record: _lines(record, cpu_percent(record), "CPU, % of one core"),
        "memory": lambda record: _lines(record, resident_mebibytes(record), "resident memory, MiB"),
    }
    charts = {}
    for name, make in makers.items():
        try:
            chart = make(record)
        except MissingPartError:
            continue
        if chart["traces"]:
            charts[name] = chart
    return charts


def latency_chart(record: Record) -> Chart:
    """Response time of orders over their intended start, and each second's percentiles."""
    zero_ns, _ = measured(record)
    orders = [o for o in record.operations if o.source == "load" and o.kind == "place" and o.sent_ns is not None]
    good = [o for o in orders if o.outcome is not OutcomeKind.UNKNOWN and o.done_ns is not None]
    unknown = [o for o in orders if o.outcome is OutcomeKind.UNKNOWN]
    silent = [o for o in unknown if o.done_ns is None]
    unknown = [o for o in unknown if o.done_ns is not None]
    times, durations = _moments(good, zero_ns), _durations(good)
    top = 1.3 * float(max([1.0, *durations, *_durations(unknown)]))
    kept, silent = thinned(durations, MAX_POINTS), silent[:: len(silent) // MAX_SILENT + 1]
    traces = [
        _points("an order", times[kept], durations[kept], colour="load"),
        _points("outcome unknown", _moments(unknown, zero_ns), _durations(unknown), colour="bad", symbol="x"),
        _points("no answer", _moments(silent, zero_ns), np.full(len(silent), top), colour="bad", symbol="x"),
        *_percentile_lines(times, durations),
    ]
    return _chart(record, [trace for trace in traces if trace["x"]], y="response time, ms", log=True)


def heat_chart(record: Record) -> Chart:
    """How many orders of each short time took how long: every answered one counts, none is left out for its number.

    ``counts`` holds a row per band of response time, a value per bin of intended starts; ``x`` and ``bands`` are the
    edges, one more than there are bins and bands.
    """
    zero_ns, _ = measured(record)
    orders = [o for o in record.operations if o.source == "load" and o.kind == "place" and o.sent_ns and o.done_ns]
    if not orders:
        raise MissingPartError("no order of the load was answered")
    durations = np.maximum(_durations(orders), 1e-3)  # a clock's step back is no latency
    ends = np.log10([durations.min(), durations.max()]) * BINS_PER_DECADE
    bands = 10 ** (np.arange(np.floor(ends[0]), np.floor(ends[1]) + 2) / BINS_PER_DECADE)
    x = _time_bins(record)
    counts, _, _ = np.histogram2d(durations, _moments(orders, zero_ns), bins=(bands, x))
    trace = {
        "kind": "heat",
        "name": "orders",
        "x": _rounded(x),
        "bands": [float(f"{edge:.4g}") for edge in bands],
        "counts": counts.astype(int).tolist(),
    }
    return _chart(record, [trace], y="response time, ms", log=True)


def rate_chart(record: Record) -> Chart:
    """Operations a second, counted in short bins: as intended, as sent, and orders acknowledged."""
    zero_ns, _ = measured(record)
    load = [operation for operation in record.operations if operation.source == "load"]
    if not load:
        raise MissingPartError("no operation of the load")
    seconds = _time_bins(record)
    width_s = float(seconds[1] - seconds[0])
    good = [o.done_ns for o in load if o.kind == "place" and o.outcome is OutcomeKind.OK]
    lines = (
        ("offered", [o.intended_ns for o in load], "muted"),
        ("sent", [o.sent_ns for o in load], "load"),
        ("orders acknowledged", good, "good"),
    )
    traces = []
    for name, moments, colour in lines:
        counts, _ = np.histogram([(ns - zero_ns) / NS_PER_S for ns in moments if ns is not None], bins=seconds)
        line = _line(name, seconds[:-1] + width_s / 2, counts / width_s, colour=colour, shape="hvh")
        traces.append({**line, "filled": name == "offered"})
    return _chart(record, traces, y="a second")


def distribution_chart(record: Record) -> Chart:
    """How many orders took longer than a time, inside and outside the windows of faults."""
    scopes = ((Scope.OUTSIDE_FAULTS, "load"), (Scope.INSIDE_FAULTS, "bad"))
    return tail_chart([(s.replace("_", " "), response_ms(record, "place", s), colour) for s, colour in scopes])


def tail_chart(series: Iterable[tuple[str, Samples, str]]) -> Chart:
    """Of (name, sorted samples, colour) each: the tail, on two logarithmic axes."""
    traces = []
    for name, samples, colour in series:
        if len(samples):
            x, y = slower_than(samples)
            traces.append(_line(name, x, y, colour=colour, shape="hv"))
    return {"traces": traces, "x": "response time, ms", "y": "% of orders that took longer", "log_x": True, "log": True}


def timeline_chart(record: Record) -> Chart:
    """Phases, faults and roles as bars over the run."""
    zero_ns, _ = measured(record)
    last_ns = record.events[-1].at_ns
    bars = [("phases", span.name, span.start_ns, span.end_ns, "muted") for span in phases(record.events)]
    for fault in faults(record.events):
        if fault.injected_ns is not None:
            over_ns = fault.undone_ns or fault.failed_ns
            bars.append((fault.label, fault.fault_id, fault.injected_ns, over_ns, "bad"))
    for role in role_spans(record.events):
        epoch = "" if role.epoch is None else f", epoch {role.epoch}"
        bars.append((role.node, f"{role.role}{epoch}", role.start_ns, role.end_ns, _ROLE_COLOURS.get(role.role, "n1")))
    traces = [
        {
            "kind": "bar",
            "row": row,
            "text": text,
            "start": _seconds(start_ns, zero_ns),
            "length": round(((end_ns or last_ns) - start_ns) / NS_PER_S, 3),
            "colour": colour,
            "open": end_ns is None,
        }
        for row, text, start_ns, end_ns, colour in bars
    ]
    rows = list(dict.fromkeys(trace["row"] for trace in traces))
    return {"traces": traces, "rows": rows, "x": _X_TITLE}


def thinned(values: npt.NDArray[np.float64], limit: int) -> npt.NDArray[np.int64]:
    """Indices of at most about ``limit`` values: the slowest fifth of them all, the rest evenly spaced."""
    if len(values) <= limit:
        return np.arange(len(values))
    slowest = np.argsort(values, kind="stable")[-limit // 5 :]
    even = np.linspace(0, len(values) - 1, limit - len(slowest)).astype(np.int64)
    return np.unique(np.concatenate([slowest, even]))


def slower_than(samples: Samples) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """For some of the sorted samples: the percentage of all that took longer; denser towards the tail."""
    count = len(samples)
    beyond = np.unique(np.geomspace(1, count, min(count, MAX_CURVE_POINTS)).astype(np.int64))[::-1]
    return samples[count - beyond], 100 * beyond / count


# -- parts -----------------------------------------------------------------------------------------

_X_TITLE: Final = "seconds since the measured phase began"
_ROLE_COLOURS: Final = {"active": "good", "primary": "good", "standby": "n1", "exited": "muted"}


def _chart(record: Record, traces: list[Chart], *, y: str, log: bool = False) -> Chart:
    zero_ns, end_ns = measured(record)
    shades = [
        {
            "start": _seconds(outage.window_start_ns, zero_ns),
            "end": _seconds(min(outage.window_end_ns, max(end_ns, outage.window_start_ns)), zero_ns),
            "undone": None if outage.fault.undone_ns is None else _seconds(outage.fault.undone_ns, zero_ns),
            "label": outage.fault.label,
        }
        for outage in outages(record)
    ]
    return {"traces": traces, "x": _X_TITLE, "y": y, "log": log, "shades": shades, "range": _load_range(record)}


def _load_range(record: Record) -> list[float]:
    """From the load's first operation to the end of the measured phase, in seconds: what charts over time share."""
    zero_ns, end_ns = measured(record)
    first_ns = min((o.intended_ns for o in record.operations if o.source == "load"), default=zero_ns)
    return [_seconds(min(first_ns, zero_ns), zero_ns), _seconds(end_ns, zero_ns)]


def _time_bins(record: Record) -> npt.NDArray[np.float64]:
    """Edges in seconds, of the narrowest bins that are not too many."""
    start_s, end_s = _load_range(record)
    fitting = (width for width in _BIN_WIDTHS_S if (end_s - start_s) / width <= MAX_BINS)
    width_s = next(fitting, _BIN_WIDTHS_S[-1])
    return np.arange(np.floor(start_s), end_s + width_s, width_s)


def _percentile_lines(times: npt.NDArray[np.float64], durations: Samples) -> list[Chart]:
    seconds = np.floor(times).astype(np.int64)
    lines = []
    for name, quantile, colour in (("p50 of a second", 50, "good"), ("p99 of a second", 99, "strong")):
        x, y = [], []
        for second in np.unique(seconds):
            x.append(float(second) + 0.5)
            y.append(np.percentile(durations[seconds == second], quantile, method="inverted_cdf"))
        lines.append(_line(name, np.array(x), np.array(y), colour=colour))
    return lines


def _lines(record: Record, series: Series, y: str) -> Chart:
    zero_ns, _ = measured(record)
    traces = [
        {
            **_line(
                node, np.array([(at - zero_ns) / NS_PER_S for at in points[0]]), np.array(points[1]), colour=colour
            ),
            "dash": "solid" if number < len(_NODE_COLOURS) else "dot",
        }
        for number, ((node, points), colour) in enumerate(zip(sorted(series.items()), cycle(_NODE_COLOURS)))
    ]
    return _chart(record, traces, y=y)


def _line(name: str, x: npt.NDArray[Any], y: npt.NDArray[Any], *, colour: str, shape: str = "linear") -> Chart:
    return {"kind": "line", "name": name, "x": _rounded(x), "y": _rounded(y), "colour": colour, "shape": shape}


def _points(
    name: str, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], *, colour: str, symbol: str = "circle"
) -> Chart:
    return {"kind": "points", "name": name, "x": _rounded(x), "y": _rounded(y), "colour": colour, "symbol": symbol}


def _moments(operations: Sequence[Operation], zero_ns: int) -> npt.NDArray[np.float64]:
    return np.array([(o.intended_ns - zero_ns) / NS_PER_S for o in operations])


def _durations(operations: Sequence[Operation]) -> npt.NDArray[np.float64]:
    return np.array([((o.done_ns or o.intended_ns) - o.intended_ns) / NS_PER_MS for o in operations])


def _seconds(at_ns: int, zero_ns: int) -> float:
    return round((at_ns - zero_ns) / NS_PER_S, 3)


def _rounded(values: npt.NDArray[Any]) -> list[float]:
    return [round(float(value), 3) for value in values]
