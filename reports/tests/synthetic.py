"""A small honest record: the real exchange, driven by drawn orders, with everything a run would have written.

Only time is invented: latencies are drawn, one fault slows every answer, one kill stops them for a while.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from reports.records import DATABASE_TABLES, FEED, METRICS, OPERATIONS
from reports.run_folder import EventLog, write_json
from trading.core.commands import CancelOrder, Command, Deposit, ListInstrument, OpenAccount, PlaceOrder
from trading.core.events import InstrumentListed, LedgerPosted, Traded
from trading.core.exchange import Exchange
from trading.core.orders import AccountId, OrderId, OrderType, Side, Symbol, TimeInForce
from trading.core.state import state_of
from trading.wire.journal import encode_command, encode_events
from trading.wire.orders import OrderView, fold, order_uuid, public_order

START_NS = 1_767_261_600 * 10**9
S, MS = 10**9, 10**6
SYMBOLS = (Symbol("AAA"), Symbol("BBB"))
ACCOUNTS = tuple(AccountId(number) for number in range(1, 9))
PRICE_MICROS, TICK_MICROS = 100_000_000, 10_000


@dataclass(frozen=True, slots=True)
class Plan:
    """Seconds count from the start of the record."""

    seed: int = 1
    rate_per_s: int = 60
    warm_up_s: float = 2.0
    measure_s: float = 3.0
    end_s: float = 23.0
    slow: tuple[float, float] = (8.0, 12.0)
    slow_ms: float = 150.0
    kill_s: float = 16.0
    kill_lasts_s: float = 0.7


@dataclass(slots=True)
class Simulation:
    """The platform's side of the record as it grows."""

    plan: Plan
    rng: random.Random
    exchange: Exchange = field(default_factory=Exchange)
    orders: dict[OrderId, OrderView] = field(default_factory=dict)
    journal: list[dict[str, Any]] = field(default_factory=list)
    fills: list[dict[str, Any]] = field(default_factory=list)
    ledger: list[dict[str, Any]] = field(default_factory=list)
    operations: list[dict[str, Any]] = field(default_factory=list)
    feed: list[dict[str, Any]] = field(default_factory=list)

    def apply(self, command: Command) -> Any:
        books = {symbol: _levels(self.exchange, symbol) for symbol in self.exchange.symbols()}
        outcome = self.exchange.apply(command)
        if isinstance(outcome, list):
            self._record(command, outcome, books)
        return outcome

    def _record(self, command: Command, events: list[Any], books: Mapping[Symbol, Any]) -> None:
        sequence, at_ns, symbol = self.exchange.sequence, command.at_ns, _market_of(events)
        fold(self.orders, events, sequence=sequence, at_ns=at_ns)
        row: dict[str, Any] = {
            "sequence": sequence,
            "epoch": 1 if at_ns < START_NS + self.plan.kill_s * S else 2,
            "at_ns": at_ns,
            "symbol": symbol,
            "symbol_sequence": None if symbol is None else self.exchange.symbol_sequence(symbol),
            "command": encode_command(command).decode(),
            "events": encode_events(events).decode(),
        }
        self.journal.append(row)
        for event in events:
            if isinstance(event, Traded):
                self.fills += _fill_rows(event, sequence, at_ns)
        postings = [event for event in events if isinstance(event, LedgerPosted)]
        self.ledger += [_ledger_row(posting, sequence, line) for line, posting in enumerate(postings)]
        if symbol is not None:
            self._feed(symbol, row, books[symbol])

    def _feed(self, symbol: Symbol, row: Mapping[str, Any], before: Any) -> None:
        """Publishes the change, but for a while after 60 % of the run, when the subscriber is away."""
        moment = (row["at_ns"] - START_NS) / S / self.plan.end_s
        if 0.60 < moment < 0.62:
            return
        first = not any(message["symbol"] == symbol for message in self.feed)
        after = _levels(self.exchange, symbol)
        returning = moment >= 0.62 and not any(m["kind"] == "success" for m in self.feed)
        if returning:
            self._message(row["at_ns"], {"T": "success", "msg": "connected"})
            for other in SYMBOLS:
                if other != symbol:
                    self._book(other, row["at_ns"], ([], []), _levels(self.exchange, other), snapshot=True)
        snapshot = first or returning
        self._book(symbol, row["at_ns"], ([], []) if snapshot else before, after, snapshot=snapshot)

    def _book(self, symbol: Symbol, at_ns: int, before: Any, after: Any, *, snapshot: bool) -> None:
        changes = [_changes(old, new) for old, new in zip(before, after, strict=True)]
        sequence = self.exchange.symbol_sequence(symbol)
        body = {"T": "o", "S": symbol, "q": sequence, "b": changes[0], "a": changes[1]}
        self._message(at_ns, {**body, "r": True} if snapshot else body)

    def _message(self, at_ns: int, body: Mapping[str, Any]) -> None:
        self.feed.append(
            {
                "received_ns": at_ns + 2 * MS,
                "kind": body["T"],
                "symbol": body.get("S"),
                "sequence": body.get("q"),
                "message": json.dumps(body),
            }
        )


def write_record(folder: Path, plan: Plan | None = None) -> Path:
    """A complete record on which every check holds; returns ``folder``."""
    plan = plan or Plan()
    simulation = Simulation(plan, random.Random(plan.seed))
    _seed_accounts(simulation)
    _trade(simulation)
    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder, "operations", simulation.operations)
    write_table(folder, "feed", simulation.feed)
    write_table(folder, "journal", simulation.journal)
    write_table(folder, "orders", [_order_row(order) for order in simulation.orders.values()])
    write_table(folder, "fills", simulation.fills)
    write_table(folder, "ledger", simulation.ledger)
    names = ("account_id", "asset", "available", "reserved")
    write_table(folder, "balances", [dict(zip(names, row, strict=True)) for row in simulation.exchange.balances()])
    write_table(folder, "metrics", _metrics(plan))
    write_json(folder / "engine.json", _engine_state(simulation.exchange))
    write_json(folder / "run.json", _run(plan, len(simulation.operations)))
    _write_events(folder, plan)
    return folder


def write_table(folder: Path, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
    schema = {"operations": OPERATIONS, "feed": FEED, "metrics": METRICS, **DATABASE_TABLES}[name]
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), folder / f"{name}.parquet")


def read_rows(folder: Path, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(folder / f"{name}.parquet").to_pylist()
    return rows


# -- trading ---------------------------------------------------------------------------------------


def _market_of(events: list[Any]) -> Symbol | None:
    first = events[0]
    return None if isinstance(first, InstrumentListed) else getattr(first, "symbol", None)


def _seed_accounts(simulation: Simulation) -> None:
    for symbol in SYMBOLS:
        simulation.apply(ListInstrument(START_NS, symbol, TICK_MICROS))
    for account in ACCOUNTS:
        simulation.apply(OpenAccount(START_NS, account))
        simulation.apply(Deposit(START_NS, account, "USD", 10**12))
        for symbol in SYMBOLS:
            simulation.apply(Deposit(START_NS, account, symbol, 10_000))


def _trade(simulation: Simulation) -> None:
    plan, rng = simulation.plan, simulation.rng
    number = int((plan.end_s - plan.warm_up_s) * plan.rate_per_s)
    span_ns = int((plan.end_s - plan.warm_up_s) * S)
    intended = sorted(START_NS + int(plan.warm_up_s * S) + rng.randrange(span_ns) for _ in range(number))
    drawn = [(at_ns, _latency_ns(plan, rng, at_ns), operation_id) for operation_id, at_ns in enumerate(intended)]
    for at_ns, latency_ns, operation_id in sorted(drawn, key=lambda draw: draw[0] + draw[1]):
        times = (at_ns, at_ns + rng.randrange(200_000), at_ns + latency_ns)
        operation = _cancel(simulation, times) if rng.random() < 0.2 else None
        simulation.operations.append((operation or _place(simulation, times, operation_id)) | _identity(operation_id))
    simulation.operations.sort(key=lambda operation: operation["operation_id"])


def _identity(operation_id: int) -> dict[str, Any]:
    return {"source": "load", "operation_id": operation_id, "endpoint": f"http://127.0.0.1:{8000 + operation_id % 2}"}


def _latency_ns(plan: Plan, rng: random.Random, at_ns: int) -> int:
    since_s = (at_ns - START_NS) / S
    latency_ns = int((3 + rng.expovariate(1 / 4)) * MS)
    if plan.slow[0] <= since_s < plan.slow[1]:
        latency_ns += int(plan.slow_ms * MS)
    if plan.kill_s <= since_s + latency_ns / S and since_s < plan.kill_s + plan.kill_lasts_s:
        latency_ns += int((plan.kill_s + plan.kill_lasts_s - since_s) * S)
    return latency_ns


def _place(simulation: Simulation, times: tuple[int, int, int], operation_id: int) -> dict[str, Any]:
    rng = simulation.rng
    side, kind = rng.choice(list(Side)), rng.choices(list(OrderType), weights=(1, 9))[0]
    sign = 1 if side is Side.SELL else -1
    price = PRICE_MICROS + sign * TICK_MICROS * rng.randrange(-3, 12) if kind is OrderType.LIMIT else None
    command = PlaceOrder(
        at_ns=times[2] - MS,
        account_id=rng.choice(ACCOUNTS),
        client_order_id=f"load-{simulation.plan.seed}-{operation_id}",
        symbol=rng.choice(SYMBOLS),
        side=side,
        order_type=kind,
        time_in_force=rng.choice(list(TimeInForce)),
        quantity=rng.randrange(1, 20),
        limit_price_micros=price,
    )
    lost = times[2] - times[0] > 500 * MS and rng.random() < 0.3
    outcome = None if lost and rng.random() < 0.5 else simulation.apply(command)
    answer: dict[str, Any] = {"outcome": "unknown", "http_status": 504, "order_id": None, "answer": '{"code": 504}'}
    if not lost and isinstance(outcome, list):
        order = simulation.orders[outcome[0].order_id]
        answer = {"outcome": "ok", "http_status": 200, "order_id": order_uuid(order.order_id)}
        answer["answer"] = json.dumps(public_order(order))
    elif not lost:
        answer = {"outcome": "fail", "http_status": 422, "order_id": None, "answer": '{"code": 422}'}
    fields = {name: value for name, value in command._asdict().items() if name != "at_ns"}
    return {"kind": "place", **fields, **_times(times), **answer}


def _cancel(simulation: Simulation, times: tuple[int, int, int]) -> dict[str, Any] | None:
    open_ids = [order.order_id for order in simulation.orders.values() if order.status in ("new", "partially_filled")]
    if not open_ids or times[2] - times[0] > 500 * MS:
        return None
    order = simulation.orders[simulation.rng.choice(open_ids)]
    simulation.apply(CancelOrder(times[2] - MS, order.account_id, order.order_id))
    found = {"account_id": order.account_id, "client_order_id": order.client_order_id, "symbol": order.symbol}
    answer = {"outcome": "ok", "http_status": 204, "order_id": order_uuid(order.order_id)}
    return {"kind": "cancel", **found, **_times(times), **answer}


def _times(times: tuple[int, int, int]) -> dict[str, int]:
    return dict(zip(("intended_ns", "sent_ns", "done_ns"), times, strict=True))


# -- rows ------------------------------------------------------------------------------------------


def _order_row(order: OrderView) -> dict[str, Any]:
    return {name: getattr(order, name) for name in DATABASE_TABLES["orders"].names}


def _fill_rows(trade: Traded, sequence: int, at_ns: int) -> list[dict[str, Any]]:
    shared = {
        "trade_id": trade.trade_id,
        "symbol": trade.symbol,
        "price_micros": trade.price_micros,
        "quantity": trade.quantity,
        "sequence": sequence,
        "at_ns": at_ns,
    }
    maker_side = Side.SELL if trade.taker_side is Side.BUY else Side.BUY
    maker = {"side": maker_side, "order_id": trade.maker_order_id, "account_id": trade.maker_account_id}
    taker = {"side": trade.taker_side, "order_id": trade.taker_order_id, "account_id": trade.taker_account_id}
    return [shared | maker | {"liquidity": "maker"}, shared | taker | {"liquidity": "taker"}]


def _ledger_row(posting: LedgerPosted, sequence: int, line: int) -> dict[str, Any]:
    return {"sequence": sequence, "line": line, **posting._asdict()}


def _levels(exchange: Exchange, symbol: Symbol) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    book = exchange.book(symbol)
    return list(book.levels(Side.BUY)), list(book.levels(Side.SELL))


def _changes(before: list[tuple[int, int]], after: list[tuple[int, int]]) -> list[dict[str, float]]:
    old, new = dict(before), dict(after)
    return [{"p": price / 10**6, "s": new.get(price, 0)} for price in old | new if old.get(price) != new.get(price)]


def _engine_state(exchange: Exchange) -> dict[str, Any]:
    books = {symbol: _levels(exchange, symbol) for symbol in exchange.symbols()}
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
        for node, cpu in (("engine:1", 35), ("engine:2", 10), ("api:1", 30), ("postgres:primary", 25), ("load:1", 20)):
            if node == "engine:1" and second > plan.kill_s:
                continue
            values = {"cpu_percent": cpu + rng.random() * 10, "rss_bytes": 80e6 + 1e6 * second}
            at = {"at_ns": START_NS + second * S, "node": node, "labels": ""}
            rows += [{**at, "metric": metric, "value": value} for metric, value in values.items()]
    return rows


def _run(plan: Plan, operations: int) -> dict[str, Any]:
    return {
        "scenario": "quickstart",
        "seed": plan.seed,
        "started_ns": START_NS,
        "command_line": ["elson", "run", "quickstart", "--seed", str(plan.seed)],
        "commit": "0123456789abcdef",
        "dirty": False,
        "versions": {"python": "3.11.7", "postgres": "16.2"},
        "machine": {"cores": 2, "memory_bytes": 8 * 2**30, "processor": "<script>alert(1)</script>"},
        "topology": {"nodes": ["engine:1", "engine:2"], "links": ["engine:1->postgres:primary"]},
        "configuration": {"rate_per_s": plan.rate_per_s},
        "scheduled_operations": operations,
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


def _evidence(summary: str) -> dict[str, Any]:
    return {"bit": True, "summary": summary, "facts": {}}
