"""How fast is a day of ABIDES' reference size (09:30-16:00, one symbol, 1,000 noise traders, 100 value traders, 12
momentum traders, 2 makers), its record written to disk? Peer: a bare SimPy loop with one ``timeout`` for each of
the 470,000 messages of ABIDES' day (RMSC-4 on such a machine: 13-18 s). Ten times the traders and more symbols are
measured beside it.
"""

from __future__ import annotations

import gc
import json
import sys
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

from simpy import Environment
from simpy.events import Event

from simulator.days.day import Day, SymbolWords
from simulator.days.kernel import Kernel
from simulator.days.loader import find_day
from simulator.days.simulation import Simulation

GOAL_S = 1.5
ROUNDS = 3
KINDS = ("noise", "value", "momentum", "maker")
MESSAGES = 470_000
AGENTS = 1_000
SYMBOLS = 4


@dataclass(frozen=True)
class Played:
    seconds: float
    requests: int
    messages: int


def reference_day(*, times: int = 1, symbols: int = 1) -> Day:
    """The default day with ABIDES' four kinds of traders alone."""
    day = find_day("default").day
    groups = [group.model_copy(update={"count": group.count * times}) for group in day.traders if group.kind in KINDS]
    listed = tuple(SymbolWords(symbol=f"S{number}", price=day.symbols[0].price) for number in range(symbols))
    return day.model_copy(update={"traders": groups, "symbols": listed})


def play(day: Day, seed: int) -> Played:
    gc.collect()
    with tempfile.TemporaryDirectory() as folder:
        began = process_time()
        simulation = Simulation(day, seed, Path(folder))
        assert simulation.run().balance
        seconds = process_time() - began
    desks = simulation.marketplace.desks
    requests = sum(desk.requests for desk in desks)
    return Played(seconds, requests, sum(desk.wakes + desk.answers for desk in desks) + requests)


def bare_simpy() -> float:
    """Seconds of ``AGENTS`` processes that only wait, ``MESSAGES`` times together."""
    gc.collect()
    environment = Environment()

    def agent(pause: float) -> Generator[Event, None, None]:
        while True:
            yield environment.timeout(pause)

    for number in range(AGENTS):
        environment.process(agent(1.0 + number / AGENTS))
    began = process_time()
    for _ in range(MESSAGES):
        environment.step()
    return process_time() - began


def shares(day: Day) -> dict[str, float]:
    """Which part of the time goes where; the clock's own cost falls on the traders."""
    spent = {"core": 0.0, "heap": 0.0}
    simulation = Simulation(day, 1)
    apply, drain = simulation.marketplace.exchange.apply, Kernel._drain

    class Timed:
        def __getattr__(self, name: str) -> Any:
            return getattr(exchange, name)

        def apply(self, command: Any) -> Any:
            began = process_time()
            outcome = apply(command)
            spent["core"] += process_time() - began
            return outcome

    def timed_drain(kernel: Kernel) -> None:
        began = process_time()
        drain(kernel)
        spent["heap"] += process_time() - began

    exchange, simulation.marketplace.exchange = simulation.marketplace.exchange, Timed()  # type: ignore[assignment]
    Kernel._drain = timed_drain  # type: ignore[method-assign,assignment]
    began = process_time()
    try:
        simulation.run()
    finally:
        Kernel._drain = drain  # type: ignore[method-assign]
    total = process_time() - began
    return {
        "core": spent["core"] / total,
        "traders, desks and record": (spent["heap"] - spent["core"]) / total,
        "simpy, sessions and samples": 1.0 - spent["heap"] / total,
    }


def main() -> None:
    play(find_day("thin").day, 1)  # pyarrow imports pandas with its first table
    day, seconds, loops = reference_day(), [], []
    for seed in range(1, ROUNDS + 1):
        played = play(day, seed)
        seconds.append(played.seconds)
        loops.append(bare_simpy())
        print(f"seed {seed}: {played.seconds:.2f} s, {played.requests:,} requests, {played.messages:,} messages")
        sys.stdout.flush()
    parts = shares(day)
    print(", ".join(f"{name} {share:.0%}" for name, share in parts.items()))
    small = median(seconds)
    tenfold, fourfold = play(reference_day(times=10), 1), play(reference_day(symbols=SYMBOLS), 1)
    many, wide = tenfold.seconds / small, fourfold.seconds / small
    print(f"10 x the traders: {many:.1f} x the time (goal 12), {tenfold.requests:,} requests")
    print(f"{SYMBOLS} symbols: {wide:.1f} x the time, {fourfold.requests:,} requests")
    ratio = median(loop / second for loop, second in zip(loops, seconds, strict=True))
    result = {
        "name": "day of the market simulator",
        "value": round(small, 2),
        "unit": "s",
        "goal": GOAL_S,
        "met": small <= GOAL_S
        and many <= 12
        and wide <= 1.2 * SYMBOLS
        and parts["simpy, sessions and samples"] < 1 / 3,
        "ratios": {"bare SimPy loop": round(ratio, 2)},
        "rounds": ROUNDS,
        "spread": round((max(seconds) - min(seconds)) / small, 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
