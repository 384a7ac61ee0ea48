"""What every benchmark shares: alternating rounds against its peers, and the one line of JSON at the end."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Mapping
from statistics import median
from time import process_time
from types import MappingProxyType

from trading.compiled import kind
from trading.core import exchange

Contender = Callable[[], int]  # does the work once and returns how many operations that was

_NONE: Mapping[str, float] = MappingProxyType({})


def alternate(contenders: Mapping[str, Contender], rounds: int) -> dict[str, list[float]]:
    """Operations per second of every contender in every round; all take turns, so that noise hits all alike.

    The seconds are the processor's: a contender that only computes is not slower because other processes run.
    """
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    collect_garbage_as_an_engine()
    for _ in range(rounds):
        for name, contender in contenders.items():
            gc.collect()
            started = process_time()
            operations = contender()
            rates[name].append(operations / (process_time() - started))
    return rates


def collect_garbage_as_an_engine() -> None:
    """What is there already is not looked through again, and what lives long seldom: as ``trading.infra.process``."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 10, 10_000)


def report(
    name: str,
    *,
    unit: str,
    goal: float,
    rates: Mapping[str, list[float]],
    least: Mapping[str, float] = _NONE,
    at_most: Mapping[str, tuple[float, float]] = MappingProxyType({}),
) -> None:
    """Prints a line per contender and the result: the median of the first contender, and its ratio to each peer.

    The goal is met when the median reaches it, the ratio to each peer in ``least`` reaches what stands there, and no
    further figure of ``at_most`` exceeds its own goal.
    """
    print(f"the core is {kind(exchange)}")
    for contender, figures in rates.items():
        print(f"{contender:40} {median(figures):14,.0f} {unit}   {min(figures):,.0f} .. {max(figures):,.0f}")
    (_, ours), *peers = rates.items()
    value = median(ours)
    ratios = {peer: _paired_ratio(ours, figures) for peer, figures in peers}
    result = {
        "name": name,
        "value": round(value),
        "unit": unit,
        "goal": goal,
        "met": value >= goal
        and all(ratios[peer] >= ratio for peer, ratio in least.items())
        and all(figure <= limit for figure, limit in at_most.values()),
        "ratios": {peer: round(ratio, 3) for peer, ratio in ratios.items()},
        "core": kind(exchange),
        "rounds": len(ours),
        "spread": round((max(ours) - min(ours)) / value, 3),
        **{figure: {"value": round(value, 1), "goal": limit} for figure, (value, limit) in at_most.items()},
    }
    print(json.dumps(result))


def _paired_ratio(ours: list[float], peers: list[float]) -> float:
    """The median over rounds of ours to theirs: a slow moment of the machine hits both halves of a pair."""
    return median(our / their for our, their in zip(ours, peers, strict=True))
