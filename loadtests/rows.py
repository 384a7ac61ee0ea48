"""The row of an operation, whether it was sent or not; nothing here needs the generator's process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loadtests.intended import IntendedOperation
from loadtests.target import Target
from reports.records import OutcomeKind
from reports.rows import Operation
from stack.status import InstrumentStatus
from trading.core.orders import MICROS_PER_SHARE


def row_of(
    operation: IntendedOperation, target: Target, start_ns: int, *, outcome: OutcomeKind, **told: Any
) -> Operation:
    """``told`` is what became of it, in the row's own words; what it leaves out is None."""
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
        outcome=outcome,
        **{"sent_ns": None, "done_ns": None, "http_status": None, "order_id": None, "endpoint": None, **told},
    )


def limit_price_micros(operation: IntendedOperation, instruments: Mapping[str, InstrumentStatus]) -> int | None:
    """The intended price on the instrument's grid, at least one tick; None for what has no limit price."""
    if operation.price_offset_ticks is None or operation.symbol is None:
        return None
    instrument = instruments[operation.symbol]
    tick = instrument.tick_micros
    return max(tick, instrument.reference_price_micros // tick * tick + operation.price_offset_ticks * tick)
