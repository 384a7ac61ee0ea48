"""How long the whole highly-available stack takes from nothing to ready, against its parts alone in the same run."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from stack.accounts import generate_accounts
from stack.embedded import EmbeddedStack
from stack.options import EMBEDDED_ROLES, StackOptions
from stack.programs import python_env
from stack.topology import Instrument, Role, Topology, platform_topology

ROUNDS = 3
GOAL_S = 10.0
SERVERS = frozenset({Role.POSTGRES, Role.REDIS, Role.SENTINEL, Role.TOXIPROXY})


def quickstart_topology() -> Topology:
    symbols = ("AAA", "BBB")
    return platform_topology(
        instruments=[Instrument(s, tick_micros=10_000, reference_price_micros=100_000_000) for s in symbols],
        accounts=generate_accounts(20, cash_micros=10**12, shares=dict.fromkeys(symbols, 10_000)),
        proxied=["engine->postgres"],
    )


async def up_and_down(roles: frozenset[Role], logs: Path) -> float:
    """Seconds until everything was ready."""
    began = time.perf_counter()
    async with EmbeddedStack(quickstart_topology(), StackOptions(logs, roles=roles)):
        return time.perf_counter() - began


def import_alone() -> float:
    """What one of the platform's seven Python processes needs before its first own line, with the machine to itself."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import trading.api.app"], env=python_env(), check=True)
    return time.perf_counter() - began


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        logs = Path(folder)
        contenders: dict[str, Callable[[], float]] = {
            "whole stack": lambda: asyncio.run(up_and_down(EMBEDDED_ROLES, logs)),
            "servers alone": lambda: asyncio.run(up_and_down(SERVERS, logs)),
            "one process's imports alone": import_alone,
        }
        contenders["whole stack"]()  # the first start on a machine also compiles the packages to bytecode
        seconds: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(ROUNDS):
            for name, contender in contenders.items():
                seconds[name].append(contender())
    report(seconds)


def report(seconds: dict[str, list[float]]) -> None:
    for name, figures in seconds.items():
        print(f"{name:30} {median(figures):6.2f} s   {min(figures):.2f} .. {max(figures):.2f}")
    ours = seconds.pop("whole stack")
    value = median(ours)
    result = {
        "name": "startup",
        "value": round(value, 2),
        "unit": "s",
        "goal": GOAL_S,
        "met": value <= GOAL_S,
        "ratios": {
            peer: round(median(our / their for our, their in zip(ours, figures, strict=True)), 2)
            for peer, figures in seconds.items()
        },
        "rounds": ROUNDS,
        "spread": round((max(ours) - min(ours)) / value, 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
