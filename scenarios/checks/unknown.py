"""Unknown outcomes are resolved: each order whose client got no answer either exists as it was sent, or does not."""

from __future__ import annotations

import json
from collections.abc import Sequence

from reports.record import Record
from reports.records import OutcomeKind
from reports.rows import Operation
from scenarios.checks.acknowledged import ORDERING, Key, intended_values, stored_values
from scenarios.checks.check import Check, Evidence, Findings, differences, present
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
    violations += _denied(operations)
    summary = (
        f"{len(unknown):,} of {sum(o.kind in ORDERING for o in operations):,} orders had an unknown outcome: "
        f"{len(executed):,} were executed, {len(unknown) - len(executed):,} were not"
    )
    return Findings(summary, violations, {"unknown": len(unknown), "unknown_executed": len(executed)})


def _denied(operations: Sequence[Operation]) -> list[Evidence]:
    """An order whose acknowledgement came before the question must not be "not found"."""
    acknowledged_ns = {
        (o.account_id, o.client_order_id): o.done_ns
        for o in operations
        if o.kind in ORDERING and o.outcome is OutcomeKind.OK and o.done_ns is not None
    }
    return [
        _evidence(operation, "a client was told that it does not exist, after it had been acknowledged")
        for operation in operations
        if operation.kind in ("lookup", "cancel") and operation.http_status == 404 and operation.sent_ns is not None
        if operation.sent_ns > acknowledged_ns.get((operation.account_id, operation.client_order_id), operation.sent_ns)
    ]


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
