"""Real time for SimPy inside asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from time import monotonic, sleep

from simpy import Environment
from simpy.events import Event

from simulator.market.environment import run_in_real_time


async def test_the_event_loop_runs_between_the_steps() -> None:
    ticks: list[float] = []

    async def other_work() -> None:
        while True:
            ticks.append(monotonic())
            await asyncio.sleep(0.005)

    environment = Environment()
    environment.process(_clock(environment, 0.1))
    other = asyncio.create_task(other_work())
    await run_in_real_time(environment, until_s=0.35, stop=asyncio.Event())
    other.cancel()
    assert len(ticks) > 10


async def test_virtual_time_goes_at_the_given_speed_and_never_ahead_of_the_clock() -> None:
    environment = Environment()
    moments: list[float] = []
    environment.process(_clock(environment, 1.0, lambda: moments.append(monotonic())))
    began = monotonic()
    lateness = await run_in_real_time(environment, until_s=10.0, speed=50.0, stop=asyncio.Event())
    assert environment.now == 10.0
    assert all(moment - began >= step / 50 for step, moment in enumerate(moments, 1))
    assert lateness.steps >= 10


async def test_a_market_that_lags_takes_every_step_and_reports_how_late() -> None:
    environment = Environment()
    moments: list[float] = []

    def slow() -> None:
        sleep(0.02)
        moments.append(environment.now)

    environment.process(_clock(environment, 0.001, slow))
    lateness = await run_in_real_time(environment, until_s=0.0105, stop=asyncio.Event())
    assert len(moments) == 10
    assert lateness.max_s >= 9 * 0.02 - 0.0105
    assert lateness.max_s > lateness.mean_s > 0


async def test_stopping_ends_a_wait_at_once() -> None:
    environment = Environment()
    environment.process(_clock(environment, 1_000.0))
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, stop.set)
    async with asyncio.timeout(30):
        await run_in_real_time(environment, until_s=5_000.0, stop=stop)
    assert environment.now == 0


def _clock(environment: Environment, pause_s: float, act: object = None) -> Generator[Event, None, None]:
    while True:
        yield environment.timeout(pause_s)
        if callable(act):
            act()
