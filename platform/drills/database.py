"""Drills of the PostgreSQL cluster (``python -m drills.database``): exit code 1 if anything acknowledged is lost.

Each row is a fault under writers, again and again on one cluster. It is met when nothing was lost, one server held the
epoch, and the row kept to its budgets; missing those alone does not fail the command, for they depend on the machine.
The last rows are negative controls: a setup that is wrong on purpose must lose something, or all counts are worthless.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from drills import database_disk
from drills.database_controls import CONTROLS, Control, controls
from drills.database_faults import UnsoundError, until
from drills.database_rows import DRILLS, Drill, Where
from drills.writers import Writers, leaders, lost, outdated, prepare, timeline
from stack.postgres.alone import PostgresCluster
from stack.postgres.record import Record, Step

_AGAIN_S: Final = 0.3  # of undisturbed writing before and after a fault
_WHOLE_S: Final = 15.0
_PACE: Final = 0.5  # less than half is not full speed; two cores shared with what is starting again give no better


@dataclass
class Row:
    """All rounds of one drill. ``faults`` says what was not as it must, beside what was lost and the budgets."""

    outages_ms: list[float] = field(default_factory=list)
    whole_s: list[float] = field(default_factory=list)
    paces: list[float] = field(default_factory=list)
    acknowledged: int = 0
    lost: int = 0
    late: int = 0
    faults: list[str] = field(default_factory=list)

    def line(self, name: str) -> str:
        low, middle, high = min(self.outages_ms), median(self.outages_ms), max(self.outages_ms)
        outage = f"{low:8.0f}{middle:8.0f}{high:8.0f}"
        pace = f"{median(self.paces):7.2f}" if self.paces else f"{'-':>7}"
        rest = f"{max(self.whole_s, default=0):9.1f}{pace}{self.late:6}{self.acknowledged:9}{self.lost:6}"
        return f"{name:38}{len(self.outages_ms):4}{outage}{rest}  {self.verdict(name)}"

    def verdict(self, name: str) -> str:
        missed = self.missed(name)
        return "met" if not missed else "MISSED: " + "; ".join(missed)

    def wrong(self, name: str) -> list[str]:
        """What must not happen on any machine, however slow."""
        loss = [f"{self.lost} acknowledged rows lost"] if self.lost and name not in CONTROLS else []
        return loss + sorted(set(self.faults))

    def missed(self, name: str) -> list[str]:
        """What this row did not keep to: what is wrong, and then the budgets."""
        missed = self.wrong(name)
        if name in CONTROLS:
            return missed
        drill = DRILLS[name]
        if drill.median_ms is not None and median(self.outages_ms) > drill.median_ms:
            missed.append(f"median outage over {drill.median_ms:g} ms")
        if drill.longest_ms is not None and max(self.outages_ms) > drill.longest_ms:
            missed.append(f"longest outage over {drill.longest_ms:g} ms")
        if max(self.whole_s) > _WHOLE_S:
            missed.append(f"not redundant within {_WHOLE_S:g} s")
        if drill.keeps_pace and median(self.paces) < _PACE:
            missed.append(f"under {_PACE:.0%} of the speed before")
        return missed + (["statements later than their deadline"] if drill.in_time and self.late else [])

    def summary(self, name: str) -> dict[str, object]:
        low, middle, high = min(self.outages_ms), median(self.outages_ms), max(self.outages_ms)
        outage = {"min_ms": round(low), "median_ms": round(middle), "max_ms": round(high)}
        counts = {"acknowledged": self.acknowledged, "lost": self.lost, "late": self.late}
        whole = {"whole_s": round(max(self.whole_s, default=0), 1)}
        return {"n": len(self.outages_ms), **outage, **whole, **counts, "missed": self.missed(name)}


HEADINGS: Final = (
    f"{'':38}{'n':>4}{'min ms':>8}{'median':>8}{'max':>8}{'whole s':>9}{'pace':>7}{'late':>6}{'acked':>9}{'lost':>6}"
)
ROWS: Final = (*DRILLS, *CONTROLS)


async def run_fault(cluster: PostgresCluster, name: str, row: Row) -> None:
    """One round: undisturbed, the fault, everything back; then the acknowledged rows are looked for."""
    drill, before = DRILLS[name], cluster.record
    async with Writers(cluster.clients_dsn()) as writers:
        await writers.flowing()
        await asyncio.sleep(_AGAIN_S)
        began_s = time.monotonic()
        try:
            await drill.fault(cluster)
        except UnsoundError as error:
            row.faults.append(str(error))
        ended_s = time.monotonic()
        if drill.changes:
            await until(lambda: cluster.primary != before.primary and cluster.record.step is Step.STEADY)
        await writers.flowing()
        await asyncio.sleep(_AGAIN_S)
        await cluster.redundant()
        row.whole_s.append(time.monotonic() - ended_s)
        await asyncio.sleep(_AGAIN_S)
    row.outages_ms.append(writers.longest_gap_s(began_s) * 1000)
    row.paces.append(writers.acknowledged_in(_AGAIN_S) / max(1, writers.acknowledged_in(_AGAIN_S, until_s=began_s)))
    row.late += writers.late
    row.acknowledged += len(writers.acknowledged)
    row.lost += await lost(cluster.dsn(), writers.acknowledged)
    row.faults += await unsound(cluster, drill, before)


async def unsound(cluster: PostgresCluster, drill: Drill, before: Record) -> list[str]:
    """What is not as it must be: the epoch has one holder, who is the recorded one, and it never goes back."""
    after, found = cluster.record, []
    if drill.changes is not None and (after.primary != before.primary) != drill.changes:
        found.append(f"{after.primary} is the primary, after {before.primary}")
    changed = after.primary != before.primary
    if after.epoch < before.epoch + changed or (drill.changes is not None and after.epoch != before.epoch + changed):
        found.append(f"epoch {after.epoch} after {before.epoch}")
    if (holders := await leaders(cluster.dsn(node) for node in cluster.cluster.ports)) != [after.epoch]:
        found.append(f"epoch {after.epoch} is recorded, servers that write hold {holders}")
    if rows := await outdated(cluster.dsn()):
        found.append(f"{rows} rows written before the epoch was")
    followers = [cluster.dsn(node) for node in cluster.cluster.ports if node != after.primary]
    if (timelines := [await timeline(dsn) for dsn in followers]) != [after.timeline] * len(followers):
        found.append(f"the primary is on timeline {after.timeline}, its followers on {timelines}")
    return found


async def run(rows: tuple[str, ...], rounds: int) -> dict[str, Row]:
    """As many rounds of each row as asked for; rows of one kind share a cluster."""
    done: dict[str, Row] = {}
    for where in Where:
        if names := [name for name in rows if name in DRILLS and DRILLS[name].where is where]:
            await _run_faults(where, names, rounds, done)
    if chosen := [name for name in rows if name in CONTROLS]:
        async with PostgresCluster(supervised=False) as cluster, controls(cluster) as control:
            await prepare(cluster.dsn())
            for name in chosen:
                done[name] = Row()
                for _ in range(rounds):
                    await run_control(control, name, done[name])
                print(done[name].line(name), flush=True)
    return done


async def _run_faults(where: Where, names: list[str], rounds: int, done: dict[str, Row]) -> None:
    if where is Where.SMALL_DISK and (reason := database_disk.impossible()):
        print(f"{', '.join(names)}: skipped, {reason}", flush=True)
        return
    async with _cluster(where) as cluster:
        await prepare(cluster.dsn())
        await cluster.redundant()
        for name in names:
            done[name] = Row()
            for _ in range(rounds):
                await run_fault(cluster, name, done[name])
            print(done[name].line(name), flush=True)


def _cluster(where: Where) -> AbstractAsyncContextManager[PostgresCluster]:
    if where is Where.SMALL_DISK:
        return database_disk.small_disk()
    return PostgresCluster(proxied=where is Where.PROXIED)


async def run_control(control: Control, name: str, row: Row) -> None:
    """One round, in which something has to be lost."""
    loss = await control.run(CONTROLS[name])
    row.outages_ms.append(loss.outage_s * 1000)
    row.acknowledged += loss.acknowledged
    row.lost += loss.lost
    if loss.lost == 0:
        row.faults.append("nothing was lost in a round")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="of each row")
    parser.add_argument("--only", nargs="*", default=[], help="rows whose name contains one of these")
    chosen = parser.parse_args()
    rows = tuple(name for name in ROWS if not chosen.only or any(part in name for part in chosen.only))
    print(HEADINGS, flush=True)
    done = asyncio.run(run(rows, chosen.rounds))
    met = not any(row.missed(name) for name, row in done.items())
    figures = {name: row.summary(name) for name, row in done.items()}
    loss = sum(row.lost for name, row in done.items() if name in DRILLS)
    judged = {"value": loss, "unit": "acknowledged rows lost", "goal": 0, "met": met, "rounds": chosen.rounds}
    print(json.dumps({"name": "database drills", **judged, "rows": figures}))
    sys.exit(1 if any(row.wrong(name) for name, row in done.items()) else 0)


if __name__ == "__main__":
    main()
