"""Who has an acknowledgement reads what it acknowledged: a later question never shows the order as before it."""

from __future__ import annotations

from collections.abc import Iterator

from reports.bounds import bound_text
from reports.record import Record
from reports.records import OutcomeKind
from reports.rows import Operation
from scenarios.checks.acknowledged import ORDERING, Key
from scenarios.checks.answers import Sighting, sightings
from scenarios.checks.check import Check, Evidence, Findings, present
from scenarios.checks.histories import RANK
from trading.core.orders import OPEN_STATUSES
from trading.wire.orders import order_id_of


def examine(record: Record) -> Findings:
    """Looked at is every answer, to whatever question, that shows or denies an order acknowledged before it was asked.

    A cancel of what "does not exist" counts as a question. What other people's orders did meanwhile does not.
    """
    present(record.operations, "operation")
    written, closed, seen = _acknowledgements(record), _closed(record), list(sightings(record))
    acknowledged = {sighting.order_id: sighting for sighting in seen if sighting.is_own_write}
    reads = [
        sighting
        for sighting in seen
        if not sighting.is_own_write
        and (write := acknowledged.get(sighting.order_id)) is not None
        and write.done_ns < sighting.sent_ns
    ]
    denied = list(_denied(record, written))
    present([*reads, *denied], "read of an order after its acknowledgement")
    violations = denied + [row for read in reads for row in _older(read, acknowledged[read.order_id], closed)]
    return Findings(
        bound_text(len(violations), len(reads) + len(denied), "reads older than an acknowledgement before them"),
        violations,
        {"reads_after_writes": len(reads) + len(denied)},
    )


def _acknowledgements(record: Record) -> dict[Key, int]:
    """When an order was first acknowledged."""
    written: dict[Key, int] = {}
    for operation in record.operations:
        if operation.kind in ORDERING and operation.outcome is OutcomeKind.OK and operation.done_ns is not None:
            key = (operation.account_id, operation.client_order_id)
            written[key] = min(written.get(key, operation.done_ns), operation.done_ns)
    return written


def _closed(record: Record) -> dict[int, int]:
    """When it was first acknowledged that an order is canceled or replaced."""
    replaces: dict[Key, int | None] = {
        (order.account_id, order.client_order_id): order.replaces for order in record.orders
    }
    closed: dict[int, int] = {}
    for operation in record.operations:
        if operation.outcome is not OutcomeKind.OK or operation.done_ns is None:
            continue
        order_id: int | None = None
        if operation.kind == "cancel":
            order_id = order_id_of(operation.order_id or "")
        elif operation.kind == "replace":
            order_id = replaces.get((operation.account_id, operation.client_order_id))
        if order_id is not None:
            closed[order_id] = min(closed.get(order_id, operation.done_ns), operation.done_ns)
    return closed


def _denied(record: Record, written: dict[Key, int]) -> Iterator[Evidence]:
    for operation in record.operations:
        if operation.kind in ("lookup", "cancel") and operation.http_status == 404 and operation.sent_ns is not None:
            done_ns = written.get((operation.account_id, operation.client_order_id))
            if done_ns is not None and done_ns < operation.sent_ns:
                yield _row(operation, "was told that it does not exist, after it had been acknowledged")


def _older(read: Sighting, write: Sighting, closed: dict[int, int]) -> Iterator[Evidence]:
    if RANK[read.status] < RANK[write.status] or read.filled < write.filled:
        yield _row(read.operation, f"was shown {read.status}, after {write.status} had been acknowledged", read)
    elif read.status in OPEN_STATUSES and closed.get(read.order_id, read.sent_ns) < read.sent_ns:
        yield _row(read.operation, f"was shown {read.status}, after its withdrawal had been acknowledged", read)


def _row(operation: Operation, problem: str, read: Sighting | None = None) -> Evidence:
    return {
        "account_id": operation.account_id,
        "order": operation.client_order_id if read is None else read.order_id,
        "asked": f"{operation.kind} {operation.source}/{operation.operation_id}",
        "sent_ns": operation.sent_ns,
        "problem": problem,
    }


CHECK = Check("read_your_writes", "Reads after an acknowledgement see it", examine)
