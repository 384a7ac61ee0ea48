"""Failover drills of the database under orders (``python -m drills.failover``): exit code 1 if any is lost or twice.

Whole platforms of real processes. Each row is one fault, again and again on a platform that is never started anew.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

import asyncpg

from drills.failover_faults import KINDS, Drill, Ground, Kind
from drills.holders import Holders
from drills.load import Load
from drills.tally import Tally, judge
from stack.accounts import generate_accounts
from stack.embedded import EmbeddedStack
from stack.options import StackOptions
from stack.postgres.nodes import PAIR
from stack.small_disk import unshare_mounts
from stack.topology import Instrument, Topology, platform_topology

CLIENTS: Final = 8
PAUSE_S: Final = 0.02
REDUNDANT_S: Final = 15.0
_QUIET_S: Final = 0.5  # of undisturbed orders before a fault
_LIMIT_S: Final = 90.0


@dataclass
class Row:
    """All rounds of one fault. ``failed``: what requests got instead of a good answer, before they were repeated."""

    kind: Kind
    tally: Tally = field(default_factory=Tally)
    redundant_s: list[float] = field(default_factory=list)
    second_holders: int = 0
    failed: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return self.tally.sound and not self.second_holders

    @property
    def met(self) -> bool:
        outages_s, kind = self.tally.outages_s, self.kind
        in_time = median(outages_s) <= kind.median_s and max(outages_s) <= kind.longest_s
        clear = not self.failed if kind.every_request else {*self.failed} <= {"503", "504"}
        return in_time and clear and max(self.redundant_s) <= REDUNDANT_S

    def line(self, name: str) -> str:
        tally = self.tally
        outage = "".join(f"{figure(tally.outages_s) * 1e3:7.0f}" for figure in (min, median, max))
        whole = "".join(f"{figure(self.redundant_s):6.1f}" for figure in (median, max))
        unsound = (tally.lost, tally.doubled, self.second_holders, tally.zombie_writes, tally.refused)
        counts = "".join(f"{count:8}" for count in (tally.acknowledged, *unsound, len(self.failed)))
        return f"{name:33}{len(tally.outages_s):3}{outage}{whole}{counts}  {'met' if self.met else 'missed'}"

    def summary(self) -> dict[str, Any]:
        low, middle, high = (round(figure(self.tally.outages_s) * 1e3) for figure in (min, median, max))
        return {
            "n": len(self.tally.outages_s),
            "outage_ms": {"min": low, "median": middle, "max": high},
            "budget_ms": {"median": round(self.kind.median_s * 1e3), "max": round(self.kind.longest_s * 1e3)},
            "redundant_s": {"median": round(median(self.redundant_s), 1), "max": round(max(self.redundant_s), 1)},
            "acknowledged": self.tally.acknowledged,
            "lost": self.tally.lost,
            "doubled": self.tally.doubled,
            "second_holders": self.second_holders,
            "zombie_writes": self.tally.zombie_writes,
            "failed": len(self.failed),
            "sound": self.sound,
            "met": self.met,
        }


HEADINGS: Final = f"{'':33}{'n':>3}{'min':>7}{'median':>7}{'max':>5}ms{'whole':>6}{'max s':>6}" + "".join(
    f"{name:>8}" for name in ("acked", "lost", "doubled", "holders", "zombie", "refused", "failed")
)


def topology(ground: Ground) -> Topology:
    accounts = generate_accounts(CLIENTS, cash_micros=10**15, shares={"AAA": 10**8})
    proxied = ("engine->postgres",) if ground is Ground.PROXIED else ()
    instruments = [Instrument("AAA", 10_000, 100_000_000)]
    small_disk = PAIR[0] if ground is Ground.SMALL_DISK else None
    return platform_topology(instruments=instruments, accounts=accounts, proxied=proxied, small_disk=small_disk)


async def run_drills(counts: Mapping[str, int], folder: Path, *, seed: int = 1) -> dict[str, Row]:
    """As many rounds of each row as asked for; rows that need the same ground share one platform."""
    rows: dict[str, Row] = {}
    for ground in Ground:
        names = [name for name in counts if KINDS[name].ground is ground]
        if not names:
            continue
        async with _platform(ground, folder / ground.name.lower(), seed) as (drill, holders):
            for name in names:
                row = rows[name] = Row(KINDS[name])
                for _ in range(counts[name]):
                    await _round(drill, row)
                row.second_holders, holders.second = holders.second, 0
                await _judge(drill, row.tally)
                print(row.line(name), flush=True)
    return rows


@asynccontextmanager
async def _platform(ground: Ground, logs: Path, seed: int) -> AsyncIterator[tuple[Drill, Holders]]:
    async with (
        EmbeddedStack(topology(ground), StackOptions(logs)) as stack,
        Load(stack.status(), CLIENTS, pause_s=PAUSE_S) as load,
        Holders(stack.postgres) as holders,
    ):
        drill = Drill(stack, load, random.Random(seed))
        await load.answers_again(time.monotonic())
        await drill.whole()
        yield drill, holders


async def _round(drill: Drill, row: Row) -> None:
    """Undisturbed, the fault, everything back; the outage may lie anywhere in between."""
    await asyncio.sleep(_QUIET_S)
    async with asyncio.timeout(_LIMIT_S):
        since_s = time.monotonic()
        measured_s = await row.kind.fault(drill)
        over_s = since_s if measured_s is None else time.monotonic() - measured_s
        await drill.whole()
        row.redundant_s.append(time.monotonic() - over_s)
        await drill.load.answers_again(time.monotonic())
    row.tally.outages_s.append(drill.load.longest_gap_s(since_s) if measured_s is None else measured_s)
    row.tally.zombie_writes, drill.zombie_writes = row.tally.zombie_writes + drill.zombie_writes, 0
    row.failed += [what for at_s, what in drill.load.unanswered if at_s >= since_s]


async def _judge(drill: Drill, tally: Tally) -> None:
    """By the primary there is now."""
    acknowledged, refused = drill.load.acknowledged, drill.load.refused
    drill.load.acknowledged, drill.load.refused = {}, []
    tally.refused += len(refused)
    primary = await asyncpg.connect(drill.stack.postgres_dsn())
    try:
        await judge(primary, tally, acknowledged)
    finally:
        primary.terminate()


def document(rows: Mapping[str, Row]) -> dict[str, Any]:
    """The last line. ``met``: nothing lost, doubled or held twice, and every budget kept."""
    met = all(row.sound and row.met for row in rows.values())
    return {"name": "failover drills", "met": met, "rows": {name: row.summary() for name, row in rows.items()}}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="of each row")
    parser.add_argument("--only", nargs="*", default=[], help="rows whose name contains one of these")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    names = [name for name in KINDS if not chosen.only or any(part in name for part in chosen.only)]
    if chosen.rounds < 1 or not names:
        parser.error(f"expected at least one round, and a part of one of: {', '.join(KINDS)}")
    if any(KINDS[name].ground is Ground.SMALL_DISK for name in names) and (why := unshare_mounts()):
        names = [name for name in names if KINDS[name].ground is not Ground.SMALL_DISK]
        print(f"the rows on a small disk are skipped: {why}")
    print(HEADINGS, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        rows = asyncio.run(run_drills(dict.fromkeys(names, chosen.rounds), Path(folder), seed=chosen.seed))
    print(json.dumps(document(rows)))
    sys.exit(0 if all(row.sound for row in rows.values()) else 1)


if __name__ == "__main__":
    main()
