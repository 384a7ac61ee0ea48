"""What clients were told about orders: every answer that shows one, with when it was asked for and had."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec

from reports.record import Record
from reports.records import OutcomeKind
from reports.rows import Operation
from trading.core.orders import MICROS_PER_SHARE, OrderStatus
from trading.wire.orders import order_id_of

_WRITES: Final = ("place", "replace")


class Sighting(NamedTuple):
    """An order as one answer showed it; it was so at some time from ``sent_ns`` to ``done_ns``."""

    order_id: int
    status: OrderStatus
    filled: int  # micro-shares
    sent_ns: int
    done_ns: int
    operation: Operation

    @property
    def is_own_write(self) -> bool:
        """The acknowledgement that brought the order into being, not a question about it."""
        return self.operation.kind in _WRITES


class _Shown(msgspec.Struct):
    id: str
    status: str
    filled_qty: str


_decode_one: Final = msgspec.json.Decoder(_Shown).decode
_decode_list: Final = msgspec.json.Decoder(list[_Shown]).decode
_STATUSES: Final[dict[str, OrderStatus]] = {status.value: status for status in OrderStatus}


def sightings(record: Record) -> Iterator[Sighting]:
    """In the order of the operations. What cannot be read as an order (or was cut short) shows none."""
    for operation in record.operations:
        if operation.outcome is OutcomeKind.OK and operation.sent_ns is not None and operation.done_ns is not None:
            for shown in _shown(operation.answer or ""):
                sighting = _sighting(shown, operation, (operation.sent_ns, operation.done_ns))
                if sighting is not None:
                    yield sighting


def body_of(operation: Operation) -> dict[str, Any]:
    """The answer as a JSON object; empty when it is none, or was cut short."""
    try:
        body = msgspec.json.decode(operation.answer or "")
    except msgspec.DecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _shown(answer: str) -> list[_Shown]:
    try:
        if answer.startswith("["):
            return _decode_list(answer)
        return [_decode_one(answer)] if answer.startswith("{") else []
    except msgspec.DecodeError:
        return []


def _sighting(shown: _Shown, operation: Operation, times: tuple[int, int]) -> Sighting | None:
    order_id, status = order_id_of(shown.id), _STATUSES.get(shown.status)
    if order_id is None or status is None:
        return None
    whole, _, fraction = shown.filled_qty.partition(".")
    filled = int(whole) * MICROS_PER_SHARE + int(fraction.ljust(6, "0")[:6])
    return Sighting(order_id, status, filled, *times, operation)
