"""One hash for the live exchange, the replayed journal and the database's tables."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from trading.core.commands import CloseSession, Deposit
from trading.core.errors import ReplayError
from trading.core.events import CASH
from trading.core.orders import Side, TimeInForce
from trading.core.replay import follow, replay
from trading.core.state import BalanceState, InstrumentState, OpenOrderState, State, state_of

from .floor import AAA, ANN, BBB, BOB, CAT, Floor


@pytest.fixture
def busy(floor: Floor) -> Floor:
    """Both sides rest, on several levels with queues, one of them partly filled."""
    for price in (10.02, 10.01, 10.02, 10.01, 10.03):
        floor.sell(ANN, 10, price)
        floor.buy(BOB, 10, price - 1, TimeInForce.DAY)
    floor.buy(CAT, 4, 10.01)
    return floor


def as_rows(state: State) -> State:
    """The way through the database: plain text and numbers, in no useful order, zero balances included."""
    return State.of_rows(
        instruments=[InstrumentState(*row) for row in reversed(state.instruments)],
        accounts=list(reversed(state.accounts)),
        balances=[*reversed(state.balances), BalanceState(CAT, BBB, 0, 0)],
        open_orders=[
            OpenOrderState(*[str(field) if isinstance(field, str) else field for field in row])  # type: ignore[arg-type]
            for row in reversed(state.open_orders)
        ],
        sequence=state.sequence,
        last_order_id=state.last_order_id,
        last_trade_id=state.last_trade_id,
    )


def test_a_replayed_journal_has_the_same_hash(busy: Floor) -> None:
    again = replay(busy.journal)
    assert state_of(again) == state_of(busy.exchange)
    assert state_of(again).hash() == state_of(busy.exchange).hash()


def test_rows_from_a_database_have_the_same_hash_as_the_live_exchange(busy: Floor) -> None:
    state = state_of(busy.exchange)
    assert as_rows(state).hash() == state.hash()


def test_the_hash_is_the_same_in_every_process_and_version(busy: Floor) -> None:
    assert state_of(busy.exchange).hash() == "3c2b720f0f93f82cc05245634c590d3c2420754ccd016c74a56c534e49b05792"


@pytest.mark.parametrize(
    "change",
    [
        lambda floor: floor.accepted(Deposit(0, ANN, CASH, 1)),
        lambda floor: floor.sell(ANN, 1, 11),
        lambda floor: floor.buy(CAT, 1, 10.01),
        lambda floor: floor.accepted(CloseSession(0, BBB)),
    ],
    ids=["deposit", "order", "trade", "session"],
)
def test_every_change_changes_the_hash(busy: Floor, change: Callable[[Floor], object]) -> None:
    before = state_of(busy.exchange).hash()
    change(busy)
    assert state_of(busy.exchange).hash() != before


def test_the_place_in_the_queue_is_part_of_the_state(busy: Floor) -> None:
    state = state_of(busy.exchange)
    orders = list(state.open_orders)
    place = next(i for i, row in enumerate(orders) if row[3:9:5] == orders[i + 1][3:9:5])
    orders[place], orders[place + 1] = orders[place + 1], orders[place]
    swapped = State(
        instruments=state.instruments,
        accounts=state.accounts,
        balances=state.balances,
        open_orders=tuple(orders),
        sequence=state.sequence,
        last_order_id=state.last_order_id,
        last_trade_id=state.last_trade_id,
    )
    assert swapped.hash() != state.hash()


def test_open_orders_are_listed_level_by_level_as_they_queue(busy: Floor) -> None:
    state = state_of(busy.exchange)
    assert [(row.side, row.limit_price_micros, row.order_id, row.leaves) for row in state.open_orders] == [
        (Side.BUY, 9_010_000, 4, 10),
        (Side.BUY, 9_010_000, 8, 10),
        (Side.BUY, 9_020_000, 2, 10),
        (Side.BUY, 9_020_000, 6, 10),
        (Side.BUY, 9_030_000, 10, 10),
        (Side.SELL, 10_010_000, 3, 6),
        (Side.SELL, 10_010_000, 7, 10),
        (Side.SELL, 10_020_000, 1, 10),
        (Side.SELL, 10_020_000, 5, 10),
        (Side.SELL, 10_030_000, 9, 10),
    ]


def test_replay_names_the_record_that_has_other_events(busy: Floor) -> None:
    command, events = busy.journal[11]
    busy.journal[11] = command, [events[0], events[1]._replace(amount=1), *events[2:]]  # type: ignore[call-arg]
    with pytest.raises(ReplayError, match=r"record 12: event 2 journaled as LedgerPosted\(.*amount=1\)"):
        replay(busy.journal)


def test_replay_names_the_record_that_has_fewer_events(busy: Floor) -> None:
    command, events = busy.journal[11]
    busy.journal[11] = command, events[:-1]
    with pytest.raises(ReplayError, match="record 12: journaled 2 events, now 3"):
        replay(busy.journal)


def test_replay_names_the_record_that_is_no_longer_accepted(busy: Floor) -> None:
    del busy.journal[4]
    with pytest.raises(ReplayError, match="record 11: journaled as accepted, now Refused"):
        replay(busy.journal)


def test_a_standby_follows_record_by_record(busy: Floor) -> None:
    standby = replay([])
    for command, events in busy.journal:
        follow(standby, command, events)
    assert standby.sequence == busy.exchange.sequence
    assert standby.book(AAA).levels(Side.SELL) == busy.exchange.book(AAA).levels(Side.SELL)
