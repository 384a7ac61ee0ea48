"""A run's intended operations: drawn from one seed, lazily, and the same whenever they are drawn."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Final, NamedTuple, assert_never

import msgspec
import numpy as np

from loadtests.arrivals import Replay, offsets_ns
from loadtests.intended import Flow, IntendedOperation, Kind, ScheduleOptions, client_order_id
from loadtests.replay import replayed
from trading.core.orders import NS_PER_S, OrderType, Side, TimeInForce

_BLOCK: Final = 256  # contents are drawn for so many arrivals at once
_KEPT_ORDERS: Final = 512  # of an account, to cancel, replace or look up: memory does not grow with the run
_FLOWS: Final = tuple(Flow)


class Digest(NamedTuple):
    """Of a whole schedule: SHA-256, equal exactly when every intended operation is, and how many there are."""

    sha256: str
    operations: int


def operations(options: ScheduleOptions) -> Iterator[IntendedOperation]:
    """In order of time, numbered from 0. Raises RecordingError when a market to replay cannot be read."""
    replay = options.arrivals if isinstance(options.arrivals, Replay) else None
    drawn = replayed(options, replay) if replay else _drawn(options)
    end_ns = options.duration_s * NS_PER_S
    return takewhile(lambda operation: operation.offset_ns < end_ns, drawn)


def schedule_digest(intended: Iterable[IntendedOperation]) -> Digest:
    """Takes one operation after another, so that it needs no room for all of them."""
    digest, number = hashlib.sha256(), 0
    for operation in intended:
        digest.update(b"," if number else b"[")
        digest.update(msgspec.json.encode(operation))
        number += 1
    digest.update(b"]" if number else b"[]")
    return Digest(digest.hexdigest(), number)


def _drawn(options: ScheduleOptions) -> Iterator[IntendedOperation]:
    times, contents = np.random.SeedSequence(options.seed).spawn(2)
    offsets = offsets_ns(options.arrivals, options.rate_per_s, shape_from_s=options.shape_from_s, seed=times)
    rng, placed, first = np.random.default_rng(contents), _PlacedOrders(options), 0
    while block := list(islice(offsets, _BLOCK)):
        draws = _Draws.draw(rng, options, _BLOCK)
        for index, offset_ns in enumerate(block):
            yield _operation(options, draws, placed, index, (first + index, offset_ns))
        first += len(block)


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
        for orders in (self._all, self._resting) if rests else (self._all,):
            mine = orders[order.account]
            mine.append(order)
            if len(mine) >= 2 * _KEPT_ORDERS:
                del mine[:_KEPT_ORDERS]

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
    match flow := _FLOWS[draws.flow[index]]:
        case Flow.PASSIVE | Flow.MARKETABLE | Flow.MARKET:  # the commonest first: this is done for every operation
            pass
        case Flow.CANCEL:
            order = placed.take_resting(account, at_ns, choice)
            if order is not None:
                return _about(Kind.CANCEL, order, operation_id, at_ns)
        case Flow.REPLACE:
            order = placed.take_resting(account, at_ns, choice)
            if order is not None:
                replacement = _replacement(options, draws, index, identity, order)
                placed.add(replacement, rests=True)
                return replacement
        case Flow.READ:
            order = placed.any_of(account, at_ns, choice) if operation_id % 2 else None
            if order is not None:
                return _about(Kind.LOOKUP, order, operation_id, at_ns)
            return IntendedOperation(operation_id, at_ns, Kind.READ, account)
        case Flow.POSITIONS | Flow.ORDERS | Flow.LOGIN:
            return IntendedOperation(operation_id, at_ns, Kind(flow.value), account)
        case _:
            assert_never(flow)
    # A cancel with nothing to cancel yet becomes the order that a later one can cancel, so the rate is kept.
    passive = flow in (Flow.PASSIVE, Flow.CANCEL, Flow.REPLACE)
    order = _place(options, draws, index, identity, Flow.PASSIVE if passive else flow)
    placed.add(order, rests=passive)
    return order


def _about(kind: Kind, order: IntendedOperation, operation_id: int, at_ns: int) -> IntendedOperation:
    return IntendedOperation(operation_id, at_ns, kind, order.account, order.client_order_id, order.symbol)


def _replacement(
    options: ScheduleOptions, draws: _Draws, index: int, identity: tuple[int, int], order: IntendedOperation
) -> IntendedOperation:
    """The same order at another price and size, still away from the market."""
    operation_id, at_ns = identity
    ticks = draws.offset_ticks[index]
    return IntendedOperation(
        operation_id,
        at_ns,
        Kind.REPLACE,
        order.account,
        client_order_id=client_order_id(options.seed, operation_id),
        symbol=order.symbol,
        side=order.side,
        quantity=draws.quantity[index],
        price_offset_ticks=ticks if order.side is Side.SELL else -ticks,
        replaces=order.client_order_id,
    )


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
        client_order_id(options.seed, operation_id),
        options.symbols[draws.symbol[index]],
        side,
        order_type,
        time_in_force,
        draws.quantity[index],
        None if order_type is OrderType.MARKET else offset,
    )
