"""The flow of a day as it was recorded, to be sent again at any rate: timed requests, read from ``orders.parquet``.

for request in recorded_flow(folder / "orders.parquet", rate=10):
    ...  # due ``request.due_s`` seconds after the first
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from trading.core.orders import NS_PER_S, OrderType, Side, TimeInForce

_COLUMNS: Final = (
    "arrived_ns",
    "trader",
    "number",
    "symbol",
    "action",
    "side",
    "order_type",
    "time_in_force",
    "quantity",
    "limit_price_micros",
    "stop_price_micros",
    "notional_micros",
)
_ROWS_AT_ONCE: Final = 10_000


class FlowError(ValueError):
    """A file that is no recorded flow, or a rate at which none can be sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntendedRequest:
    """What one trader asked for; a cancel is of its own order of the same ``number``, and repeats that order's terms.

    ``due_s``: seconds after the flow's first request. ``quantity`` in micro-shares, 0 for an order for a sum.
    """

    due_s: float
    trader: int
    number: int
    symbol: str
    action: Literal["place", "cancel"]
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: int
    limit_price_micros: int | None
    stop_price_micros: int | None
    notional_micros: int | None


def recorded_flow(path: Path, rate: float = 1.0) -> Iterator[IntendedRequest]:
    """Every request of the day in the order in which they arrived, ``rate`` times as fast as they did then.

    What was refused then is among them: it was asked for. The file is read as it is needed. Raises FlowError at once
    for what is no flow and for a rate that is not above 0; OSError for a file that cannot be read.
    """
    if not (isfinite(rate) and rate > 0):
        raise FlowError(f"the rate is {rate:g}, but should be above 0")
    try:
        file = pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise FlowError(f"{path} is no Parquet file: {error}") from error
    missing = [name for name in _COLUMNS if name not in file.schema_arrow.names]
    if missing:
        raise FlowError(f"{path} is no recorded flow: it has no {', '.join(missing)}")
    return _requests(file, rate * NS_PER_S)


def _requests(file: pq.ParquetFile, ns_per_s: float) -> Iterator[IntendedRequest]:
    first_ns: int | None = None
    with file:
        for batch in file.iter_batches(_ROWS_AT_ONCE, columns=list(_COLUMNS)):
            for arrived_ns, trader, number, symbol, action, side, order_type, time_in_force, *terms in zip(
                *(batch.column(name).to_pylist() for name in _COLUMNS), strict=True
            ):
                first_ns = arrived_ns if first_ns is None else first_ns
                quantity, limit_price_micros, stop_price_micros, notional_micros = terms
                yield IntendedRequest(
                    due_s=(arrived_ns - first_ns) / ns_per_s,
                    trader=trader,
                    number=number,
                    symbol=symbol,
                    action=action,
                    side=Side(side),
                    order_type=OrderType(order_type),
                    time_in_force=TimeInForce(time_in_force),
                    quantity=quantity,
                    limit_price_micros=limit_price_micros,
                    stop_price_micros=stop_price_micros,
                    notional_micros=notional_micros,
                )
