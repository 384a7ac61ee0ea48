"""The row of an operation, whether it was sent or not; nothing here needs the generator's process."""

from __future__ import annotations

from collections.abc import Mapping

from loadtests.intended import IntendedOperation
from loadtests.target import Target
from reports.records import OutcomeKind
from reports.rows import Operation
from stack.status import InstrumentStatus
from trading.core.orders import MICROS_PER_SHARE


def row_of(
    operation: IntendedOperation,
    target: Target,
    start_ns: int,
    *,
    outcome: OutcomeKind,
    sent_ns: int | None = None,
    done_ns: int | None = None,
    http_status: int | None = None,
    order_id: str | None = None,
    endpoint: str | None = None,
    answer: str | None = None,
) -> Operation:
    """What was intended, and in the row's own words what became of it."""
    return Operation(
        source="load",
        operation_id=operation.operation_id,
        kind=operation.kind,
        account_id=target.accounts[operation.account].account_id,
        client_order_id=operation.client_order_id,
        symbol=operation.symbol,
        side=operation.side,
        order_type=operation.order_type,
        time_in_force=operation.time_in_force,
        quantity=None if operation.quantity is None else operation.quantity * MICROS_PER_SHARE,
        limit_price_micros=limit_price_micros(operation, target.instruments),
        intended_ns=start_ns + operation.offset_ns,
        sent_ns=sent_ns,
        done_ns=done_ns,
        outcome=outcome,
        http_status=http_status,
        order_id=order_id,
        endpoint=endpoint,
        answer=answer,
    )


def limit_price_micros(operation: IntendedOperation, instruments: Mapping[str, InstrumentStatus]) -> int | None:
    """The intended price on the instrument's grid, at least one tick; None for what has no limit price."""
    if operation.price_offset_ticks is None or operation.symbol is None:
        return None
    instrument = instruments[operation.symbol]
    tick = instrument.tick_micros
    return max(tick, instrument.reference_price_micros // tick * tick + operation.price_offset_ticks * tick)
