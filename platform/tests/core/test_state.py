"""One hash for the live exchange, the restored one and the replayed journal."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from trading.core.commands import Deposit, SetKillSwitch
from trading.core.errors import ReplayError
from trading.core.events import CASH, LedgerPosted
from trading.core.orders import OrderClass, Phase
from trading.core.replay import follow, replay
from trading.core.running_hash import RunningHash
from trading.core.state import restore, state_of

from .floor import AAA, ANN, BBB, BOB, BUY, CAT, CLS, DAY, SELL, Floor


@pytest.fixture
def busy(floor: Floor) -> Floor:
    """Both sides rest in queues, one order partly filled; stops, a pair, a bracket and an order for the close wait."""
    for price in (10.02, 10.01, 10.02, 10.01, 10.03):
        floor.sell(ANN, 10, price)
        floor.buy(BOB, 10, price - 1, lasting=DAY)
    floor.buy(CAT, 4, 10.01)
    floor.sell(BOB, 5, stop=8)
    floor.buy(CAT, 5, trail=0.7)
    floor.sell(ANN, 5, 12, group=OrderClass.OCO, take_profit=12, stop_loss=7)
    floor.buy(BOB, 5, 8, group=OrderClass.BRACKET, take_profit=12, stop_loss=7)
    floor.sell(ANN, 5, 11, lasting=CLS)
    return floor


def test_a_replayed_journal_has_the_same_hash(busy: Floor) -> None:
    again = replay(busy.journal)
    assert state_of(again) == state_of(busy.exchange)
    assert state_of(again).hash() == state_of(busy.exchange).hash() == RunningHash(again).digest()


def test_a_restored_exchange_is_the_same_down_to_its_queues(busy: Floor) -> None:
    again = restore(state_of(busy.exchange))
    assert state_of(again) == state_of(busy.exchange)
    for side in (BUY, SELL):
        orders = [order.order_id for order in busy.exchange.open_orders(AAA, side)]
        assert [order.order_id for order in again.open_orders(AAA, side)] == orders
    command = busy.order(ANN, BUY, 1, 10)
    assert again.apply(command) == busy.exchange.apply(command)


@pytest.mark.parametrize(
    "change",
    [
        lambda floor: floor.accepted(Deposit(0, ANN, CASH, 1)),
        lambda floor: floor.sell(ANN, 1, 11),
        lambda floor: floor.buy(CAT, 1, 10.01),
        lambda floor: floor.phase(Phase.CLOSED, BBB),
        lambda floor: floor.accepted(SetKillSwitch(0, ANN, True)),
        lambda floor: floor.instrument(BBB, tradable=False),
    ],
    ids=["deposit", "order", "trade", "phase", "switch", "instrument"],
)
def test_every_change_changes_the_hash(busy: Floor, change: Callable[[Floor], object]) -> None:
    before = state_of(busy.exchange).hash()
    change(busy)
    assert state_of(busy.exchange).hash() != before


def test_a_place_in_the_queue_is_part_of_the_state(busy: Floor) -> None:
    state = state_of(busy.exchange)
    queue = [row for row in state.open_orders if row.place and row.side is SELL and row.price_micros == 10_010_000]
    swapped = [
        row._replace(place=queue[1 - queue.index(row)].place) if row in queue else row for row in state.open_orders
    ]
    other = type(state)(**{name: getattr(state, name) for name in state.__slots__} | {"open_orders": tuple(swapped)})
    assert other.hash() != state.hash()


def test_replay_names_the_record_that_has_other_events(busy: Floor) -> None:
    number = next(at for at, (_, events) in enumerate(busy.journal) if isinstance(events[-1], LedgerPosted))
    command, events = busy.journal[number]
    busy.journal[number] = command, [*events[:-1], events[-1]._replace(amount=1)]  # type: ignore[call-arg]
    with pytest.raises(ReplayError, match=rf"record {number + 1}: event \d+ journaled as LedgerPosted\(.*amount=1\)"):
        replay(busy.journal)


def test_replay_names_the_record_that_has_fewer_events(busy: Floor) -> None:
    command, events = busy.journal[-1]
    busy.journal[-1] = command, events[:-1]
    number = len(busy.journal)
    with pytest.raises(ReplayError, match=f"record {number}: journaled {len(events) - 1} events, now {len(events)}"):
        replay(busy.journal)


def test_replay_names_the_record_that_is_no_longer_accepted(busy: Floor) -> None:
    listed_first = busy.journal.pop(0)
    assert listed_first[1]
    with pytest.raises(ReplayError, match=r"record \d+: journaled as accepted, now Refused"):
        replay(busy.journal)


def test_a_standby_follows_record_by_record(busy: Floor) -> None:
    standby = replay([])
    for command, events in busy.journal:
        follow(standby, command, events)
    assert standby.sequence == busy.exchange.sequence
    assert standby.book(AAA).levels(SELL) == busy.exchange.book(AAA).levels(SELL)
