"""A recorded market as a schedule: its orders, in its rhythm, placed by the load's accounts.

A recording is anything that yields ``RecordedOrder`` in order of time; ``read_day`` makes one of the folder that
``elson market run`` leaves (its table ``orders``, see simulator.days.recorder).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from loadtests.arrivals import Replay
from loadtests.intended import IntendedOperation, Kind, ScheduleOptions, client_order_id
from trading.core.orders import MICROS_PER_SHARE, NS_PER_S, OrderType, Side, TimeInForce

_KEPT_NAMES: Final = 100_000  # of recorded orders that may still be canceled
# Auctions have their own hours, which a load run has not: their orders are put into the book.
_LASTING: Final = {TimeInForce.OPG: TimeInForce.DAY, TimeInForce.CLS: TimeInForce.DAY}
_COLUMNS: Final = ("arrived_ns", "trader", "number", "symbol", "action", "side", "order_type", "time_in_force")
_VALUES: Final = ("quantity", "limit_price_micros")


class RecordingError(Exception):
    """The recording cannot be replayed; one line says why."""


class RecordedOrder(NamedTuple):
    """``name`` is the order's own in the recording, by which a cancel names it; ``price_offset_micros`` counts from
    where the recording's first limit price of the symbol is (None: a market order)."""

    at_ns: int  # from anywhere; only differences count
    kind: Kind  # place or cancel
    trader: int
    name: tuple[int, int]
    symbol: str
    side: Side | None = None
    order_type: OrderType | None = None
    time_in_force: TimeInForce | None = None
    quantity: int | None = None  # whole shares
    price_offset_micros: int | None = None


class Extent(NamedTuple):
    first_ns: int
    last_ns: int
    orders: int

    def stretch(self, rate_per_s: float) -> float:
        """By what its times are multiplied for its mean rate to be ``rate_per_s``."""
        return (self.orders - 1) * NS_PER_S / rate_per_s / (self.last_ns - self.first_ns)


def replayed(options: ScheduleOptions, replay: Replay) -> Iterator[IntendedOperation]:
    """Without end: after its last order a recording begins again. Raises RecordingError."""
    extent = extent_of(read_day(replay.folder))
    return scheduled(options, lambda: read_day(replay.folder), extent)


def extent_of(recording: Iterable[RecordedOrder]) -> Extent:
    """Raises RecordingError for one that has no length."""
    first_ns = last_ns = orders = 0
    for order in recording:
        first_ns, last_ns, orders = first_ns if orders else order.at_ns, order.at_ns, orders + 1
    if last_ns <= first_ns:
        raise RecordingError(f"a recording needs orders at different times, and has {orders}")
    return Extent(first_ns, last_ns, orders)


def scheduled(
    options: ScheduleOptions, recording: Callable[[], Iterable[RecordedOrder]], extent: Extent
) -> Iterator[IntendedOperation]:
    """Each recorded trader is one of the load's accounts, each recorded symbol one of the load's."""
    stretch, operation_id = extent.stretch(options.rate_per_s), 0
    # The mean gap lies between the last order and the first of the next time round.
    round_ns = (extent.last_ns - extent.first_ns) * extent.orders // (extent.orders - 1)
    symbols: dict[str, str] = {}
    for lap in count():
        names: dict[tuple[int, int], str] = {}
        for order in recording():
            symbol = symbols.setdefault(order.symbol, options.symbols[len(symbols) % len(options.symbols)])
            offset_ns = round((lap * round_ns + order.at_ns - extent.first_ns) * stretch)
            account = order.trader % options.accounts
            if order.kind is Kind.CANCEL:
                name = names.pop(order.name, None)
                if name is None:
                    continue
                yield IntendedOperation(operation_id, offset_ns, Kind.CANCEL, account, name, symbol)
            else:
                name = names[order.name] = client_order_id(options.seed, operation_id)
                if len(names) > _KEPT_NAMES:
                    del names[next(iter(names))]
                yield _placed(order, IntendedOperation(operation_id, offset_ns, Kind.PLACE, account, name, symbol))
            operation_id += 1


def _placed(order: RecordedOrder, operation: IntendedOperation) -> IntendedOperation:
    # The load's instruments have ticks of a cent, as a recording's have; other ones see its prices finer or coarser.
    ticks = None if order.price_offset_micros is None else round(order.price_offset_micros / _RECORDED_TICK_MICROS)
    return msgspec.structs.replace(
        operation,
        side=order.side,
        order_type=order.order_type,
        time_in_force=order.time_in_force,
        quantity=order.quantity,
        price_offset_ticks=ticks,
    )


_RECORDED_TICK_MICROS: Final = 10_000


def read_day(folder: Path) -> Iterator[RecordedOrder]:
    """What reached the market, in that order; requests for anything but limit and market orders are left out.

    Reads a batch at a time. Raises RecordingError when the folder holds no readable day.
    """
    try:
        with pq.ParquetFile(folder / "orders.parquet") as file:
            references: dict[str, int] = {}
            for batch in file.iter_batches(columns=[*_COLUMNS, *_VALUES]):
                plain = pc.is_in(batch["order_type"].cast(pa.string()), pa.array([OrderType.LIMIT, OrderType.MARKET]))
                for row in batch.filter(plain).to_pylist():
                    yield _recorded(row, references)
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise RecordingError(f"{folder}: not a recorded day: {error}") from error


def _recorded(row: dict[str, object], references: dict[str, int]) -> RecordedOrder:
    at_ns, trader, number, symbol, action, side, order_type, time_in_force, quantity, price = (
        row[name] for name in (*_COLUMNS, *_VALUES)
    )
    assert isinstance(at_ns, int)
    assert isinstance(trader, int)
    assert isinstance(number, int)
    assert isinstance(price, int | None)
    lasting = TimeInForce(str(time_in_force))
    return RecordedOrder(
        at_ns,
        Kind(str(action)),
        trader,
        (trader, number),
        str(symbol),
        Side(str(side)),
        OrderType(str(order_type)),
        _LASTING.get(lasting, lasting),
        max(1, quantity // MICROS_PER_SHARE) if isinstance(quantity, int) else 1,
        None if price is None else price - references.setdefault(str(symbol), price),
    )
