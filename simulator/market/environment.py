"""Real time for SimPy inside asyncio: steps happen when they are due, and the sockets are served in between.

SimPy's own RealtimeEnvironment sleeps in ``step`` and with it the event loop.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import monotonic

from simpy import Environment

# A market that lags still has to let its sockets breathe.
_STEPS_BETWEEN_BREATHS = 50


@dataclass(slots=True)
class Lateness:
    """How long after their due times steps were taken, in real seconds."""

    steps: int = 0
    total_s: float = 0.0
    max_s: float = 0.0

    def add(self, late_s: float) -> None:
        self.steps += 1
        self.total_s += max(0.0, late_s)
        self.max_s = max(self.max_s, late_s)

    @property
    def mean_s(self) -> float:
        return self.total_s / self.steps if self.steps else 0.0


async def run_in_real_time(
    environment: Environment, *, until_s: float, stop: asyncio.Event, speed: float = 1.0
) -> Lateness:
    """Steps ``environment`` until its time is ``until_s``, it has nothing left to do, or ``stop`` is set.

    One second of its time takes ``1 / speed`` real ones. A step that is due is never left out: what cannot keep
    pace runs late, and the result says by how much.
    """
    lateness = Lateness()
    began, first = monotonic(), environment.now
    while (at := environment.peek()) <= until_s and not stop.is_set():
        due = began + (at - first) / speed
        if (ahead_s := due - monotonic()) > 0:
            await _wait(stop, ahead_s)
        elif lateness.steps % _STEPS_BETWEEN_BREATHS == 0:
            await asyncio.sleep(0)
        if not stop.is_set():
            lateness.add(monotonic() - due)
            environment.step()
    remaining_s = began + (until_s - first) / speed - monotonic()
    if remaining_s > 0 and environment.peek() != float("inf"):
        await _wait(stop, remaining_s)
    return lateness


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
