"""Whether a history could have happened one call at a time, each between its beginning and its end.

The search is Wing and Gong's ("Testing and Verifying Concurrent Objects", 1993) with Lowe's memory of configurations
("Testing for linearizability", 2017): calls taken so far and the state they lead to, each looked at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, TypeVar

Operation = TypeVar("Operation")
State = TypeVar("State", bound=Hashable)
# The state after an operation with the answer it had; None: in this state it could not have been answered so.
Apply = Callable[[State, Operation], State | None]

_STEPS_PER_LOOK_AT_THE_CLOCK: Final = 256


@dataclass(frozen=True, slots=True)
class Call(Generic[Operation]):
    """Without an end (None) it may have happened at any time after its beginning, or never.

    ``turn`` says which of several possible calls is tried first: a guess that costs time when it is wrong, no more.
    ``reads`` promises that the operation leaves every state as it is.
    """

    operation: Operation
    began_ns: int
    ended_ns: int | None
    turn: int = 0
    reads: bool = False


class Answer(StrEnum):
    LINEARIZABLE = "linearizable"
    NOT_LINEARIZABLE = "not linearizable"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Finding(Generic[Operation]):
    """``stuck`` is the call that had ended, and had no place, after the longest sequence that was possible."""

    answer: Answer
    stuck: Call[Operation] | None = None


@dataclass(slots=True, eq=False)
class _Mark(Generic[Operation]):
    """A call's beginning or its end, in a list of both by time."""

    number: int
    call: Call[Operation]
    is_end: bool
    before: _Mark[Operation] | None = None
    after: _Mark[Operation] | None = None
    end: _Mark[Operation] | None = None  # of a beginning

    def take_out(self) -> None:
        if self.before:
            self.before.after = self.after
        if self.after:
            self.after.before = self.before

    def put_back(self) -> None:
        if self.before:
            self.before.after = self
        if self.after:
            self.after.before = self


@dataclass(slots=True)
class _Choice(Generic[Operation, State]):
    """What may come next in one configuration, and what was taken to get there."""

    state: State
    taken: int  # a bit per call
    rest: Iterator[_Mark[Operation]]
    by: _Mark[Operation] | None


def find_order(
    calls: Sequence[Call[Operation]], initial: State, apply: Apply[State, Operation], *, limit_s: float
) -> Finding[Operation]:
    """Searches for an order of the calls that ``apply`` allows and real time does not forbid; all begin in ``initial``.

    CANNOT_TELL after ``limit_s`` of this thread's processor time: the worst case is exponential in how many calls
    overlap.
    """
    head = _marks(calls)
    deadline_s = time.thread_time() + limit_s
    choices = [_Choice(initial, 0, _next(head), None)]
    seen: set[tuple[int, State]] = {(0, initial)}
    stuck, deepest, steps = _first_end(head), 0, 0
    while (ending := _first_end(head)) is not None:
        steps += 1
        if steps % _STEPS_PER_LOOK_AT_THE_CLOCK == 1 and time.thread_time() > deadline_s:
            return Finding(Answer.CANNOT_TELL)
        if len(choices) > deepest:
            stuck, deepest = ending, len(choices)
        choice = choices[-1]
        mark = next(choice.rest, None)
        if mark is None:
            if choice.by is None:
                return Finding(Answer.NOT_LINEARIZABLE, stuck)
            _put_back(choice.by)
            choices.pop()
            continue
        state = apply(choice.state, mark.call.operation)
        if state is None:
            continue
        if mark.call.reads:
            choice.rest = iter(())  # whatever order has it later is possible with it here, too
        taken = choice.taken | 1 << mark.number
        if (taken, state) not in seen:
            seen.add((taken, state))
            _take_out(mark)
            choices.append(_Choice(state, taken, _next(head), mark))
    return Finding(Answer.LINEARIZABLE)


def _marks(calls: Sequence[Call[Operation]]) -> _Mark[Operation]:
    """The head of the list. A beginning comes before an end of the same moment: then the two calls overlap."""
    if not calls:
        raise ValueError("a history of no calls")
    marks: list[_Mark[Operation]] = []
    for number, call in enumerate(calls):
        begin = _Mark(number, call, is_end=False)
        marks.append(begin)
        if call.ended_ns is not None:
            begin.end = _Mark(number, call, is_end=True)
            marks.append(begin.end)
    marks.sort(key=lambda mark: ((mark.call.ended_ns or 0) if mark.is_end else mark.call.began_ns, mark.is_end))
    head = before = _Mark(-1, calls[0], is_end=False)
    for mark in marks:
        before.after, mark.before = mark, before
        before = mark
    return head


def _next(head: _Mark[Operation]) -> Iterator[_Mark[Operation]]:
    """Every call that began before any other had ended, by turn."""
    begun = []
    mark = head.after
    while mark is not None and not mark.is_end:
        begun.append(mark)
        mark = mark.after
    return iter(sorted(begun, key=lambda mark: mark.call.turn))


def _first_end(head: _Mark[Operation]) -> Call[Operation] | None:
    mark = head.after
    while mark is not None and not mark.is_end:
        mark = mark.after
    return None if mark is None else mark.call


def _take_out(mark: _Mark[Operation]) -> None:
    mark.take_out()
    if mark.end:
        mark.end.take_out()


def _put_back(mark: _Mark[Operation]) -> None:
    if mark.end:
        mark.end.put_back()
    mark.put_back()
