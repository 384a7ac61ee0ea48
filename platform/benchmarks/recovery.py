"""How long does an engine take to recover, and can a standby keep up? Both on a journal of 1,000,000 commands.

A leader executes and encodes them, a standby replays the texts, chunk by chunk in turn: the leader's rate is its peer.
Then an engine starts from PostgreSQL, from a snapshot as old as the settings let it become and the records after it.
"""

from __future__ import annotations

import asyncio
import gc
import json
import tempfile
from itertools import chain, islice
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

from exchange import commands_without_end, opening
from flow import messages
from rounds import collect_garbage_as_an_engine

from stack.embedded import EmbeddedStack
from stack.options import StackOptions
from stack.topology import Role, platform_topology
from trading.compiled import kind
from trading.core import exchange
from trading.core.commands import Command
from trading.engine.metrics import EngineMetrics
from trading.engine.replica import Replica
from trading.engine.snapshots import Snapshots
from trading.infra import tables
from trading.infra.database import connect
from trading.infra.journal import Batch
from trading.infra.migrate import migrate
from trading.infra.settings import Settings
from trading.infra.snapshots import Packed, Snapshot, save
from trading.infra.tail import read_tail
from trading.wire.garbage import no_garbage_collection
from trading.wire.journal import JournalRecord
from trading.wire.snapshot import SNAPSHOT_VERSION

COMMANDS = 1_000_000
CHUNK = 20_000
BATCH = 200
SNAPSHOT_AGE: int = Settings.model_fields["records_per_snapshot"].default
RECORDS_PER_HASH: int = Settings.model_fields["records_per_state_hash"].default
REPLAYED = 200_000  # so many of them once more, from nothing and without comparing hashes
ROUNDS = 3
GOAL_S = 5.0
REPLAY_GOAL = 100_000

Row = tuple[object, ...]  # of the table journal


def lead(replica: Replica, todo: list[Command]) -> list[Row]:
    """What a leader computes for commands before they are committed, a batch at a time."""
    rows: list[Row] = []
    for start in range(0, len(todo), BATCH):
        batch = Batch()
        for command in todo[start : start + BATCH]:
            record = replica.execute(command, epoch=1, batch=batch)
            assert isinstance(record, JournalRecord), record
            batch.add(record)
            if not record.sequence % RECORDS_PER_HASH:
                replica.state_hash()
        rows += batch.journal
    return rows


def follow(replica: Replica, rows: list[Row], *, compares: bool) -> None:
    """What a standby does with them, or an engine that recovers."""
    for row in rows:
        replica.replay(str(row[5]), str(row[6]))
        if compares and not replica.sequence % RECORDS_PER_HASH:
            replica.state_hash()


class Journal:
    """The leader's and the standby's rates, and what an engine needs that starts at the end of it all."""

    def __init__(self) -> None:
        self.leader, self.standby, self.newcomer = Replica(), Replica(), Replica()
        self.rates: dict[str, list[float]] = {"leader": [], "standby": [], "replay": []}
        self.snapshot: Packed | None = None
        self.tail: list[Row] = []

    def write(self) -> None:
        follow(self.standby, lead(self.leader, opening()), compares=False)
        follow(self.newcomer, lead(Replica(), opening()), compares=False)
        commands = chain.from_iterable(commands_without_end(messages()))
        for number in range(COMMANDS // CHUNK):
            todo = list(islice(commands, CHUNK))
            if number * CHUNK == COMMANDS - SNAPSHOT_AGE:
                self.snapshot = snapshot_of(self.standby)
            self._write(todo, number)

    def _write(self, todo: list[Command], number: int) -> None:
        started = process_time()
        rows = lead(self.leader, todo)
        led = process_time()
        follow(self.standby, rows, compares=True)
        followed = process_time()
        self.rates["leader"].append(len(rows) / (led - started))
        self.rates["standby"].append(len(rows) / (followed - led))
        if number * CHUNK < REPLAYED:
            with no_garbage_collection():  # as an engine that recovers does
                follow(self.newcomer, rows, compares=False)
            self.rates["replay"].append(len(rows) / (process_time() - followed))
            gc.collect(0)  # what was put off is not the leader's to pay
        if self.snapshot is not None:
            self.tail += rows


def snapshot_of(replica: Replica) -> Packed:
    started = perf_counter()
    frozen = replica.freeze()
    stopped_s = perf_counter() - started
    packed = Packed.of(Snapshot(replica.sequence, SNAPSHOT_VERSION, frozen.state_hash, frozen.encode()))
    print(
        f"a snapshot of {len(frozen.orders):,} open orders: {len(packed.compressed):,} bytes, the standby stops for"
        f" {stopped_s * 1000:.0f} ms, it is packed in {(perf_counter() - started - stopped_s) * 1000:.0f} ms"
    )
    return packed


async def store(dsn: str, journal: Journal) -> None:
    assert journal.snapshot is not None
    connection = await connect(dsn, "benchmark")
    columns = [column.name for column in tables.journal.columns]
    await connection.copy_records_to_table("journal", records=journal.tail, columns=columns)
    await save(connection, journal.snapshot)
    await connection.close()


async def recover(dsn: str, expected: str) -> tuple[float, float]:
    """Seconds until the snapshot was restored, and until everything was there."""
    snapshots = Snapshots(dsn, node="benchmark", every=SNAPSHOT_AGE, metrics=EngineMetrics())
    started = perf_counter()
    connection = await connect(dsn, "benchmark")
    replica = await snapshots.newest(connection)
    restored = perf_counter()
    with no_garbage_collection():
        while page := await read_tail(connection, replica.sequence):
            for record in page:
                replica.replay(record.command, record.events)
    done = perf_counter()
    connection.terminate()
    assert replica.state_hash() == expected, "another state was recovered"
    return restored - started, done - started


async def recoveries(journal: Journal, logs: Path) -> list[tuple[float, float]]:
    options = StackOptions(logs, roles=frozenset({Role.POSTGRES}))
    async with EmbeddedStack(platform_topology(instruments=[], accounts=[]), options) as stack:
        dsn = stack.postgres_dsn()
        await asyncio.to_thread(migrate, dsn)
        await store(dsn, journal)
        return [await recover(dsn, journal.leader.state_hash()) for _ in range(ROUNDS)]


def report(rates: dict[str, list[float]], seconds: list[tuple[float, float]]) -> None:
    print(f"the core is {kind(exchange)}")
    for name, figures in rates.items():
        first, last = median(figures[:5]), median(figures[-5:])
        print(f"{name:10} {median(figures):10,.0f} records/s   first {first:,.0f}, last {last:,.0f}")
    restored, whole = (median(times) for times in zip(*seconds, strict=True))
    print(f"recovered from PostgreSQL in {whole:.2f} s: {restored:.2f} s the snapshot, then {SNAPSHOT_AGE:,} records")
    standby = median(ours / theirs for ours, theirs in zip(rates["standby"], rates["leader"], strict=True))
    replay = median(rates["replay"])
    result = {
        "name": f"recovery of {COMMANDS:,} commands",
        "value": round(whole, 2),
        "unit": "s",
        "goal": GOAL_S,
        "met": whole <= GOAL_S and standby >= 1 and replay >= REPLAY_GOAL,
        "ratios": {
            "replaying all": round(whole * replay / COMMANDS, 3),
            "the leader's rate is the standby's": round(standby, 3),
            "the goal is the rate without a snapshot": round(replay / REPLAY_GOAL, 3),
        },
        "core": kind(exchange),
        "rounds": len(seconds),
        "spread": round((max(seconds)[1] - min(seconds)[1]) / whole, 3),
    }
    print(json.dumps(result))


def main() -> None:
    collect_garbage_as_an_engine()
    journal = Journal()
    journal.write()
    with tempfile.TemporaryDirectory() as folder:
        seconds = asyncio.run(recoveries(journal, Path(folder)))
    report(journal.rates, seconds)


if __name__ == "__main__":
    main()
