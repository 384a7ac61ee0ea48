"""Does a live market keep a schedule of a thousand orders a second beside the whole platform, on the same cores?

An even day of the reference market, sped up so that its orders come at that rate; lag is how long after its moment a
request went out. The rates are tried one after the other, each on a
platform of its own, until one is not kept.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path
from time import process_time
from typing import Any

import uvloop

from reports.records import OutcomeKind, read_table
from simulator.benchmarks.day import reference_day
from simulator.days.day import ActivityWords, Day
from simulator.days.live_session import trade_live
from simulator.days.simulation import Simulation
from stack.accounts import generate_accounts
from stack.embedded import EmbeddedStack
from stack.options import StackOptions
from stack.topology import Instrument, Topology, platform_topology
from trading.core.orders import NS_PER_S

GOAL = 1_000
RATES = (500, 1_000, 1_500)
SECONDS = 12
_PROBE_S = 1_800


def topology(symbol: str) -> Topology:
    accounts = generate_accounts(50, cash_micros=10**15, shares={symbol: 10**8})
    return platform_topology(instruments=[Instrument(symbol, 10_000, 100_000_000)], accounts=accounts)


def even_day() -> Day:
    """Without a U shape and bursts, and without calls, at whose ends nothing is sent for a while."""
    day = reference_day()
    sessions = day.sessions.model_copy(update={"opening_call": None, "closing_call": None})
    return day.model_copy(update={"activity": ActivityWords(), "sessions": sessions})


def orders_a_second(day: Day) -> float:
    """Of the day's own time."""
    simulation = Simulation(day, 1)
    simulation.advance(day.sessions.first_ns + _PROBE_S * NS_PER_S)
    return sum(desk.placed for desk in simulation.marketplace.desks) / _PROBE_S


async def traded(stack: EmbeddedStack, day: Day, speed: float, folder: Path) -> tuple[dict[str, Any], float, float]:
    """The report's document, orders a second of real time, and the share of a core that the market took."""
    simulation = Simulation(day, 1)
    until_ns = day.sessions.first_ns + int(SECONDS * speed * NS_PER_S)
    loop, began_cpu = asyncio.get_running_loop(), process_time()
    began = loop.time()
    report = await trade_live(simulation, stack.status(), folder, speed=speed, until_ns=until_ns)
    took = loop.time() - began
    orders = sum(desk.placed for desk in simulation.marketplace.desks)
    return report.document(), orders / max(took, SECONDS), (process_time() - began_cpu) / took


def refusals(folder: Path) -> str:
    """The most frequent three, as the platform worded them, without the numbers."""
    operations = read_table(folder, "operations-market").to_pylist()
    words = Counter(
        re.sub(r"[\d.]+", "#", row["answer"][:90]) for row in operations if row["outcome"] == OutcomeKind.FAIL
    )
    return "; ".join(f"{count} x {text}" for text, count in words.most_common(3))


async def kept_lag_ms(day: Day, rate: int, own_rate: float, folder: Path) -> float | None:
    """The lag of the slowest hundredth on a platform of its own; None when the market did not keep its schedule."""
    async with EmbeddedStack(topology(day.symbols[0].symbol), StackOptions(folder / "stack")) as stack:
        document, achieved, cores = await traded(stack, day, rate / own_rate, folder / "day")
    fills, lag = document["fills"], document["lag_ms"]
    print(
        f"{rate} orders/s: {achieved:,.0f} went out, lag p50 {lag['p50']:.1f} ms, p99 {lag['p99']:.1f} ms, "
        f"{'valid' if document['valid'] else 'INVALID'}, {document['requests_unsent']} never sent, "
        f"{document['refused']} refused, {document['unknown']} unknown, "
        f"{cores:.0%} of a core, distance of fills {fills['on_arrival']['distance']} on arrival, "
        f"{fills['at_the_end']['distance']} at the end"
    )
    print(f"  refused: {refusals(folder / 'day')}")
    sys.stdout.flush()
    return float(lag["p99"]) if document["valid"] and not document["unknown"] else None


async def main() -> None:
    day = even_day()
    own_rate = orders_a_second(day)
    best, lag_ms = 0, 0.0
    for rate in RATES:
        with tempfile.TemporaryDirectory() as folder:
            kept = await kept_lag_ms(day, rate, own_rate, Path(folder))
        if kept is None:
            break
        best, lag_ms = rate, kept
    result = {
        "name": "live market",
        "value": best,
        "unit": "orders/s kept",
        "goal": GOAL,
        "met": best >= GOAL,
        "ratios": {"lag p99 ms": lag_ms},
        "rounds": 1,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    uvloop.run(main())
