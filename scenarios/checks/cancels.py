"""A canceled or replaced order is over: what was acknowledged as canceled is, and nothing of it fills afterwards."""

from __future__ import annotations

from collections import defaultdict

from reports.bounds import bound_text
from reports.record import Record
from reports.records import OutcomeKind
from reports.rows import Operation
from scenarios.checks.acknowledged import Key
from scenarios.checks.check import CannotTellError, Check, Evidence, Findings
from trading.core.events import OrderCanceled, OrderReplaced, Traded
from trading.core.orders import OrderStatus
from trading.wire.orders import OrderView, order_uuid


def examine(record: Record) -> Findings:
    withdrawn, after = _fills_after_withdrawal(record)
    acknowledged = [o for o in record.operations if o.kind == "cancel" and o.outcome is OutcomeKind.OK]
    if not withdrawn and not acknowledged:
        raise CannotTellError("the record holds no canceled order")
    violations = after + _not_canceled(record, acknowledged)
    return Findings(
        f"{len(withdrawn):,} orders canceled or replaced, {len(acknowledged):,} cancels acknowledged to clients: "
        f"{bound_text(len(violations), len(withdrawn) + len(acknowledged), 'wrong')}",
        violations,
        {"canceled": len(withdrawn)},
    )


def _fills_after_withdrawal(record: Record) -> tuple[dict[int, int], list[Evidence]]:
    """Orders with the sequence that canceled or replaced them, and trades of theirs that came later in the journal."""
    withdrawn: dict[int, int] = {}
    violations = []
    for entry in record.journal:
        for event in entry.events:
            if isinstance(event, OrderCanceled | OrderReplaced):
                withdrawn[event.order_id] = entry.sequence
            elif isinstance(event, Traded):
                violations += [
                    _evidence(order_id, f"withdrawn at sequence {withdrawn[order_id]}, traded at {entry.sequence}")
                    for order_id in (event.maker_order_id, event.taker_order_id)
                    if order_id in withdrawn
                ]
    return withdrawn, violations


def _not_canceled(record: Record, acknowledged: list[Operation]) -> list[Evidence]:
    """Acknowledged cancels that were none. Of an order that ended otherwise the platform says 422: it was too late."""
    orders: dict[Key, OrderView] = {(order.account_id, order.client_order_id): order for order in record.orders}
    by_public_id = {order_uuid(order.order_id): order for order in record.orders}
    last_fill_ns: dict[int, int] = defaultdict(int)
    for fill in record.fills:
        last_fill_ns[fill.order_id] = max(last_fill_ns[fill.order_id], fill.at_ns)
    violations = []
    for operation in acknowledged:
        order = by_public_id.get(operation.order_id or "") or orders.get(
            (operation.account_id, operation.client_order_id)
        )
        if order is None:
            violations.append(_evidence(operation.client_order_id, "its cancel was acknowledged, and it is not there"))
        elif order.status is not OrderStatus.CANCELED:
            violations.append(_evidence(order.order_id, f"its cancel was acknowledged, and it is {order.status}"))
        elif operation.done_ns is not None and last_fill_ns[order.order_id] > operation.done_ns:
            violations.append(_evidence(order.order_id, "it was filled after its cancel had been acknowledged"))
    return violations


def _evidence(order: int | str | None, problem: str) -> Evidence:
    return {"order": order, "problem": problem}


CHECK = Check("canceled_orders", "An acknowledged cancel was one, and nothing is filled after it", examine)
