"""What happened to every order, step by step: worked out once more from the journal's events, apart from the core."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from trading.core.events import (
    LedgerPosted,
    OrderAccepted,
    OrderActivated,
    OrderCanceled,
    OrderReduced,
    OrderReplaced,
    OrderRested,
    OrderTriggered,
    StopMoved,
    Traded,
)
from trading.core.orders import OPEN_STATUSES, CancelReason, OrderStatus
from trading.wire.journal import JournalRecord

RANK: Final = {
    OrderStatus.HELD: 0,
    OrderStatus.NEW: 1,
    OrderStatus.PARTIALLY_FILLED: 2,
    OrderStatus.FILLED: 3,
    OrderStatus.CANCELED: 3,
    OrderStatus.EXPIRED: 3,
    OrderStatus.REPLACED: 3,
}


class Step(NamedTuple):
    """One order after one event that changed it. ``name`` is what its owner is told (Alpaca's trade_updates)."""

    sequence: int
    at_ns: int
    order_id: int
    account_id: int
    name: str
    status: OrderStatus
    filled: int  # micro-shares
    fill: Traded | None = None
    problem: str | None = None  # why it could not have happened to the order as it was
    is_first: bool = False  # it brought the order into being


@dataclass(slots=True)
class _Life:
    account_id: int
    status: OrderStatus
    leaves: int
    filled: int = 0


def steps(journal: Iterable[JournalRecord]) -> Iterator[Step]:
    """Every step of every order, in the journal's order; of a trade the maker's first."""
    lives: dict[int, _Life] = {}
    event: Any
    for entry in journal:
        for event in entry.events:
            if isinstance(event, LedgerPosted):
                continue
            if isinstance(event, Traded):
                yield _traded(lives, entry, event, (event.maker_order_id, event.maker_leaves))
                yield _traded(lives, entry, event, (event.taker_order_id, event.taker_leaves))
            elif step := _step(lives, entry, event):
                yield step


def _step(lives: dict[int, _Life], entry: JournalRecord, event: Any) -> Step | None:
    match event:
        case OrderAccepted():
            return _accepted(lives, entry, event)
        case OrderActivated():
            return _moved(lives, entry, event.order_id, "new", OrderStatus.NEW, among={OrderStatus.HELD})
        case OrderCanceled(reason=CancelReason.SESSION_CLOSED):
            return _withdrawn(lives, entry, event, "expired", OrderStatus.EXPIRED)
        case OrderCanceled():
            return _withdrawn(lives, entry, event, "canceled", OrderStatus.CANCELED)
        case OrderReplaced():
            return _withdrawn(lives, entry, event, "replaced", OrderStatus.REPLACED)
        case OrderReduced():
            return _reduced(lives, entry, event)
        case OrderRested() | OrderTriggered() | StopMoved():
            step = _moved(lives, entry, event.order_id, "", None, among=OPEN_STATUSES - {OrderStatus.HELD})
            return step if step.problem else None
        case _:
            return None


def _accepted(lives: dict[int, _Life], entry: JournalRecord, event: OrderAccepted) -> Step:
    waits = event.parent_id is not None and event.replaces is None  # a leg, for its entry to be filled
    status = OrderStatus.HELD if waits else OrderStatus.NEW
    problem = "is accepted a second time" if event.order_id in lives else None
    lives[event.order_id] = life = _Life(event.account_id, status, event.quantity)
    return _told(entry, event.order_id, life, "held" if waits else "new", problem=problem)._replace(is_first=True)


def _traded(lives: dict[int, _Life], entry: JournalRecord, event: Traded, side: tuple[int, int]) -> Step:
    order_id, leaves = side
    life = lives.get(order_id)
    if life is None:
        return _unknown(entry, order_id, "trades")
    problem = None
    if life.status not in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED):
        problem = f"trades while it is {life.status}"
    elif life.leaves - event.quantity != leaves or leaves < 0:
        problem = f"trades {event.quantity} of {life.leaves} micro-shares and has {leaves} left"
    life.filled, life.leaves = life.filled + event.quantity, leaves
    life.status = OrderStatus.PARTIALLY_FILLED if leaves else OrderStatus.FILLED
    return _told(entry, order_id, life, "partial_fill" if leaves else "fill", problem=problem, fill=event)


def _moved(
    lives: dict[int, _Life],
    entry: JournalRecord,
    order_id: int,
    name: str,
    status: OrderStatus | None,
    *,
    among: Iterable[OrderStatus],
) -> Step:
    """``status`` is what the order becomes, None: what it is; it must be one of ``among`` before."""
    life = lives.get(order_id)
    if life is None:
        return _unknown(entry, order_id, name or "moves")
    problem = None if life.status in among else f"is {name or 'moved'} while it is {life.status}"
    life.status = status or life.status
    return _told(entry, order_id, life, name, problem=problem)


def _withdrawn(
    lives: dict[int, _Life],
    entry: JournalRecord,
    event: OrderCanceled | OrderReplaced,
    name: str,
    status: OrderStatus,
) -> Step:
    life = lives.get(event.order_id)
    step = _moved(lives, entry, event.order_id, name, status, among=OPEN_STATUSES)
    if life is None or step.problem or life.leaves == event.quantity:
        return step
    return step._replace(problem=f"is {name} with {event.quantity} of {life.leaves} micro-shares left")


def _reduced(lives: dict[int, _Life], entry: JournalRecord, event: OrderReduced) -> Step:
    life = lives.get(event.order_id)
    step = _moved(lives, entry, event.order_id, "restated", None, among=OPEN_STATUSES)
    if life is None:
        return step
    problem = step.problem
    if life.leaves - event.quantity != event.leaves:
        problem = problem or f"is reduced by {event.quantity} of {life.leaves} micro-shares to {event.leaves}"
    life.leaves = event.leaves
    return step._replace(problem=problem)


def _told(
    entry: JournalRecord, order_id: int, life: _Life, name: str, *, problem: str | None, fill: Traded | None = None
) -> Step:
    return Step(entry.sequence, entry.at_ns, order_id, life.account_id, name, life.status, life.filled, fill, problem)


def _unknown(entry: JournalRecord, order_id: int, name: str) -> Step:
    status = OrderStatus.NEW  # of an order that nobody accepted nothing is known
    problem = f"{name} and was never accepted"
    return Step(entry.sequence, entry.at_ns, order_id, 0, name, status, 0, None, problem)
