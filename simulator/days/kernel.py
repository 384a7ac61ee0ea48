"""Virtual time: SimPy carries what steers a day; what happens between two of its events waits in one plain heap.

A SimPy event costs about a microsecond, twice an entry of a heap, and the default day has 140,000 small happenings.
So SimPy's own events are the sessions, halts, news and samples; a single SimPy process lets everything else happen,
in order of time, up to the next of them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from heapq import heappop, heappush
from typing import Any

from simpy import Environment
from simpy.events import Event


class Kernel:
    """Times are whole nanoseconds since the day's midnight. What is due at the same time happens in order of asking,
    SimPy's own events before it."""

    __slots__ = ("_heap", "_horizon", "_sequence", "environment", "happened", "now_ns")

    def __init__(self, start_ns: int = 0) -> None:
        self.environment = Environment(initial_time=start_ns)
        self.now_ns = start_ns
        self.happened = 0  # on the heap
        self._heap: list[tuple[int, int, Callable[[Any], None], Any]] = []
        self._sequence = 0
        self._horizon: float = start_ns
        self.environment.process(self._flow())

    def at(self, at_ns: int, act: Callable[[Any], None], what: object) -> None:
        """Calls ``act(what)`` then. A time that has passed means now."""
        self._sequence += 1
        heappush(self._heap, (at_ns, self._sequence, act, what))

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
        heap, happened = self._heap, 0
        while heap and heap[0][0] < self._horizon:
            at_ns, _, act, what = heappop(heap)
            if at_ns > self.now_ns:
                self.now_ns = at_ns
            act(what)
            happened += 1
        self.happened += happened
