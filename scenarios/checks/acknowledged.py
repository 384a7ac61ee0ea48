"""Acknowledged orders exist exactly once, with the values that were acknowledged."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from reports.bounds import bound_text
from reports.record import Record
from reports.records import OutcomeKind
from reports.rows import Operation
from scenarios.checks.check import Check, Evidence, Findings, differences, present
from trading.core.commands import PlaceOrder, ReplaceOrder
from trading.core.orders import MICROS_PER_DOLLAR, MICROS_PER_SHARE
from trading.wire.orders import OrderView, order_uuid

Key = tuple[int, str | None]  # account, client_order_id
ORDERING: Final = ("place", "replace")  # kinds of operations that bring a new order into being


def examine(record: Record) -> Findings:
    acknowledged = present(
        [o for o in record.operations if o.kind in ORDERING and o.outcome is OutcomeKind.OK], "acknowledged order"
    )
    rows: dict[Key, list[OrderView]] = defaultdict(list)
    for order in record.orders:
        rows[order.account_id, order.client_order_id].append(order)
    journaled = _times_journaled(record)
    lost, doubled, differing = [], [], []
    for operation in acknowledged:
        key = (operation.account_id, operation.client_order_id)
        found = rows.get(key, [])
        if not found:
            lost.append(_evidence(operation, "lost", "acknowledged, but not in the orders table"))
        elif (times := max(len(found), journaled[key])) > 1:
            doubled.append(_evidence(operation, "doubled", f"exists {times} times"))
        elif wrong := _differences(operation, found[0]):
            differing.append(_evidence(operation, "differs", json.dumps(wrong)))
    orders = {(operation.account_id, operation.client_order_id) for operation in acknowledged}
    return Findings(
        f"{bound_text(len(lost), len(orders), 'lost')}; {bound_text(len(doubled), len(orders), 'doubled')}; "
        f"{len(differing)} with other values",
        [*lost, *doubled, *differing],
        {"acknowledged": len(orders), "lost": len(lost), "doubled": len(doubled), "differing": len(differing)},
    )


def intended_values(operation: Operation) -> Evidence:
    """What the client asked for, in the words of the orders table.

    A replacement keeps what it does not name, and the quantity it names counts what the old order has filled.
    """
    asked = {
        "symbol": operation.symbol,
        "side": operation.side,
        "order_type": operation.order_type,
        "time_in_force": operation.time_in_force,
        "quantity": operation.quantity,
        "limit_price_micros": operation.limit_price_micros,
    }
    if operation.kind == "replace":
        return {name: value for name, value in asked.items() if value is not None and name != "quantity"}
    return asked


def stored_values(order: OrderView) -> Evidence:
    return {
        "symbol": order.symbol,
        "side": order.side.value,
        "order_type": order.order_type.value,
        "time_in_force": order.time_in_force.value,
        "quantity": order.quantity,
        "limit_price_micros": order.limit_price_micros,
    }


def _differences(operation: Operation, order: OrderView) -> Evidence:
    """Between what was asked for or answered, and what is stored."""
    stored = {**stored_values(order), "order_id": order_uuid(order.order_id)}
    asked = {**intended_values(operation), "order_id": operation.order_id}
    return differences(asked, stored) or differences(_answered_values(operation.answer), stored)


def _answered_values(answer: str | None) -> Evidence:
    """What the answer's body says of the order, as far as it says anything (a recorder may have cut it short)."""
    try:
        body = json.loads(answer or "")
    except ValueError:
        return {}
    if not isinstance(body, dict) or "client_order_id" not in body:
        return {}
    return {
        "order_id": body.get("id"),
        "symbol": body.get("symbol"),
        "side": body.get("side"),
        "order_type": body.get("type"),
        "time_in_force": body.get("time_in_force"),
        "quantity": _scaled(body.get("qty"), MICROS_PER_SHARE),
        "limit_price_micros": _scaled(body.get("limit_price"), MICROS_PER_DOLLAR),
    }


def _scaled(text: Any, factor: int) -> Any:
    """A decimal text as an integer of the smaller unit; what is no such number stays as it came, to show up."""
    try:
        value = Decimal(text) * factor
        return int(value) if value == value.to_integral_value() else text
    except (InvalidOperation, TypeError, ValueError):
        return text


def _times_journaled(record: Record) -> Counter[Key]:
    """How often the journal accepted each order: the orders table alone could not hold one twice."""
    commands = (entry.command for entry in record.journal)
    return Counter(
        (command.account_id, command.client_order_id)
        for command in commands
        if isinstance(command, PlaceOrder | ReplaceOrder)
    )


def _evidence(operation: Operation, problem: str, what: str) -> Evidence:
    return {
        "problem": problem,
        "account_id": operation.account_id,
        "client_order_id": operation.client_order_id,
        "order_id": operation.order_id,
        "what": what,
    }


CHECK = Check("acknowledged_orders", "Acknowledged orders exist exactly once, as acknowledged", examine)
