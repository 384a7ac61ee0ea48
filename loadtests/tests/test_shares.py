"""Who offers what: workers have shares without overlap, and traders take turns."""

from __future__ import annotations

from itertools import islice

import pytest

from loadtests.intended import IntendedOperation, ScheduleOptions
from loadtests.schedule import operations
from loadtests.shares import Share, Turns

OPTIONS = ScheduleOptions(seed=7, accounts=20, symbols=("AAA", "BBB"), rate_per_s=300, duration_s=10)


@pytest.mark.parametrize("workers", [1, 2, 3, 7, 20, 33])
def test_the_shares_of_all_workers_are_the_schedule_and_no_two_have_anything_in_common(workers: int) -> None:
    shares = [list(Share(index, workers).of(operations(OPTIONS), 20)) for index in range(workers)]
    assert all(shares)
    assert sorted((one for share in shares for one in share), key=_number) == list(operations(OPTIONS))


def test_an_account_is_one_workers_as_long_as_there_are_enough_accounts() -> None:
    owners: dict[int, set[int]] = {}
    for index in range(3):
        for operation in Share(index, 3).of(operations(OPTIONS), 20):
            owners.setdefault(operation.account, set()).add(index)
    assert {len(workers) for workers in owners.values()} == {1}


@pytest.mark.parametrize("share", [(-1, 2), (2, 2), (0, 0)])
def test_there_is_no_share_beyond_the_workers(share: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="there is no worker"):
        Share(*share)


def test_a_turn_given_back_is_the_next_ones() -> None:
    turns = Turns(islice(operations(OPTIONS), 3))
    first, second = turns.take(), turns.take()
    assert first
    assert second
    turns.give_back(second)
    turns.give_back(first)
    assert [turns.take(), turns.take()] == [first, second]
    assert (third := turns.take())
    assert third.operation_id == 2
    assert turns.take() is None


def test_it_is_over_when_the_last_one_handed_out_has_begun() -> None:
    turns = Turns(islice(operations(OPTIONS), 1))
    turns.take()
    assert turns.take() is None
    assert not turns.over
    turns.begun()
    assert turns.over


def test_what_was_meant_to_happen_before_is_left_out() -> None:
    turns = Turns(operations(OPTIONS))
    operation = turns.take(not_before_ns=5 * 10**9)
    assert operation
    assert 5 * 10**9 <= operation.offset_ns < 51 * 10**8


def _number(operation: IntendedOperation) -> int:
    return operation.operation_id
