"""Does a live market keep a schedule of a thousand orders a second beside the whole platform, on the same cores?

An even day of the reference market, sped up so that its orders come at that rate; lag is how long after its moment a
request went out. Half the rate and beyond it are measured beside it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from time import process_time
from typing import Any

import uvloop

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


async def main() -> None:
    day = even_day()
    own_rate = orders_a_second(day)
    kept: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        async with EmbeddedStack(topology(day.symbols[0].symbol), StackOptions(folder / "stack")) as stack:
            for rate in RATES:
                document, achieved, cores = await traded(stack, day, rate / own_rate, folder / str(rate))
                fills, lag = document["fills"], document["lag_ms"]
                print(
                    f"{rate} orders/s: {achieved:,.0f} went out, lag p50 {lag['p50']:.1f} ms, p99 {lag['p99']:.1f} ms, "
                    f"{'valid' if document['valid'] else 'INVALID'}, {document['refused']} refused, "
                    f"{document['unknown']} unknown, {cores:.0%} of a core, "
                    f"distance of fills {fills['on_arrival']['distance']} on arrival, "
                    f"{fills['at_the_end']['distance']} at the end"
                )
                sys.stdout.flush()
                if document["valid"] and not document["unknown"]:
                    kept[rate] = lag["p99"]
    best = max(kept, default=0)
    result = {
        "name": "live market",
        "value": best,
        "unit": "orders/s kept",
        "goal": GOAL,
        "met": best >= GOAL,
        "ratios": {"lag p99 ms": kept.get(best, 0.0)},
        "rounds": 1,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    uvloop.run(main())
