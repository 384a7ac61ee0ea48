"""How the traders of one process share a schedule: each serves a lane, and a lane outlives its trader."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import count

from loadtests.schedule import IntendedOperation, ScheduleOptions, windows


class Lane:
    """One trader's operations in order of time; ``head`` is the next one, None when the lane is exhausted."""

    def __init__(self, operations: Iterator[IntendedOperation]) -> None:
        self._operations = operations
        self.head = next(operations, None)

    def advance(self) -> None:
        self.head = next(self._operations, None)

    def skip_to(self, offset_ns: int) -> None:
        """Leaves out what was meant to happen before ``offset_ns``."""
        while self.head is not None and self.head.offset_ns < offset_ns:
            self.advance()


def measured_lanes(operations: list[IntendedOperation], traders: int, accounts: int) -> list[Lane]:
    """The lanes of one whole schedule."""
    return [Lane(_share(operations, lane, traders, accounts)) for lane in range(traders)]


def endless_lanes(options: ScheduleOptions, traders: int) -> list[Lane]:
    """Lanes that go on, one window of ``duration_s`` after another, until nobody serves them any more."""
    recent = _RecentWindows(options)
    return [Lane(_endless_share(recent, lane, traders, options.accounts)) for lane in range(traders)]


class _RecentWindows:
    """Draws each window once for all lanes and keeps the last ones; a lane that nobody served skips the rest."""

    def __init__(self, options: ScheduleOptions) -> None:
        self._source = enumerate(windows(options))
        self._kept: deque[tuple[int, list[IntendedOperation]]] = deque(maxlen=3)

    def get(self, number: int) -> list[IntendedOperation]:
        while not self._kept or self._kept[-1][0] < number:
            self._kept.append(next(self._source))
        return next((operations for window, operations in self._kept if window == number), [])


def _endless_share(recent: _RecentWindows, lane: int, traders: int, accounts: int) -> Iterator[IntendedOperation]:
    for number in count():
        yield from _share(recent.get(number), lane, traders, accounts)


def _share(operations: list[IntendedOperation], lane: int, traders: int, accounts: int) -> Iterator[IntendedOperation]:
    """By account while there are enough of them, so that one trader is one account; else in turn."""
    if traders <= accounts:
        return (operation for operation in operations if operation.account % traders == lane)
    return (operation for operation in operations if operation.operation_id % traders == lane)
