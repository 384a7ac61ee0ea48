"""Unknown outcomes are resolved: each order whose client got no answer either exists as it was sent, or does not."""

from __future__ import annotations

import json

from reports.record import Record
from reports.records import OutcomeKind
from reports.rows import Operation
from scenarios.checks.acknowledged import ORDERING, Key, intended_values, stored_values
from scenarios.checks.check import Check, Evidence, Findings, differences, present
from trading.core.orders import OrderStatus
from trading.wire.orders import OrderView


def examine(record: Record) -> Findings:
    operations = present(record.operations, "operation")
    orders: dict[Key, list[OrderView]] = {}
    for order in record.orders:
        orders.setdefault((order.account_id, order.client_order_id), []).append(order)
    unknown = [o for o in operations if o.kind in ORDERING and o.outcome is OutcomeKind.UNKNOWN]
    executed = [o for o in unknown if (o.account_id, o.client_order_id) in orders]
    seen = [o for o in operations if o.kind == "lookup" and o.outcome is OutcomeKind.OK]
    violations = [
        evidence
        for operation in unknown
        for evidence in _wrong(operation, orders.get((operation.account_id, operation.client_order_id), []))
    ]
    violations += [
        _evidence(operation, "a client was told that it exists, and it does not")
        for operation in seen
        if (operation.account_id, operation.client_order_id) not in orders
    ]
    cancels = [o for o in operations if o.kind == "cancel" and o.outcome is OutcomeKind.UNKNOWN]
    canceled = [o for o in cancels if any(map(_is_canceled, orders.get((o.account_id, o.client_order_id), [])))]
    summary = (
        f"{len(unknown):,} of {sum(o.kind in ORDERING for o in operations):,} orders had an unknown outcome: "
        f"{len(executed):,} were executed, {len(unknown) - len(executed):,} were not; "
        f"of {len(cancels):,} cancels {len(canceled):,} were"
    )
    figures = {"unknown": len(unknown), "unknown_executed": len(executed), "unknown_cancels": len(cancels)}
    return Findings(summary, violations, {**figures, "unknown_cancels_executed": len(canceled)})


def _is_canceled(order: OrderView) -> bool:
    return order.status is OrderStatus.CANCELED


def _wrong(operation: Operation, found: list[OrderView]) -> list[Evidence]:
    if len(found) > 1:
        return [_evidence(operation, f"exists {len(found)} times")]
    wrong = [differences(intended_values(operation), stored_values(order)) for order in found]
    return [_evidence(operation, f"executed with other values: {json.dumps(values)}") for values in wrong if values]


def _evidence(operation: Operation, problem: str) -> Evidence:
    return {
        "account_id": operation.account_id,
        "client_order_id": operation.client_order_id,
        "http_status": operation.http_status,
        "problem": problem,
    }


CHECK = Check("unknown_outcomes", "Unknown outcomes are resolved", examine)
