"""Virtual time: SimPy carries what steers a day; what happens between two of its events waits in plain heaps.

A SimPy event costs about a microsecond, twice an entry of a heap, and the default day has 140,000 small happenings.
So SimPy's own events are the sessions, halts, news and samples; a single SimPy process lets everything else happen,
in order of time, up to the next of them.

What is due later than in the present half second waits in a list of its half second, and becomes a heap when that
begins: a heap of all that ten thousand traders wait for would cost each of them more than one of a thousand.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from heapq import heapify, heappop, heappush
from typing import Any, Final, TypeAlias

from simpy import Environment
from simpy.events import Event

_SLOT_BITS: Final = 29  # of nanoseconds: half a second

_Due: TypeAlias = tuple[int, int, Callable[[Any], None], Any]


class Kernel:
    """Times are whole nanoseconds since the day's midnight. What is due at the same time happens in order of asking,
    SimPy's own events before it."""

    __slots__ = ("_heap", "_horizon", "_later", "_sequence", "_slot", "environment", "happened", "now_ns")

    def __init__(self, start_ns: int = 0) -> None:
        self.environment = Environment(initial_time=start_ns)
        self.now_ns = start_ns
        self.happened = 0  # on the heap
        self._heap: list[_Due] = []  # of the present slot and what is late
        self._slot = start_ns >> _SLOT_BITS
        self._later: dict[int, list[_Due]] = {}  # by slot
        self._sequence = 0
        self._horizon: float = start_ns
        self.environment.process(self._flow())

    def at(self, at_ns: int, act: Callable[[Any], None], what: object) -> None:
        """Calls ``act(what)`` then. A time that has passed means now."""
        self._sequence += 1
        due, slot = (at_ns, self._sequence, act, what), at_ns >> _SLOT_BITS
        if slot <= self._slot:
            heappush(self._heap, due)
        elif slot in self._later:
            self._later[slot].append(due)
        else:
            self._later[slot] = [due]

    def steer(self, at_ns: int, act: Callable[[], None]) -> None:
        """The same as an event of SimPy, for what is rare and must come before everything else of its time."""
        timeout = self.environment.timeout(max(0, at_ns - int(self.environment.now)))
        timeout.callbacks.append(lambda _: self._steered(at_ns, act))
        self._horizon = min(self._horizon, at_ns)

    def run(self, until_ns: int) -> None:
        self.environment.run(until=until_ns)
        self.now_ns = until_ns

    def _steered(self, at_ns: int, act: Callable[[], None]) -> None:
        self.now_ns = at_ns
        act()

    def _flow(self) -> Generator[Event, None, None]:
        while True:
            self._horizon = self.environment.peek()
            self._drain()
            ahead = self._horizon - self.environment.now
            yield self.environment.timeout(ahead if ahead > 0 else 0)

    def _drain(self) -> None:
        happened = 0
        while True:
            heap = self._heap
            while heap and heap[0][0] < self._horizon:
                at_ns, _, act, what = heappop(heap)
                if at_ns > self.now_ns:
                    self.now_ns = at_ns
                act(what)
                happened += 1
            if (self._slot + 1) << _SLOT_BITS >= self._horizon:
                break
            self._slot += 1
            if self._slot in self._later:
                self._heap = self._later.pop(self._slot)
                heapify(self._heap)
        self.happened += happened
