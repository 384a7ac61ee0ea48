"""The schedule: one seed, one sequence of intended operations."""

from __future__ import annotations

import resource
from dataclasses import replace
from itertools import pairwise

import msgspec
import pytest

from loadtests.arrivals import Arrivals, Breakpoint, Constant, Hawkes, Poisson, Ramp, Sine, Spike
from loadtests.flows import PROFILES
from loadtests.intended import TRADING_DAY, IntendedOperation, Kind, ScheduleOptions
from loadtests.schedule import Digest, operations, schedule_digest
from trading.core.orders import MAX_CLIENT_ORDER_ID_LENGTH, NS_PER_S, OrderType, Side

OPTIONS = ScheduleOptions(seed=7, accounts=20, symbols=("AAA", "BBB"), rate_per_s=300, duration_s=40)


def test_the_same_seed_draws_the_same_schedule_and_another_seed_another() -> None:
    digest = schedule_digest(schedule(OPTIONS))
    assert schedule_digest(schedule(OPTIONS)) == digest
    assert schedule_digest(schedule(replace(OPTIONS, seed=8))) != digest


@pytest.mark.parametrize(
    ("arrivals", "begins_with"),
    [
        (Poisson(), "f03fad46f235ddd7"),
        (Ramp(to_per_s=500, over_s=20), "bcf611c035c7c707"),
        (Sine(amplitude_per_s=200, period_s=8), "48fbf2a03657859c"),
        (Hawkes(branching=0.7, decay_per_s=5), "a2bbfaa692d193d2"),
    ],
    ids=lambda value: type(value).__name__.lower(),
)
def test_a_seed_draws_what_it_always_drew(arrivals: Arrivals, begins_with: str) -> None:
    """A seed named in an old report must still mean that run: however the drawing is done, its digest stays."""
    options = replace(OPTIONS, arrivals=arrivals, mix=PROFILES["mixed"].mix)
    assert schedule_digest(operations(options)).sha256.startswith(begins_with)


def test_the_digest_notices_a_single_share_more() -> None:
    operations = schedule(OPTIONS)
    position = next(n for n, operation in enumerate(operations) if operation.quantity)
    changed = msgspec.structs.replace(operations[position], quantity=(operations[position].quantity or 0) + 1)
    assert schedule_digest([*operations[:position], changed, *operations[position + 1 :]]) != schedule_digest(
        operations
    )


@pytest.mark.parametrize(
    "arrivals",
    [
        Constant(),
        Spike(to_per_s=1000, at_s=10, for_s=3),
        Ramp(to_per_s=20, over_s=10),
        Breakpoint(step_per_s=50, every_s=4),
        Hawkes(branching=0.7, decay_per_s=5),
    ],
    ids=lambda value: type(value).__name__.lower(),
)
def test_as_many_may_be_in_flight_as_a_silent_platform_leaves_unanswered_at_worst(arrivals: Arrivals) -> None:
    options = replace(OPTIONS, rate_per_s=50, arrivals=arrivals)
    offsets = [operation.offset_ns for operation in schedule(options)]
    worst = max(sum(at_ns <= other <= at_ns + 10 * NS_PER_S for other in offsets) for at_ns in offsets)
    assert schedule_digest(operations(options)).max_in_flight == worst


def test_no_more_are_in_flight_than_there_may_be_connections() -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    busy = Digest("", 10**6, 10**6)
    assert busy.max_in_flight < max(soft, 10_000)


def test_arrivals_are_poisson_at_the_offered_rate() -> None:
    offsets = [operation.offset_ns for operation in schedule(OPTIONS)]
    assert offsets == sorted(offsets)
    assert offsets[0] >= 0
    assert offsets[-1] < 40 * NS_PER_S
    assert len(offsets) == pytest.approx(12_000, abs=5 * 12_000**0.5)
    gaps = [(later - earlier) / NS_PER_S for earlier, later in pairwise(offsets)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert deviation == pytest.approx(mean, rel=0.05)  # as of an exponential distribution


def test_operation_ids_count_and_client_order_ids_are_unique_and_short_enough() -> None:
    operations = schedule(replace(OPTIONS, seed=2**63))
    assert [operation.operation_id for operation in operations] == list(range(len(operations)))
    placed = [operation.client_order_id or "" for operation in operations if operation.kind is Kind.PLACE]
    assert len(set(placed)) == len(placed)
    assert max(map(len, placed)) <= MAX_CLIENT_ORDER_ID_LENGTH


def test_the_mix_is_near_what_was_asked_for() -> None:
    operations = schedule(OPTIONS)
    places = [operation for operation in operations if operation.kind is Kind.PLACE]
    passive = [operation for operation in places if _is_passive(operation)]
    share = {
        "passive": len(passive) / len(operations),
        "market": sum(operation.order_type is OrderType.MARKET for operation in places) / len(operations),
        "cancel": sum(operation.kind is Kind.CANCEL for operation in operations) / len(operations),
        "read": sum(operation.kind in (Kind.READ, Kind.LOOKUP) for operation in operations) / len(operations),
    }
    assert share == pytest.approx({"passive": 0.56, "market": 0.05, "cancel": 0.19, "read": 0.05}, abs=0.02)


def test_a_cancel_names_a_resting_order_of_the_same_account_placed_a_second_before_and_only_once() -> None:
    operations = schedule(OPTIONS)
    placed = {operation.client_order_id: operation for operation in operations if operation.kind is Kind.PLACE}
    cancels = [operation for operation in operations if operation.kind is Kind.CANCEL]
    for cancel in cancels:
        order = placed[cancel.client_order_id]
        assert order.account == cancel.account
        assert _is_passive(order)
        assert cancel.offset_ns - order.offset_ns >= NS_PER_S
    assert len({cancel.client_order_id for cancel in cancels}) == len(cancels) > 2_000


def test_a_replacement_names_a_resting_order_of_the_account_and_stays_on_its_side() -> None:
    placed: dict[str | None, IntendedOperation] = {}
    replaced = []
    for operation in schedule(replace(OPTIONS, mix=replace(TRADING_DAY, replace=0.3))):
        if operation.kind is Kind.REPLACE:
            order = placed[operation.replaces]
            assert (order.account, order.symbol, order.side) == (operation.account, operation.symbol, operation.side)
            assert _is_passive(operation)
            assert operation.offset_ns - order.offset_ns >= NS_PER_S
            replaced.append(operation.replaces)
        if operation.kind in (Kind.PLACE, Kind.REPLACE):
            placed[operation.client_order_id] = operation
    assert len(set(replaced)) == len(replaced) > 1_000
    assert set(replaced) & {name for name, order in placed.items() if order.kind is Kind.REPLACE}


def _is_passive(operation: IntendedOperation) -> bool:
    ticks = operation.price_offset_ticks
    return ticks is not None and (ticks < 0) == (operation.side is Side.BUY)


def schedule(options: ScheduleOptions) -> list[IntendedOperation]:
    return list(operations(options))
