"""What became of an operation, whether it was sent or not, and its row; nothing here needs the generator's process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import astuple

from loadtests.intended import IntendedOperation
from loadtests.target import Target
from reports.records import OutcomeKind
from stack.status import InstrumentStatus
from trading.core.orders import MICROS_PER_SHARE


class EndedOperation(msgspec.Struct, frozen=True, gc=False):
    """Times are epoch nanoseconds; what is not known, or never came to be, is None. ``answer`` is as it came."""

    operation: IntendedOperation
    intended_ns: int
    outcome: OutcomeKind
    answer: bytes
    sent_ns: int | None = None
    done_ns: int | None = None
    http_status: int | None = None
    order_id: str | None = None
    endpoint: str | None = None


def columns_of(ended: Sequence[EndedOperation], target: Target) -> list[Sequence[Any]]:
    """Their rows, in the record's own words, as the columns of records.OPERATIONS.

    Many at once cost a fraction of what they cost one by one between two requests.
    """
    operations, intended, outcomes, answers, sent, done, statuses, order_ids, endpoints = _transposed(ended)
    ids, _, kinds, accounts, names, symbols, sides, types, times_in_force, quantities, _, _ = _transposed(operations)
    return [
        ["load"] * len(ended),
        ids,
        kinds,
        [target.accounts[account].account_id for account in accounts],
        names,
        symbols,
        sides,
        types,
        times_in_force,
        [None if shares is None else shares * MICROS_PER_SHARE for shares in quantities],
        [limit_price_micros(operation, target.instruments) for operation in operations],
        intended,
        sent,
        done,
        outcomes,
        statuses,
        order_ids,
        endpoints,
        [answer.decode(errors="replace") for answer in answers],
    ]


def _transposed(structs: Sequence[msgspec.Struct]) -> list[tuple[Any, ...]]:
    """A tuple a field."""
    return list(zip(*map(astuple, structs), strict=True))


def limit_price_micros(operation: IntendedOperation, instruments: Mapping[str, InstrumentStatus]) -> int | None:
    """The intended price on the instrument's grid, at least one tick; None for what has no limit price."""
    if operation.price_offset_ticks is None or operation.symbol is None:
        return None
    instrument = instruments[operation.symbol]
    tick = instrument.tick_micros
    return max(tick, instrument.reference_price_micros // tick * tick + operation.price_offset_ticks * tick)
