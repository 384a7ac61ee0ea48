"""The stop orders of one market that wait for their price, and which of them a trade elects."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from typing import TYPE_CHECKING

from trading.core.instruments import rounded_down, rounded_up
from trading.core.orders import BUY, MAX_PRICE_MICROS, PPM, Instrument, OrderId, OrderType, Side, SpecialTerms

if TYPE_CHECKING:
    from trading.core.venue import Order


class WaitingStops:
    """Fixed stops are sorted by price, so a trade that elects none costs two comparisons; trailing ones are few."""

    __slots__ = ("_buys", "_orders", "_sales", "_trailing")

    def __init__(self) -> None:
        self._orders: dict[OrderId, Order] = {}
        self._trailing: dict[OrderId, Order] = {}
        self._buys: list[tuple[int, OrderId]] = []  # (stop price, id), the next to be elected first
        self._sales: list[tuple[int, OrderId]] = []  # (minus stop price, id)

    def __len__(self) -> int:
        return len(self._orders) + len(self._trailing)

    def add(self, order: Order) -> None:
        if order.accepted.order_type is OrderType.TRAILING_STOP:
            self._trailing[order.order_id] = order
            return
        self._orders[order.order_id] = order
        insort(*self._entry(order))

    def remove(self, order: Order) -> None:
        if self._trailing.pop(order.order_id, None) is None:
            del self._orders[order.order_id]
            queue, entry = self._entry(order)
            del queue[bisect_left(queue, entry)]

    def trailing(self) -> list[Order]:
        return list(self._trailing.values())

    def elect(self, price_micros: int, moved: dict[OrderId, tuple[Order, int | None]]) -> list[Order]:
        """Moves the trailing stops after a trade, then takes out what it elects, by id.

        ``moved`` gets each order whose stop moved, with the stop price it had first.
        """
        elected = self._elect_fixed(self._buys, price_micros) + self._elect_fixed(self._sales, -price_micros)
        for order in self._trailing.values():
            self._follow(order, price_micros, moved)
        reached = [order for order in self._trailing.values() if _is_reached(order, price_micros)]
        for order in reached:
            del self._trailing[order.order_id]
        return sorted(elected + reached, key=lambda order: order.order_id)

    def _elect_fixed(self, queue: list[tuple[int, OrderId]], rank: int) -> list[Order]:
        if not queue or queue[0][0] > rank:
            return []
        end = bisect_right(queue, rank, key=lambda entry: entry[0])
        elected = [self._orders.pop(order_id) for _, order_id in queue[:end]]
        del queue[:end]
        return elected

    def _entry(self, order: Order) -> tuple[list[tuple[int, OrderId]], tuple[int, OrderId]]:
        stop_micros = order.stop_micros or 0
        if order.side is BUY:
            return self._buys, (stop_micros, order.order_id)
        return self._sales, (-stop_micros, order.order_id)

    def _follow(self, order: Order, price_micros: int, moved: dict[OrderId, tuple[Order, int | None]]) -> None:
        before, mark = order.stop_micros or 0, order.high_water_micros or 0
        if price_micros >= mark if order.side is BUY else price_micros <= mark:
            return
        order.high_water_micros = price_micros
        order.stop_micros = trailing_stop(order)
        moved.setdefault(order.order_id, (order, before))


def trailing_stop(order: Order) -> int:
    """The stop price that follows from the high-water mark."""
    special = order.accepted.special
    assert special is not None
    return stop_behind(order.market.instrument, order.side, special, order.high_water_micros or 0)


def stop_behind(instrument: Instrument, side: Side, special: SpecialTerms, mark_micros: int) -> int:
    """The stop price a trail behind ``mark_micros``, rounded away from it."""
    trail = mark_micros * special.trail_ppm // PPM if special.trail_ppm is not None else special.trail_micros or 0
    if side is BUY:
        return rounded_up(instrument, min(mark_micros + trail, MAX_PRICE_MICROS))
    return rounded_down(instrument, max(mark_micros - trail, instrument.sub_dollar_tick_micros))


def _is_reached(order: Order, price_micros: int) -> bool:
    stop_micros = order.stop_micros or 0
    return price_micros >= stop_micros if order.side is BUY else price_micros <= stop_micros
