"""No order exists that nobody sent, or that was definitely refused."""

from __future__ import annotations

import json
from collections import defaultdict

from reports.bounds import bound_text
from reports.record import Record
from reports.records import OutcomeKind
from reports.rows import Operation
from scenarios.checks.acknowledged import ORDERING, Key, intended_values, stored_values
from scenarios.checks.check import Check, Evidence, Findings, differences, present
from trading.core.orders import OrderId
from trading.wire.orders import OrderView


def examine(record: Record) -> Findings:
    sent: dict[Key, list[Operation]] = defaultdict(list)
    for operation in present([o for o in record.operations if o.kind in ORDERING], "operation that places an order"):
        sent[operation.account_id, operation.client_order_id].append(operation)
    orders = present(record.orders, "order in the orders table")
    known = {order.order_id for order in orders}
    violations = [
        _evidence(order, problem)
        for order in orders
        if (problem := _problem(order, sent.get((order.account_id, order.client_order_id), []), known))
    ]
    return Findings(
        bound_text(len(violations), len(orders), "orders nobody asked for like this"),
        violations,
        {"unasked": len(violations)},
    )


def _problem(order: OrderView, operations: list[Operation], known: set[OrderId]) -> str | None:
    if order.parent_id is not None and not order.client_order_id:  # a leg, which was asked for with its entry
        return None if order.parent_id in known else f"is a leg of order {order.parent_id}, which does not exist"
    # What became of an unknown one nobody can tell, not even that it was not sent: its generator may have died.
    if not any(one.sent_ns is not None or one.outcome is OutcomeKind.UNKNOWN for one in operations):
        return "nobody sent it"
    if all(operation.outcome is OutcomeKind.FAIL for operation in operations):
        return f"it was refused (HTTP {operations[-1].http_status}) and exists all the same"
    wrong = [differences(intended_values(operation), stored_values(order)) for operation in operations]
    return f"it was sent with other values: {json.dumps(wrong[0])}" if all(wrong) else None


def _evidence(order: OrderView, problem: str) -> Evidence:
    return {
        "order_id": order.order_id,
        "account_id": order.account_id,
        "client_order_id": order.client_order_id,
        "symbol": order.symbol,
        "problem": problem,
    }


CHECK = Check("intended_orders", "No order exists that nobody sent", examine)
