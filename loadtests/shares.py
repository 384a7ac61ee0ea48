"""Who offers which part of a schedule: workers have shares without overlap, a worker's traders take turns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import islice
from typing import Final

from loadtests.intended import IntendedOperation

# Drawing one operation between two requests costs several times what it costs in a row, when the processor has what it
# needs at hand; so many in a row hold up nobody for longer than about a millisecond.
_AHEAD: Final = 512


@dataclass(frozen=True, slots=True)
class Share:
    """The part of the schedule that worker ``index`` of ``workers`` offers; together the parts are the whole."""

    index: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.workers:
            raise ValueError(f"there is no worker {self.index} of {self.workers}")

    def of(self, operations: Iterable[IntendedOperation], accounts: int) -> Iterator[IntendedOperation]:
        """By account while there are enough of them, so that one worker knows all of an account; else in turn."""
        if self.workers == 1:
            return iter(operations)
        if self.workers <= accounts:
            return (one for one in operations if one.account % self.workers == self.index)
        return (one for one in operations if one.operation_id % self.workers == self.index)


class Turns:
    """Hands out operations in order of time, each to one trader; drawn a few ahead of the last one handed out."""

    def __init__(self, operations: Iterator[IntendedOperation]) -> None:
        self._operations = _drawn_ahead(operations)
        self._returned: list[tuple[int, IntendedOperation]] = []
        self._out = 0
        self._exhausted = False

    @property
    def over(self) -> bool:
        """Nothing is left, and nobody waits with what he took."""
        return self._exhausted and not self._out and not self._returned

    def take(self, *, not_before_ns: int = 0) -> IntendedOperation | None:
        """The next one; None at the end. What was meant to happen before ``not_before_ns`` is left out."""
        while operation := heappop(self._returned)[1] if self._returned else next(self._operations, None):
            if operation.offset_ns >= not_before_ns:
                self._out += 1
                return operation
        self._exhausted = True
        return None

    def begun(self) -> None:
        """One that was handed out is under way."""
        self._out -= 1

    def give_back(self, operation: IntendedOperation) -> None:
        """Its trader was ended before its time had come: somebody else's turn."""
        self._out -= 1
        heappush(self._returned, (operation.operation_id, operation))


def _drawn_ahead(operations: Iterator[IntendedOperation]) -> Iterator[IntendedOperation]:
    while drawn := list(islice(operations, _AHEAD)):
        yield from drawn
