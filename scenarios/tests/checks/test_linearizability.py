"""The search against every order there is, on small histories of a register and of a queue, true ones and false."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from scenarios.checks.linearizability import Answer, Apply, Call, find_order

Operation = tuple[str, Any]
History = list[Call[Operation]]


def register(state: int, operation: Operation) -> int | None:
    name, value = operation
    if name == "write":
        return int(value)
    return state if state == value else None


def queue(state: tuple[int, ...], operation: Operation) -> tuple[int, ...] | None:
    name, value = operation
    if name == "put":
        return (*state, value)
    return state[1:] if state[:1] == ((value,) if value is not None else ()) else None


def oracle(calls: History, initial: Any, apply: Apply[Any, Operation]) -> bool:
    """Tries every subset of the calls without an end, and every order of the others with it."""
    ended = [call for call in calls if call.ended_ns is not None]
    open_ended = [call for call in calls if call.ended_ns is None]
    return any(
        _possible(order, initial, apply)
        for size in range(len(open_ended) + 1)
        for happened in itertools.combinations(open_ended, size)
        for order in itertools.permutations([*ended, *happened])
    )


def _possible(order: tuple[Call[Operation], ...], state: Any, apply: Apply[Any, Operation]) -> bool:
    for place, call in enumerate(order):
        if any(later.ended_ns is not None and later.ended_ns < call.began_ns for later in order[place + 1 :]):
            return False
        state = apply(state, call.operation)
        if state is None:
            return False
    return True


def drawn_register(rng: random.Random) -> Operation:
    return rng.choice(("write", "read")), rng.randrange(3)


def drawn_queue(rng: random.Random) -> Operation:
    return ("put", rng.randrange(3)) if rng.random() < 0.5 else ("take", rng.choice((None, 0, 1, 2)))


def drawn_history(rng: random.Random, draw: Callable[[random.Random], Operation]) -> History:
    calls = []
    for _ in range(rng.randrange(1, 7)):
        began_ns = rng.randrange(10)
        ended_ns = None if rng.random() < 0.15 else began_ns + rng.randrange(6)
        operation = draw(rng)
        calls.append(Call(operation, began_ns, ended_ns, turn=rng.randrange(3), reads=operation[0] == "read"))
    return calls


@pytest.mark.parametrize(
    ("draw", "initial", "apply"),
    [(drawn_register, 0, register), (drawn_queue, (), queue)],
    ids=["register", "queue"],
)
def test_the_search_agrees_with_every_order_there_is(draw: Any, initial: Any, apply: Any) -> None:
    rng, answers = random.Random(1), set()
    for number in range(1_500):
        calls = drawn_history(rng, draw)
        expected = Answer.LINEARIZABLE if oracle(calls, initial, apply) else Answer.NOT_LINEARIZABLE
        assert find_order(calls, initial, apply, limit_s=60).answer is expected, (number, calls)
        answers.add(expected)
    assert answers == {Answer.LINEARIZABLE, Answer.NOT_LINEARIZABLE}


def test_a_read_that_goes_back_is_what_the_search_is_stuck_at() -> None:
    """Both reads end before the next call begins; the second sees what was there before the write."""
    calls = [Call(("write", 1), 0, 1), Call(("read", 1), 2, 3), Call(("read", 0), 4, 5), Call(("read", 1), 6, 7)]
    finding = find_order(calls, 0, register, limit_s=60)
    assert (finding.answer, finding.stuck) == (Answer.NOT_LINEARIZABLE, calls[2])


def test_a_search_that_takes_too_long_cannot_tell() -> None:
    """Thirty puts at once have 30! orders, and nobody put what is taken in the end."""
    calls = [Call(("put", number), 0, 10) for number in range(30)]
    began_s = time.monotonic()
    empty: tuple[int, ...] = ()
    finding = find_order([*calls, Call(("take", 99), 20, 30)], empty, queue, limit_s=0.2)
    assert finding.answer is Answer.CANNOT_TELL
    assert time.monotonic() - began_s < 30


def test_a_wrong_guess_of_the_turns_only_costs_time() -> None:
    calls = [Call(("write", number), 0, 100, turn=-number) for number in range(8)]
    assert find_order([*calls, Call(("read", 7), 101, 102)], 0, register, limit_s=60).answer is Answer.LINEARIZABLE


def test_time_in_which_others_had_the_processor_does_not_count() -> None:
    calls = [Call(("write", number), 10 * number, 10 * number + 5) for number in range(300)]

    def waiting(state: int, operation: Operation) -> int | None:
        time.sleep(0.003)
        return register(state, operation)

    assert find_order(calls, 0, waiting, limit_s=0.5).answer is Answer.LINEARIZABLE
