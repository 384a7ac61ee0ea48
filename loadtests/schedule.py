"""A run's intended operations: drawn from one seed, lazily, and the same whenever they are drawn."""

from __future__ import annotations

import hashlib
import resource
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, repeat, takewhile
from operator import attrgetter
from typing import Final, NamedTuple, assert_never

import msgspec
import numpy as np
from msgspec.structs import replace

from loadtests.arrivals import Replay, offsets_ns
from loadtests.intended import Flow, IntendedOperation, Kind, ScheduleOptions, client_order_id
from loadtests.replay import replayed
from trading.core.orders import NS_PER_S, OrderType, Side, TimeInForce

_BLOCK: Final = 256  # contents are drawn for so many arrivals at once
_KEPT_ORDERS: Final = 512  # of an account, to cancel, replace or look up: memory does not grow with the run
_FLOWS: Final = tuple(Flow)
_SIDES: Final = (Side.SELL, Side.BUY)
_OFFSET_NS: Final = attrgetter("offset_ns")
# So long may the platform be silent while the generator keeps its schedule: longer than a client waits for an answer.
SILENCE_S: Final = 10.0
_LOCUSTS_FILES: Final = 10_000  # what Locust raises its limit of open files to, where it may
_OTHER_FILES: Final = 1_000


class Digest(NamedTuple):
    """Of a whole schedule: SHA-256, equal exactly when every intended operation is, how many there are, and how many
    at most within ``SILENCE_S``."""

    sha256: str
    operations: int
    busiest: int

    @property
    def max_in_flight(self) -> int:
        """As many as a silent platform leaves unanswered; each has a connection of its own, which is an open file."""
        return min(self.busiest, _open_files() - _OTHER_FILES)


def operations(options: ScheduleOptions) -> Iterator[IntendedOperation]:
    """In order of time, numbered from 0. Raises RecordingError when a market to replay cannot be read."""
    replay = options.arrivals if isinstance(options.arrivals, Replay) else None
    drawn = replayed(options, replay) if replay else _drawn(options)
    end_ns = options.duration_s * NS_PER_S
    return takewhile(lambda operation: operation.offset_ns < end_ns, drawn)


def schedule_digest(intended: Iterable[IntendedOperation]) -> Digest:
    """Takes one operation after another, so that it needs no room for all of them."""
    digest, number = hashlib.sha256(), 0
    lately: deque[int] = deque()
    busiest = 0
    for operation in intended:
        lately.append(operation.offset_ns)
        while lately[0] < operation.offset_ns - SILENCE_S * NS_PER_S:
            lately.popleft()
        busiest = max(busiest, len(lately))
        digest.update(b"," if number else b"[")
        digest.update(msgspec.json.encode(operation))
        number += 1
    digest.update(b"]" if number else b"[]")
    return Digest(digest.hexdigest(), number, busiest)


def _open_files() -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    may_raise = hard == resource.RLIM_INFINITY or hard >= _LOCUSTS_FILES
    return max(soft, _LOCUSTS_FILES) if may_raise else soft


def _drawn(options: ScheduleOptions) -> Iterator[IntendedOperation]:
    times, contents = np.random.SeedSequence(options.seed).spawn(2)
    offsets = offsets_ns(options.arrivals, options.rate_per_s, shape_from_s=options.shape_from_s, seed=times)
    rng, placed, first = np.random.default_rng(contents), _PlacedOrders(options), 0
    while block := list(islice(offsets, _BLOCK)):
        for flow, order, choice in _arrivals(rng, options, first, block):
            yield _operation(flow, order, choice, placed)
        first += len(block)


def _arrivals(
    rng: np.random.Generator, options: ScheduleOptions, first: int, offsets: Sequence[int]
) -> Iterator[tuple[Flow, IntendedOperation, float]]:
    """What each arrival is meant to be, and the passive order it would be; each has its own of every random number,
    used or not."""
    flows = rng.choice(len(Flow), size=_BLOCK, p=options.mix.shares()).tolist()
    accounts = rng.integers(0, options.accounts, _BLOCK).tolist()
    symbols = rng.integers(0, len(options.symbols), _BLOCK).tolist()
    buys = rng.integers(0, 2, _BLOCK)
    quantities = rng.integers(1, options.max_quantity + 1, _BLOCK).tolist()
    ticks = rng.integers(1, options.max_offset_ticks + 1, _BLOCK)
    orders = map(
        IntendedOperation,
        range(first, first + len(offsets)),
        offsets,
        repeat(Kind.PLACE),
        accounts,
        [client_order_id(options.seed, operation_id) for operation_id in range(first, first + len(offsets))],
        map(options.symbols.__getitem__, symbols),
        map(_SIDES.__getitem__, buys.tolist()),
        repeat(OrderType.LIMIT),
        repeat(TimeInForce.DAY),
        quantities,
        np.where(buys, -ticks, ticks).tolist(),
    )
    return zip(map(_FLOWS.__getitem__, flows), orders, rng.random(_BLOCK).tolist(), strict=False)


class _PlacedOrders:
    """The orders each account has placed so far, in order of time, to cancel or look up later."""

    def __init__(self, options: ScheduleOptions) -> None:
        self._min_age_ns = round(options.min_age_s * NS_PER_S)
        self._resting: list[list[IntendedOperation]] = [[] for _ in range(options.accounts)]
        self._all: list[list[IntendedOperation]] = [[] for _ in range(options.accounts)]

    def add(self, order: IntendedOperation, *, rests: bool) -> IntendedOperation:
        """The order itself."""
        _keep(self._all[order.account], order)
        if rests:
            _keep(self._resting[order.account], order)
        return order

    def take_resting(self, account: int, at_ns: int, choice: float) -> IntendedOperation | None:
        orders = self._resting[account]
        index = self._chosen(orders, at_ns, choice)
        return None if index is None else orders.pop(index)

    def any_of(self, account: int, at_ns: int, choice: float) -> IntendedOperation | None:
        orders = self._all[account]
        index = self._chosen(orders, at_ns, choice)
        return None if index is None else orders[index]

    def _chosen(self, orders: list[IntendedOperation], at_ns: int, choice: float) -> int | None:
        old_enough = bisect_right(orders, at_ns - self._min_age_ns, key=_OFFSET_NS)
        return int(choice * old_enough) if old_enough else None


def _keep(orders: list[IntendedOperation], order: IntendedOperation) -> None:
    orders.append(order)
    if len(orders) >= 2 * _KEPT_ORDERS:
        del orders[:_KEPT_ORDERS]


def _operation(flow: Flow, order: IntendedOperation, choice: float, placed: _PlacedOrders) -> IntendedOperation:
    """What the arrival becomes that would be ``order`` if it were passive."""
    match flow:
        case Flow.PASSIVE:
            pass
        case Flow.MARKETABLE:
            time_in_force = TimeInForce.IOC if choice < 0.5 else TimeInForce.DAY
            offset = -(order.price_offset_ticks or 0)
            order = replace(order, time_in_force=time_in_force, price_offset_ticks=offset)
            return placed.add(order, rests=False)
        case Flow.MARKET:
            order = replace(order, order_type=OrderType.MARKET, price_offset_ticks=None)
            return placed.add(order, rests=False)
        case Flow.CANCEL:
            target = placed.take_resting(order.account, order.offset_ns, choice)
            if target is not None:
                return _about(Kind.CANCEL, target, order)
        case Flow.REPLACE:
            target = placed.take_resting(order.account, order.offset_ns, choice)
            if target is not None:
                return placed.add(_replacement(target, order), rests=True)
        case Flow.READ:
            odd = order.operation_id % 2
            target = placed.any_of(order.account, order.offset_ns, choice) if odd else None
            return _about(Kind.LOOKUP, target, order) if target else _reading(Kind.READ, order)
        case Flow.POSITIONS | Flow.ORDERS | Flow.LOGIN:
            return _reading(Kind(flow.value), order)
        case _:
            assert_never(flow)
    # A cancel with nothing to cancel yet becomes the order that a later one can cancel, so the rate is kept.
    return placed.add(order, rests=True)


def _about(kind: Kind, target: IntendedOperation, drawn: IntendedOperation) -> IntendedOperation:
    name, symbol = target.client_order_id, target.symbol
    return IntendedOperation(drawn.operation_id, drawn.offset_ns, kind, target.account, name, symbol)


def _reading(kind: Kind, drawn: IntendedOperation) -> IntendedOperation:
    return IntendedOperation(drawn.operation_id, drawn.offset_ns, kind, drawn.account)


def _replacement(target: IntendedOperation, drawn: IntendedOperation) -> IntendedOperation:
    """The target at another price and size, still away from the market."""
    ticks = abs(drawn.price_offset_ticks or 0)
    return IntendedOperation(
        drawn.operation_id,
        drawn.offset_ns,
        Kind.REPLACE,
        target.account,
        client_order_id=drawn.client_order_id,
        symbol=target.symbol,
        side=target.side,
        quantity=drawn.quantity,
        price_offset_ticks=ticks if target.side is Side.SELL else -ticks,
        replaces=target.client_order_id,
    )
