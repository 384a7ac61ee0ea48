"""A small honest record: the real exchange, driven by drawn orders, with everything a run would have written.

Only time is invented: latencies are drawn, one fault slows every answer, one kill stops them for a while.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from reports.fitness import warm_up_rule
from reports.record import Record
from reports.records import CONTROL, DATABASE_TABLES, FEED, METRICS, OPERATIONS, RECORD_VERSION
from reports.run_folder import EventLog, write_json
from reports.tests.synthetic_platform import MS, START_NS, Plan, S, Simulation, levels_of, order_row
from reports.tests.synthetic_trading import ACCOUNTS, open_markets, trade
from reports.timeline import measured
from trading.core.exchange import Exchange
from trading.core.state import state_of

_COMMIT_COUNTERS = ("engine_commit_seconds_count", "engine_commit_seconds_sum", "engine_batch_commands_sum")


def write_record(folder: Path, plan: Plan | None = None) -> Path:
    """A complete record on which every check holds; returns ``folder``."""
    plan = plan or Plan()
    simulation = Simulation(plan, random.Random(plan.seed))
    open_markets(simulation)
    trade(simulation)
    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder, "operations", simulation.operations)
    write_table(folder, "feed", simulation.feed)
    write_table(folder, "journal", simulation.journal)
    write_table(folder, "orders", [order_row(order) for order in simulation.orders.values()])
    write_table(folder, "fills", simulation.fills)
    write_table(folder, "ledger", simulation.ledger)
    write_table(folder, "balances", [row._asdict() for row in state_of(simulation.exchange).balances])
    write_table(folder, "metrics", _metrics(plan))
    write_table(folder, "control", _control(plan))
    write_json(folder / "engine.json", _engine_state(simulation.exchange))
    offered = sum(operation["source"] == "load" for operation in simulation.operations)
    write_json(folder / "run.json", _run(plan, offered))
    _write_events(folder, plan)
    return folder


def write_table(folder: Path, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
    schemas = {"operations": OPERATIONS, "feed": FEED, "metrics": METRICS, "control": CONTROL, **DATABASE_TABLES}
    schema = schemas[name]
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), folder / f"{name}.parquet")


def read_rows(folder: Path, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(folder / f"{name}.parquet").to_pylist()
    return rows


def with_commits(folder: Path, node: str, totals: Sequence[tuple[float, float, float]], limit: float = 500.0) -> None:
    """The engine's counters of commits, their seconds and their commands, second by second of the measured phase."""
    rows = read_rows(folder, "metrics")
    start_ns, _ = measured(Record(folder))
    for second, total in enumerate(totals):
        at = {"at_ns": start_ns + second * S, "node": node, "labels": ""}
        values = dict(zip(_COMMIT_COUNTERS, total, strict=True)) | {"engine_batch_limit_commands": limit}
        rows += [{**at, "metric": metric, "value": value} for metric, value in values.items()]
    write_table(folder, "metrics", rows)


def _engine_state(exchange: Exchange) -> dict[str, Any]:
    books = {symbol: levels_of(exchange, symbol) for symbol in exchange.symbols()}
    return {
        "sequence": exchange.sequence,
        "symbols": {symbol: exchange.symbol_sequence(symbol) for symbol in exchange.symbols()},
        "state_hash": state_of(exchange).hash(),
        "books": {symbol: {"bids": bids, "asks": asks} for symbol, (bids, asks) in books.items()},
    }


def _metrics(plan: Plan) -> list[dict[str, Any]]:
    rng = random.Random(plan.seed)
    rows = []
    for second in range(int(plan.end_s)):
        for node, cpu in (("engine:1", 35), ("engine:2", 10), ("api:1", 30), ("postgres:1", 25), ("load:1", 20)):
            if node == "engine:1" and second > plan.kill_s:
                continue
            values = {"cpu_percent": cpu + rng.random() * 10, "rss_bytes": 80e6 + 1e6 * second}
            at = {"at_ns": START_NS + second * S, "node": node, "labels": ""}
            rows += [{**at, "metric": metric, "value": value} for metric, value in values.items()]
        machine = {"busy_percent": 150.0, "steal_percent": 0.5, "load_average": 2.0, "clock_drift_ms": 0.01 * second}
        at = {"at_ns": START_NS + second * S, "node": "machine", "labels": ""}
        rows += [{**at, "metric": metric, "value": value} for metric, value in machine.items()]
    return rows


def _control(plan: Plan) -> list[dict[str, Any]]:
    rng, every_ns = random.Random(plan.seed), 50 * MS
    due = [START_NS + n * every_ns for n in range(int(plan.end_s * S) // every_ns)]
    return [{"due_ns": at, "done_ns": at + int(rng.uniform(0.3, 4.0) * MS), "every_ns": every_ns} for at in due]


def _run(plan: Plan, operations: int) -> dict[str, Any]:
    return {
        "record_version": RECORD_VERSION,
        "scenario": "quickstart",
        "seed": plan.seed,
        "started_ns": START_NS,
        "command_line": ["elson", "run", "quickstart", "--seed", str(plan.seed)],
        "commit": "0123456789abcdef",
        "dirty": False,
        "versions": {"python": "3.11.7", "postgres": "16.2"},
        "machine": {"cores": 2, "memory_bytes": 8 * 2**30, "processor": "<script>alert(1)</script>"},
        "topology": {
            "nodes": ["engine:1", "engine:2"],
            "links": ["engine:1->postgres:1"],
            "accounts": [{"account_id": account} for account in ACCOUNTS],
        },
        "configuration": {"rate_per_s": plan.rate_per_s},
        "scheduled_operations": operations,
        "warm_up_rule": warm_up_rule(plan.measure_s - plan.warm_up_s),
        "objectives": [
            {"objective": "outage_ms", "max": 1000},
            {"objective": "latency_p99_ms", "max": 100, "scope": "outside_faults"},
            {"objective": "lost_orders", "max": 0},
            {"objective": "doubled_orders", "max": 0},
            {"objective": "checks", "max": 0},
        ],
    }


def _write_events(folder: Path, plan: Plan) -> None:
    bounds = [0.0, plan.warm_up_s, plan.measure_s, plan.end_s, plan.end_s + 1, plan.end_s + 2, plan.end_s + 3]
    names = ("prepare", "warm_up", "measure", "heal", "drain", "check")
    happenings: list[tuple[float, str, dict[str, Any]]] = []
    for name, begin, end in zip(names, bounds, bounds[1:], strict=False):
        happenings.append((begin, "phase", {"phase": name, "state": "started"}))
        happenings.append((end, "phase", {"phase": name, "state": "ended"}))
    slow = {"fault_id": "slow", "kind": "latency", "target": "engine->postgres", "permanent": False}
    kill = {"fault_id": "crash", "kind": "kill", "target": "engine:active", "permanent": True}
    happenings += _database_fails_over(plan)
    happenings += [
        (0.5, "role_changed", {"node": "engine:1", "role": "active", "epoch": 1}),
        (0.6, "role_changed", {"node": "engine:2", "role": "standby", "epoch": 1}),
        (plan.slow[0] - 0.01, "fault", {**slow, "state": "planned"}),
        (plan.slow[0], "fault", {**slow, "state": "injected"}),
        (plan.slow[1], "fault", {**slow, "state": "undone", "evidence": _evidence("150 ms slower")}),
        (plan.kill_s - 0.01, "fault", {**kill, "state": "planned"}),
        (plan.kill_s, "fault", {**kill, "state": "injected", "evidence": _evidence("the process is gone")}),
        (plan.kill_s + 0.01, "node_exited", {"node": "engine:1"}),
        (plan.kill_s + 0.6, "role_changed", {"node": "engine:2", "role": "active", "epoch": 2}),
    ]
    with EventLog(folder) as log:
        for at_s, event, details in sorted(happenings, key=lambda happening: happening[0]):
            log.add(event, at_ns=START_NS + int(at_s * S), **details)


def _database_fails_over(plan: Plan) -> list[tuple[float, str, dict[str, Any]]]:
    """Together with the engine; its standby takes over, and is alone with the receiver of the log for a while."""
    servers = [{"node": f"postgres:{n}", "writable": n == 2, "epoch": 2} for n in (1, 2, 3)]
    return [
        (0.4, "supervisor_started", {"primary": "postgres:1", "step": "steady"}),
        (plan.kill_s + 0.02, "node_exited", {"node": "postgres:1"}),
        (plan.kill_s + 0.3, "role_changed", {"node": "postgres:1", "role": "standby", "epoch": 2}),
        (plan.kill_s + 0.3, "role_changed", {"node": "postgres:2", "role": "primary", "epoch": 2}),
        (plan.kill_s + 0.4, "node_started", {"node": "postgres:1"}),
        (plan.kill_s + 0.5, "sync_set_grown", {"sync": ["postgres:1", "wal:1"], "was": ["wal:1"]}),
        (plan.end_s + 2.5, "database_servers", {"servers": servers}),
    ]


def _evidence(summary: str) -> dict[str, Any]:
    return {"bit": True, "summary": summary, "facts": {}}
