"""The proofs proved: each bug sown into the core is found by the oracle that is there for it, and by no accident."""

from __future__ import annotations

from random import Random

import pytest

from trading.core.errors import InvariantError
from trading.core.exchange import Exchange
from trading.core.orders import OrderType, TimeInForce
from trading.core.running_hash import RunningHash
from trading.core.state import restore, state_of

from .floor import BOB, BUY, CAT, SELL, Floor
from .flow import LIVELY, Flow
from .seeded_bugs import MATCHING, MONEY, PERMISSION, STATE, Bug
from .side_by_side import DifferenceError, SideBySide
from .soak import LedgerBeside, check_reservations

FLOWS, COMMANDS = 6, 2_500


def compare_with_the_specification() -> None:
    for seed in range(FLOWS):
        both, flow = SideBySide(), Flow(Random(seed), LIVELY)
        for command in flow.opening():
            flow.saw(both.apply(command, thorough=False))
        for number in range(COMMANDS):
            command = flow.next()
            flow.saw(both.apply(command, thorough=False))
            if number % 100 == 0:
                both.compare(command)


@pytest.mark.interpreted
@pytest.mark.parametrize("bug", [*MATCHING, *MONEY, *PERMISSION], ids=str)
def test_a_bug_makes_the_exchange_differ_from_its_specification(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    bug.sow(monkeypatch)
    with pytest.raises((DifferenceError, InvariantError, LookupError)):
        compare_with_the_specification()


def keep_books_beside() -> None:
    """Conservation and reservations by the events alone, without the specification."""
    exchange, ledger, flow = Exchange(), LedgerBeside(), Flow(Random(1), LIVELY)
    for number, command in enumerate([*flow.opening(), *[flow.next] * COMMANDS]):
        outcome = exchange.apply(command() if callable(command) else command)
        flow.saw(outcome)
        ledger.book(outcome if isinstance(outcome, list) else [])
        if number % 50 == 0:
            ledger.check(exchange)
            check_reservations(state_of(exchange))


@pytest.mark.interpreted
@pytest.mark.parametrize(
    "bug",
    [bug for bug in MONEY if "nowhere" in str(bug) or "keeps its reservation" in str(bug)],
    ids=str,
)
def test_money_that_is_lost_or_kept_back_is_missed_in_the_books(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_books_beside()
    bug.sow(monkeypatch)
    with pytest.raises((AssertionError, InvariantError)):
        keep_books_beside()


def hash_covers_what_is_reserved() -> None:
    """Two states that differ only in what one account has reserved."""
    floor = Floor()
    floor.buy(BOB, 10, 9)
    before = state_of(floor.exchange).hash()
    floor.exchange.venue.accounts[BOB].cash.reserved += 1
    assert state_of(floor.exchange).hash() != before
    running = RunningHash(floor.exchange)
    told = running.digest()
    floor.exchange.venue.accounts[BOB].cash.reserved -= 1
    assert RunningHash(floor.exchange).digest() != told


def trailing_stop_survives_a_restart() -> None:
    floor = Floor()
    floor.sell(BOB, 10, kind=OrderType.TRAILING_STOP, trail=0.5)
    floor.trade_at(12)
    again = restore(state_of(floor.exchange))
    for trader, side in ((CAT, BUY), (BOB, SELL)):
        command = floor.order(trader, side, 1, 11.8, lasting=TimeInForce.DAY)
        assert again.apply(command) == floor.exchange.apply(command)
    assert state_of(again) == state_of(floor.exchange)


ORACLES = {STATE[0].name: hash_covers_what_is_reserved, STATE[1].name: trailing_stop_survives_a_restart}


@pytest.mark.interpreted
@pytest.mark.parametrize("bug", STATE, ids=str)
def test_a_state_that_leaves_something_out_is_noticed(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    oracle = ORACLES[bug.name]
    oracle()
    bug.sow(monkeypatch)
    with pytest.raises(AssertionError):
        oracle()


def test_a_bug_is_not_found_where_there_is_none() -> None:
    compare_with_the_specification()
    keep_books_beside()
