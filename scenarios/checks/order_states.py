"""An order's state only moves forwards: in the journal, in what clients were told, and in what is stored in the end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from reports.record import Record
from scenarios.checks.answers import Sighting, sightings
from scenarios.checks.check import Check, Evidence, Findings, present
from scenarios.checks.histories import RANK, steps
from trading.core.orders import OPEN_STATUSES, OrderStatus
from trading.wire.orders import OrderView


class _Known(NamedTuple):
    """The most that an answer had shown of an order."""

    status: OrderStatus
    filled: int

    def contradicts(self, status: OrderStatus, filled: int) -> bool:
        """Whether an order that was so could be like this afterwards."""
        if RANK[status] < RANK[self.status] or filled < self.filled:
            return True
        return self.status not in OPEN_STATUSES and (status, filled) != self


def examine(record: Record) -> Findings:
    journal = list(steps(present(record.journal, "journal record")))
    present(record.orders, "order in the orders table")
    seen: dict[int, list[Sighting]] = defaultdict(list)
    for sighting in sightings(record):
        seen[sighting.order_id].append(sighting)
    violations: list[Evidence] = [
        {"order_id": step.order_id, "sequence": step.sequence, "problem": step.problem}
        for step in journal
        if step.problem
    ]
    violations += [row for order_id, shown in seen.items() for row in _backwards(order_id, shown)]
    violations += [row for order in record.orders for row in _beyond_the_end(order, seen.get(order.order_id, []))]
    answers = sum(map(len, seen.values()))
    return Findings(
        f"{len(journal):,} steps of {len(record.orders):,} orders, {answers:,} times one was shown to a client: "
        f"{len(violations):,} went back",
        violations,
        {"order_steps": len(journal), "order_sightings": answers},
    )


def _backwards(order_id: int, shown: list[Sighting]) -> Iterator[Evidence]:
    """Answers that show less than one that had been given before they were asked for."""
    by_end = sorted(shown, key=lambda sighting: sighting.done_ns)
    known, given = _Known(OrderStatus.HELD, 0), 0
    for sighting in sorted(shown, key=lambda sighting: sighting.sent_ns):
        while by_end[given].done_ns < sighting.sent_ns:
            known = _more(known, by_end[given])
            given += 1
        if known.contradicts(sighting.status, sighting.filled):
            yield _row(order_id, sighting, f"after it had been {known.status} with {known.filled} filled")


def _more(known: _Known, sighting: Sighting) -> _Known:
    status = sighting.status if RANK[sighting.status] > RANK[known.status] else known.status
    return _Known(status, max(known.filled, sighting.filled))


def _beyond_the_end(order: OrderView, shown: list[Sighting]) -> Iterator[Evidence]:
    for sighting in shown:
        if _Known(sighting.status, sighting.filled).contradicts(order.status, order.filled_quantity):
            yield _row(order.order_id, sighting, f"and ended as {order.status} with {order.filled_quantity} filled")


def _row(order_id: int, sighting: Sighting, problem: str) -> Evidence:
    operation = sighting.operation
    return {
        "order_id": order_id,
        "sequence": None,
        "problem": f"{operation.kind} {operation.source}/{operation.operation_id} showed {sighting.status} with "
        f"{sighting.filled} micro-shares filled, {problem}",
    }


CHECK = Check("order_states", "Orders only move forwards", examine)
