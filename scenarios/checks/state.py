"""The journal, replayed, is the live engine and the database: one history, one state."""

from __future__ import annotations

from typing import Any

from reports.record import Record
from scenarios.checks.check import Check, Evidence, Findings, present
from scenarios.checks.replay import compare
from trading.core.errors import InvariantError, ReplayError
from trading.core.orders import OPEN_STATUSES, OrderStatus
from trading.core.replay import replay
from trading.core.state import OpenOrderState, State, state_of
from trading.core.venue import Stage
from trading.wire.orders import OrderView

Rows = dict[Any, Evidence]


def examine_state(record: Record) -> Findings:
    """One hash of the journal's replay and the live engine, and the database's rows are the replayed state's.

    Replaying repeats every event, so each trade was with the order whose turn it was by price and time.
    """
    journal = present(record.journal, "journal record")
    try:
        replayed = state_of(replay((entry.command, entry.events) for entry in journal))
    except (ReplayError, InvariantError) as error:
        return Findings("the journal does not repeat itself", [{"what": "replay", "problem": str(error)}])
    hashes = {"replay": replayed.hash(), "engine": record.engine.state_hash}
    violations: list[Evidence] = []
    if len(set(hashes.values())) > 1:
        violations += [{"what": what, "problem": f"hash {digest}"} for what, digest in hashes.items()]
    if record.engine.sequence != journal[-1].sequence:
        problem = f"engine at sequence {record.engine.sequence}, journal at {journal[-1].sequence}"
        violations.append({"what": "sequence", "problem": problem})
    differing = compare_rows(replayed, record)
    found = f"{len(set(hashes.values()))} hashes" if len(set(hashes.values())) > 1 else f"one hash {replayed.hash()}"
    summary = (
        f"replay of {len(journal):,} records and live engine: {found}; "
        f"{_held(replayed)} in the database: {len(differing):,} differ"
    )
    return Findings(summary, violations + differing)


def compare_rows(replayed: State, record: Record) -> list[Evidence]:
    """Where the database's open orders, balances and last numbers are not the replayed state's."""
    balances = _replayed_balances(replayed)
    differing = compare("open orders", _replayed_orders(replayed), _stored_orders(record))
    differing += compare("balances", balances, _stored_balances(record, balances))
    return differing + compare("last numbers", *_last_numbers(replayed, record))


def _held(state: State) -> str:
    return f"{len(state.open_orders):,} open orders and {len(_replayed_balances(state)):,} balances"


def _replayed_orders(state: State) -> Rows:
    return {
        row.order_id: {
            "account_id": row.account_id,
            "symbol": row.symbol,
            "side": row.side,
            "quantity": row.quantity,
            "leaves": row.leaves,
            "reduced": row.reduced,
            "status": _status(row),
            "price_micros": row.price_micros if row.stage is Stage.RESTING else None,
            "place": row.place if row.stage is Stage.RESTING else None,
        }
        for row in state.open_orders
    }


def _status(row: OpenOrderState) -> OrderStatus:
    if row.stage is Stage.HELD:
        return OrderStatus.HELD
    filled = row.quantity - row.leaves - row.reduced
    return OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.NEW


def _stored_orders(record: Record) -> Rows:
    return {order.order_id: _open_order(order) for order in record.orders if order.status in OPEN_STATUSES}


def _open_order(order: OrderView) -> Evidence:
    return {
        "account_id": order.account_id,
        "symbol": order.symbol,
        "side": order.side,
        "quantity": order.quantity,
        "leaves": order.leaves,
        "reduced": order.reduced_quantity,
        "status": order.status,
        "price_micros": order.price_micros,
        "place": order.place,
    }


def _replayed_balances(state: State) -> Rows:
    return {
        (row.account_id, row.asset): {
            "available": row.available,
            "reserved": row.reserved,
            "cost_micros": row.cost_micros,
        }
        for row in state.balances
    }


def _stored_balances(record: Record, replayed: Rows) -> Rows:
    """Balances that came back to nothing stay in the table, and are in no state."""
    return {
        (row.account_id, row.asset): {
            "available": row.available,
            "reserved": row.reserved,
            "cost_micros": row.cost_micros,
        }
        for row in record.balances
        if row.available or row.reserved or row.cost_micros or (row.account_id, row.asset) in replayed
    }


def _last_numbers(state: State, record: Record) -> tuple[Rows, Rows]:
    orders = {"last": max((order.order_id for order in record.orders), default=0)}
    trades = {"last": max((fill.trade_id for fill in record.fills), default=0)}
    replayed: Rows = {"order_id": {"last": state.head.last_order_id}, "trade_id": {"last": state.head.last_trade_id}}
    return replayed, {"order_id": orders, "trade_id": trades}


STATE_CHECK = Check("one_state", "Journal replay, live engine and database are one state", examine_state)
