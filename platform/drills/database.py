"""Drills of the PostgreSQL cluster (``python -m drills.database``): exit code 1 if anything acknowledged is lost.

Each row is a fault under writers, again and again on one cluster. The last rows are negative controls: a setup that is
wrong on purpose must lose something, or the count is worth nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import shutil
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Final

from drills.database_controls import CONTROLS, Control, controls
from drills.writers import Writers, lost, outdated, prepare
from stack.errors import ControlError
from stack.postgres.alone import PostgresCluster
from stack.postgres.nodes import PAIR, RECEIVER, REPLICA, other
from stack.postgres.record import Step

_LIMIT_S: Final = 30.0
_AGAIN_S: Final = 0.3  # of undisturbed writing before and after a fault


@dataclass
class Row:
    """All rounds of one drill. ``unsound`` counts rounds after which the epoch or the redundancy was not as it must."""

    outages_ms: list[float] = field(default_factory=list)
    redundant_s: list[float] = field(default_factory=list)
    acknowledged: int = 0
    lost: int = 0
    unsound: int = 0

    def line(self, name: str) -> str:
        low, middle, high = min(self.outages_ms), median(self.outages_ms), max(self.outages_ms)
        outage = f"{low:8.0f}{middle:8.0f}{high:8.0f}"
        rest = f"{max(self.redundant_s, default=0):9.1f}{self.acknowledged:9}{self.lost:6}{self.unsound:9}"
        return f"{name:38}{len(self.outages_ms):4}{outage}{rest}"

    def summary(self) -> dict[str, float]:
        low, middle, high = min(self.outages_ms), median(self.outages_ms), max(self.outages_ms)
        outage = {"min_ms": round(low), "median_ms": round(middle), "max_ms": round(high)}
        return {"n": len(self.outages_ms), **outage, "acknowledged": self.acknowledged, "lost": self.lost}


HEADINGS: Final = (
    f"{'':38}{'n':>4}{'min ms':>8}{'median':>8}{'max':>8}{'whole s':>9}{'acked':>9}{'lost':>6}{'unsound':>9}"
)
Fault = Callable[[PostgresCluster], Awaitable[None]]


async def kill_primary(cluster: PostgresCluster) -> None:
    await cluster.host.kill(cluster.primary)


async def freeze_primary(cluster: PostgresCluster) -> None:
    await cluster.host.freeze(cluster.primary)


async def kill_standby(cluster: PostgresCluster) -> None:
    await cluster.host.kill(other(cluster.primary))


async def freeze_standby(cluster: PostgresCluster) -> None:
    await cluster.host.freeze(other(cluster.primary))


async def kill_receiver(cluster: PostgresCluster) -> None:
    await cluster.host.kill(RECEIVER)


async def kill_replica(cluster: PostgresCluster) -> None:
    await cluster.host.kill(REPLICA)


async def kill_both(cluster: PostgresCluster) -> None:
    """The standby, and the primary when only the receiver has what was acknowledged in between."""
    primary = cluster.primary
    cluster.host.refuse(other(primary))
    await cluster.host.kill(other(primary))
    await _until(lambda: cluster.record.sync == (RECEIVER,))
    await asyncio.sleep(_AGAIN_S)
    cluster.host.allow()
    await cluster.host.kill(primary)


async def lose_standby(cluster: PostgresCluster) -> None:
    """Its data are gone with it."""
    node = other(cluster.primary)
    await cluster.host.kill(node)
    data = cluster.cluster.data(node)
    shutil.rmtree(data.rename(data.with_name("lost")))  # at one blow: it is being started again meanwhile


async def switch_over(cluster: PostgresCluster) -> None:
    await cluster.ask("switchover")


async def die_at(step: str, fault: Fault, cluster: PostgresCluster) -> None:
    """The supervisor kills itself right after it wrote ``step`` into its record, and is started again."""
    await cluster.end_supervisor()
    doomed = await cluster.start_supervisor(die_at=step)
    with contextlib.suppress(ControlError):  # it does not live to answer
        await fault(cluster)
    await asyncio.wait_for(doomed.wait(), _LIMIT_S)
    await cluster.start_supervisor()


# By step of the record or stage of a server: the fault that leads there.
STEPS: Final[Mapping[str, Fault]] = {
    "shrinking": kill_standby,
    "growing": kill_standby,
    "draining": switch_over,
    "fencing": kill_primary,
    "fenced": kill_primary,
    "fed": kill_primary,
    "promoting": kill_primary,
    "promoted": kill_primary,
    "rewinding": kill_primary,
    "rejoining": kill_primary,
    "copying": lose_standby,
}
_CHANGES_PRIMARY: Final = frozenset(
    {"draining", "fencing", "fenced", "fed", "promoting", "promoted", "rewinding", "rejoining"}
)

FAULTS: Final[Mapping[str, tuple[Fault, bool]]] = {  # and whether another server is primary afterwards
    "primary kill -9": (kill_primary, True),
    "primary frozen": (freeze_primary, True),
    "standby kill -9": (kill_standby, False),
    "standby frozen": (freeze_standby, False),
    "standby's data lost": (lose_standby, False),
    "receiver kill -9": (kill_receiver, False),
    "replica kill -9": (kill_replica, False),
    "standby, then primary kill -9": (kill_both, True),
    "switchover": (switch_over, True),
    **{
        f"supervisor killed at {step}": (partial(die_at, step, fault), step in _CHANGES_PRIMARY)
        for step, fault in STEPS.items()
    },
}
ROWS: Final = (*FAULTS, *CONTROLS)


def both(cluster: PostgresCluster) -> str:
    """For clients: both servers of the pair."""
    return cluster.cluster.dsn(",".join(cluster.cluster.address(node) for node in PAIR))


async def run_fault(cluster: PostgresCluster, name: str, row: Row) -> None:
    """One round: undisturbed, the fault, everything back; then the acknowledged rows are looked for."""
    fault, changes = FAULTS[name]
    before = cluster.record
    async with Writers(both(cluster)) as writers:
        await writers.flowing()
        await asyncio.sleep(_AGAIN_S)
        began_s = time.monotonic()
        await fault(cluster)
        if changes:
            await _until(lambda: cluster.primary != before.primary and cluster.record.step is Step.STEADY)
        await writers.flowing()
        outage_s = writers.longest_gap_s(began_s)
        await asyncio.sleep(_AGAIN_S)
        row.redundant_s.append(_AGAIN_S + await cluster.redundant())
        outage_s = max(outage_s, writers.longest_gap_s(began_s))
    row.outages_ms.append(outage_s * 1000)
    row.acknowledged += len(writers.acknowledged)
    row.lost += await lost(cluster.dsn(), writers.acknowledged)
    after = cluster.record
    row.unsound += await outdated(cluster.dsn()) > 0
    row.unsound += after.epoch != before.epoch + changes or (after.primary != before.primary) != changes


async def run(rows: tuple[str, ...], rounds: int) -> dict[str, Row]:
    """As many rounds of each row as asked for; the faults share one cluster, the controls another."""
    done: dict[str, Row] = {}
    faults = [name for name in rows if name in FAULTS]
    if faults:
        async with PostgresCluster() as cluster:
            await prepare(cluster.dsn())
            await cluster.redundant()
            for name in faults:
                done[name] = Row()
                for _ in range(rounds):
                    await run_fault(cluster, name, done[name])
                print(done[name].line(name), flush=True)
    if chosen := [name for name in rows if name in CONTROLS]:
        async with controls() as control:
            for name in chosen:
                done[name] = Row()
                for _ in range(rounds):
                    await run_control(control, name, done[name])
                print(done[name].line(name), flush=True)
    return done


async def run_control(control: Control, name: str, row: Row) -> None:
    """One round, which is unsound when nothing was lost in it."""
    loss = await control.run(CONTROLS[name])
    row.outages_ms.append(loss.outage_s * 1000)
    row.acknowledged += loss.acknowledged
    row.lost += loss.lost
    row.unsound += loss.lost == 0


def sound(rows: Mapping[str, Row]) -> bool:
    """Nothing lost where nothing may be, and something in every round of every control."""
    return all(row.unsound == 0 and (name in CONTROLS or row.lost == 0) for name, row in rows.items())


async def _until(condition: Callable[[], bool], within_s: float = _LIMIT_S) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="of each row")
    parser.add_argument("--only", nargs="*", default=[], help="rows whose name contains one of these")
    chosen = parser.parse_args()
    rows = tuple(name for name in ROWS if not chosen.only or any(part in name for part in chosen.only))
    print(HEADINGS, flush=True)
    done = asyncio.run(run(rows, chosen.rounds))
    met = sound(done)
    print(json.dumps({"name": "database drills", "met": met, "rows": {name: r.summary() for name, r in done.items()}}))
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
