"""Drills of backups (``python -m drills.backup``): exit code 1 if anything acknowledged is lost, or a restore lies.

Both servers gone for good: everything but the receiver's folder and the archive is deleted under writers. Wrong DELETE:
the cluster goes back to the microsecond before it. Each round ends with the restored data in the primary's place.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Final

import asyncpg

from drills.writers import Writers, lost, prepare
from stack.backup.alone import BackupProcess
from stack.backup.wal_records import Log
from stack.postgres.alone import PostgresCluster
from stack.postgres.nodes import REPLICA, SERVERS, other
from stack.postgres.receiver_log import segments

_LIMIT_S: Final = 30.0
_WRITING_S: Final = 0.5
_DELETE: Final = "WITH gone AS (DELETE FROM drill RETURNING 1) SELECT pg_current_xact_id()::text, count(*) FROM gone"


@dataclass
class Row:
    """All rounds of one drill. ``outages_s``: from the loss to the first write on the restored data.

    ``restores_s``: the restore alone. ``wrong`` counts rounds in which something was there that must not be.
    """

    outages_s: list[float] = field(default_factory=list)
    restores_s: list[float] = field(default_factory=list)
    acknowledged: int = 0
    lost: int = 0
    wrong: int = 0

    @property
    def sound(self) -> bool:
        return self.acknowledged > 0 and self.lost == 0 and self.wrong == 0

    def line(self, name: str) -> str:
        seconds = [f"{figure(self.outages_s):8.2f}" for figure in (min, median, max)]
        counts = f"{median(self.restores_s):11.2f}{self.acknowledged:9}{self.lost:6}{self.wrong:7}"
        return f"{name:38}{len(self.outages_s):4}{''.join(seconds)}{counts}"

    def summary(self) -> dict[str, float]:
        low, middle, high = (round(figure(self.outages_s), 2) for figure in (min, median, max))
        outage = {"min_s": low, "median_s": middle, "max_s": high, "restore_s": round(median(self.restores_s), 2)}
        counts = {"acknowledged": self.acknowledged, "lost": self.lost, "wrong": self.wrong}
        return {"n": len(self.outages_s), **outage, **counts}


HEADINGS: Final = (
    f"{'':38}{'n':>4}{'min s':>8}{'median':>8}{'max':>8}{'restore s':>11}{'acked':>9}{'lost':>6}{'wrong':>7}"
)


async def lose_both(cluster: PostgresCluster, backups: BackupProcess, row: Row) -> None:
    """The pair's and the replica's data are deleted; what is left is the receiver's folder and the archive."""
    await _backed_up(cluster, backups)
    async with Writers(cluster.clients_dsn()) as writers:
        await writers.flowing()
        await asyncio.sleep(_WRITING_S)
        cluster.host.refuse(*SERVERS)
        began_s = time.monotonic()
        await asyncio.gather(*(cluster.host.kill(node) for node in (other(cluster.primary), cluster.primary, REPLICA)))
        for node in SERVERS:
            shutil.rmtree(cluster.cluster.forget(node), ignore_errors=True)
        promised = list(writers.acknowledged)
        folder = await _restored(backups, row, to="latest")
        await _taken_over(cluster, folder)
        await writers.flowing()
        row.outages_s.append(writers.longest_gap_s(began_s))
    row.acknowledged += len(promised)
    row.lost += await lost(cluster.dsn(), promised)


async def delete_wrongly(cluster: PostgresCluster, backups: BackupProcess, row: Row) -> None:
    """Every row is deleted and the writers go on; then nothing that was acknowledged before may be missing."""
    await _backed_up(cluster, backups)
    async with Writers(cluster.clients_dsn()) as writers:
        await writers.flowing()
        await asyncio.sleep(_WRITING_S)
        before = list(writers.acknowledged)
        began_s = time.monotonic()
        transaction, count = await _delete_all(cluster)
        row.wrong += count < len(before)  # the drill itself must have done harm
        await writers.flowing()
    moment = await committed_at(cluster, transaction)
    folder = await _restored(backups, row, to=moment.isoformat(), exclusive=True)
    await _taken_over(cluster, folder)
    row.outages_s.append(time.monotonic() - began_s)
    row.acknowledged += len(before)
    row.lost += await lost(cluster.dsn(), before)
    row.wrong += await _newer(cluster, moment)


ROWS: Final[Mapping[str, Callable[[PostgresCluster, BackupProcess, Row], Awaitable[None]]]] = {
    "both servers gone for good": lose_both,
    "wrong DELETE undone": delete_wrongly,
}


async def committed_at(cluster: PostgresCluster, transaction: int) -> datetime:
    """When a transaction of the newest timeline was committed, to the microsecond, by the log as received."""
    async with asyncio.timeout(_LIMIT_S):
        while True:
            received = segments(cluster.cluster.received, cluster.record.timeline)
            log = Log(received[0].number, [segment.path.read_bytes() for segment in received])
            for commit in log.commits():
                if commit.transaction == transaction:
                    return commit.at
            await asyncio.sleep(0.05)


async def _backed_up(cluster: PostgresCluster, backups: BackupProcess) -> None:
    await cluster.redundant()
    await backups.ask("now")


async def _restored(backups: BackupProcess, row: Row, **target: object) -> Path:
    began_s = time.monotonic()
    answer = await backups.ask("restore", **target)
    row.restores_s.append(time.monotonic() - began_s)
    return Path(answer["restored"]["folder"])


async def _taken_over(cluster: PostgresCluster, folder: Path) -> None:
    cluster.host.allow()
    await cluster.ask("adopt", folder=str(folder))


async def _delete_all(cluster: PostgresCluster) -> tuple[int, int]:
    connection = await asyncpg.connect(cluster.dsn(), timeout=5)
    try:
        transaction, count = await connection.fetchrow(_DELETE)
    finally:
        connection.terminate()
    return int(transaction), count


async def _newer(cluster: PostgresCluster, moment: datetime) -> bool:
    """Whether the restored primary took in anything that was committed at that moment or later."""
    own = f"{cluster.record.timeline:08X}.history"
    history = (cluster.cluster.data(cluster.primary) / "pg_wal" / own).read_text()
    return f"before {moment:%Y-%m-%d %H:%M:%S.%f}".rstrip("0") not in history


async def run(rows: tuple[str, ...], rounds: int) -> dict[str, Row]:
    """As many rounds of each row as asked for, all on one cluster."""
    done: dict[str, Row] = {}
    async with PostgresCluster() as cluster:
        await prepare(cluster.dsn())
        await cluster.redundant()
        async with BackupProcess(cluster) as backups:
            for name in rows:
                done[name] = Row()
                for _ in range(rounds):
                    await ROWS[name](cluster, backups, done[name])
                print(done[name].line(name), flush=True)
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="of each row")
    parser.add_argument("--only", nargs="*", default=[], help="rows whose name contains one of these")
    chosen = parser.parse_args()
    rows = tuple(name for name in ROWS if not chosen.only or any(part in name for part in chosen.only))
    print(HEADINGS, flush=True)
    done = asyncio.run(run(rows, chosen.rounds))
    met = all(row.sound for row in done.values())
    print(json.dumps({"name": "backup drills", "met": met, "rows": {name: r.summary() for name, r in done.items()}}))
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
