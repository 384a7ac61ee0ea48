"""A run's intended operations, all of them drawn from one seed before the first is sent."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import msgspec
import numpy as np

from trading.core.orders import OrderType, Side, TimeInForce

NS_PER_S = 1_000_000_000


class Kind(StrEnum):
    """The operations of a load trader, as the record names them; a read is one of the account."""

    PLACE = "place"
    CANCEL = "cancel"
    READ = "read"
    LOOKUP = "lookup"


class Flow(StrEnum):
    """What one arrival is meant to be, before it is known whether there is anything to cancel."""

    PASSIVE = "passive"
    MARKETABLE = "marketable"
    MARKET = "market"
    CANCEL = "cancel"
    READ = "read"


@dataclass(frozen=True, slots=True)
class Mix:
    """The share of each kind of flow; they need not sum to one."""

    passive: float = 0.55
    marketable: float = 0.15
    market: float = 0.05
    cancel: float = 0.20
    read: float = 0.05

    def shares(self) -> list[float]:
        weights: list[float] = [getattr(self, flow.value) for flow in Flow]
        return [weight / sum(weights) for weight in weights]


@dataclass(frozen=True, slots=True)
class ScheduleOptions:
    """``accounts`` counts the load accounts; prices lie within ``max_offset_ticks`` of the reference price."""

    seed: int
    accounts: int
    symbols: tuple[str, ...]
    rate_per_s: float = 300.0
    duration_s: float = 40.0
    mix: Mix = field(default_factory=Mix)
    max_quantity: int = 20
    max_offset_ticks: int = 20
    min_age_s: float = 1.0  # of an order before its trader cancels it or looks it up


class IntendedOperation(NamedTuple):
    """``client_order_id`` is the order placed, canceled or looked up; ``price_offset_ticks`` counts from the
    instrument's reference price (None: a market order, or no order at all)."""

    operation_id: int
    offset_ns: int  # from the start of the run
    kind: Kind
    account: int
    client_order_id: str | None = None
    symbol: str | None = None
    side: Side | None = None
    order_type: OrderType | None = None
    time_in_force: TimeInForce | None = None
    quantity: int | None = None  # whole shares
    price_offset_ticks: int | None = None


def schedule(options: ScheduleOptions, *, window: int = 0, first_operation_id: int = 0) -> list[IntendedOperation]:
    """Poisson arrivals over ``duration_s``, in order of time.

    ``window`` numbers schedules that follow one another in an endless run: each has its own stream of the
    same seed, starts where the last one ended and only refers to orders of its own.
    """
    times, contents = np.random.SeedSequence(options.seed, spawn_key=(window,)).spawn(2)
    offsets = _poisson_arrivals(np.random.default_rng(times), options)
    draws = _Draws.draw(np.random.default_rng(contents), options, len(offsets))
    window_start_ns = round(window * options.duration_s * NS_PER_S)
    placed = _PlacedOrders(options)
    return [
        _operation(options, draws, placed, index, (first_operation_id + index, window_start_ns + offset))
        for index, offset in enumerate(offsets)
    ]


def windows(options: ScheduleOptions) -> Iterator[list[IntendedOperation]]:
    """One schedule after another, without end, with operation ids that go on counting."""
    window = first_operation_id = 0
    while True:
        operations = schedule(options, window=window, first_operation_id=first_operation_id)
        yield operations
        window, first_operation_id = window + 1, first_operation_id + len(operations)


def schedule_digest(operations: Sequence[IntendedOperation]) -> str:
    """SHA-256 of the whole schedule: equal exactly when every intended operation is."""
    return hashlib.sha256(msgspec.json.encode(operations)).hexdigest()


def _poisson_arrivals(rng: np.random.Generator, options: ScheduleOptions) -> list[int]:
    # Given their number, the arrivals of a Poisson process are uniform over the interval.
    number = rng.poisson(options.rate_per_s * options.duration_s)
    moments: list[int] = np.sort(rng.integers(0, round(options.duration_s * NS_PER_S), number)).tolist()
    return moments


@dataclass(frozen=True, slots=True)
class _Draws:
    """Every random number of a schedule; each arrival has its own of every sort, used or not."""

    flow: list[int]
    account: list[int]
    symbol: list[int]
    side: list[int]
    quantity: list[int]
    offset_ticks: list[int]
    choice: list[float]

    @classmethod
    def draw(cls, rng: np.random.Generator, options: ScheduleOptions, number: int) -> _Draws:
        return cls(
            flow=rng.choice(len(Flow), size=number, p=options.mix.shares()).tolist(),
            account=rng.integers(0, options.accounts, number).tolist(),
            symbol=rng.integers(0, len(options.symbols), number).tolist(),
            side=rng.integers(0, 2, number).tolist(),
            quantity=rng.integers(1, options.max_quantity + 1, number).tolist(),
            offset_ticks=rng.integers(1, options.max_offset_ticks + 1, number).tolist(),
            choice=rng.random(number).tolist(),
        )


class _PlacedOrders:
    """The orders each account has placed so far, in order of time, to cancel or look up later."""

    def __init__(self, options: ScheduleOptions) -> None:
        self._min_age_ns = round(options.min_age_s * NS_PER_S)
        self._resting: list[list[IntendedOperation]] = [[] for _ in range(options.accounts)]
        self._all: list[list[IntendedOperation]] = [[] for _ in range(options.accounts)]

    def add(self, order: IntendedOperation, *, rests: bool) -> None:
        self._all[order.account].append(order)
        if rests:
            self._resting[order.account].append(order)

    def take_resting(self, account: int, at_ns: int, choice: float) -> IntendedOperation | None:
        orders = self._resting[account]
        index = self._chosen(orders, at_ns, choice)
        return None if index is None else orders.pop(index)

    def any_of(self, account: int, at_ns: int, choice: float) -> IntendedOperation | None:
        orders = self._all[account]
        index = self._chosen(orders, at_ns, choice)
        return None if index is None else orders[index]

    def _chosen(self, orders: list[IntendedOperation], at_ns: int, choice: float) -> int | None:
        old_enough = bisect_right(orders, at_ns - self._min_age_ns, key=lambda order: order.offset_ns)
        return int(choice * old_enough) if old_enough else None


def _operation(
    options: ScheduleOptions, draws: _Draws, placed: _PlacedOrders, index: int, identity: tuple[int, int]
) -> IntendedOperation:
    operation_id, at_ns = identity
    account, choice = draws.account[index], draws.choice[index]
    match flow := list(Flow)[draws.flow[index]]:
        case Flow.CANCEL:
            order = placed.take_resting(account, at_ns, choice)
            if order is not None:
                return _about(Kind.CANCEL, order, operation_id, at_ns)
        case Flow.READ:
            order = placed.any_of(account, at_ns, choice) if index % 2 else None
            if order is not None:
                return _about(Kind.LOOKUP, order, operation_id, at_ns)
            return IntendedOperation(operation_id, at_ns, Kind.READ, account)
        case _:
            pass
    # A cancel with nothing to cancel yet becomes the order that a later one can cancel, so the rate is kept.
    order = _place(options, draws, index, identity, Flow.PASSIVE if flow is Flow.CANCEL else flow)
    placed.add(order, rests=flow in (Flow.PASSIVE, Flow.CANCEL))
    return order


def _about(kind: Kind, order: IntendedOperation, operation_id: int, at_ns: int) -> IntendedOperation:
    return IntendedOperation(operation_id, at_ns, kind, order.account, order.client_order_id, order.symbol)


def _place(
    options: ScheduleOptions, draws: _Draws, index: int, identity: tuple[int, int], flow: Flow
) -> IntendedOperation:
    operation_id, at_ns = identity
    side = Side.BUY if draws.side[index] else Side.SELL
    ticks = draws.offset_ticks[index] if side is Side.SELL else -draws.offset_ticks[index]
    order_type, time_in_force, offset = OrderType.LIMIT, TimeInForce.DAY, ticks
    match flow:
        case Flow.MARKETABLE:
            time_in_force = TimeInForce.IOC if draws.choice[index] < 0.5 else TimeInForce.DAY
            offset = -ticks
        case Flow.MARKET:
            order_type = OrderType.MARKET
        case _:
            pass
    return IntendedOperation(
        operation_id,
        at_ns,
        Kind.PLACE,
        draws.account[index],
        client_order_id=f"load-{options.seed}-{operation_id}",
        symbol=options.symbols[draws.symbol[index]],
        side=side,
        order_type=order_type,
        time_in_force=time_in_force,
        quantity=draws.quantity[index],
        price_offset_ticks=None if order_type is OrderType.MARKET else offset,
    )
