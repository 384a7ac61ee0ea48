"""What every benchmark shares: alternating rounds against its peers, and the one line of JSON at the end."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter
from types import MappingProxyType

Contender = Callable[[], int]  # does the work once and returns how many operations that was


def alternate(contenders: Mapping[str, Contender], rounds: int) -> dict[str, list[float]]:
    """Operations per second of every contender in every round; all take turns, so that noise hits all alike."""
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    gc.freeze()  # the prepared input is nobody's garbage to look through
    for _ in range(rounds):
        for name, contender in contenders.items():
            gc.collect()
            started = perf_counter()
            operations = contender()
            rates[name].append(operations / (perf_counter() - started))
    return rates


def report(
    name: str,
    *,
    unit: str,
    goal: float,
    rates: Mapping[str, list[float]],
    at_most: Mapping[str, tuple[float, float]] = MappingProxyType({}),
) -> None:
    """Prints a line per contender and the result: the median of the first contender, and its ratio to each peer.

    ``at_most`` holds further figures, each with a goal that it must not exceed.
    """
    for contender, figures in rates.items():
        print(f"{contender:40} {median(figures):14,.0f} {unit}   {min(figures):,.0f} .. {max(figures):,.0f}")
    (_, ours), *peers = rates.items()
    value = median(ours)
    result = {
        "name": name,
        "value": round(value),
        "unit": unit,
        "goal": goal,
        "met": value >= goal and all(figure <= limit for figure, limit in at_most.values()),
        "ratios": {peer: round(_paired_ratio(ours, figures), 3) for peer, figures in peers},
        "rounds": len(ours),
        "spread": round((max(ours) - min(ours)) / value, 3),
        **{figure: {"value": round(value, 1), "goal": limit} for figure, (value, limit) in at_most.items()},
    }
    print(json.dumps(result))


def _paired_ratio(ours: list[float], peers: list[float]) -> float:
    """The median over rounds of ours to theirs: a slow moment of the machine hits both halves of a pair."""
    return median(our / their for our, their in zip(ours, peers, strict=True))
