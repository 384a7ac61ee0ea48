from __future__ import annotations

import asyncio

import pytest

from stack.tasks import end

pytestmark = pytest.mark.asyncio


async def deaf(times: int) -> None:
    """Takes that many cancellations for time-outs of its own."""
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if not times:
                raise
            times -= 1


async def test_a_task_that_swallows_a_cancellation_ends_all_the_same() -> None:
    tasks = [asyncio.create_task(deaf(times)) for times in (0, 1)]
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await end(*tasks)
    assert [task.cancelled() for task in tasks] == [True, True]


async def test_a_task_that_has_ended_keeps_its_error() -> None:
    async def fails() -> None:
        raise ValueError

    task = asyncio.create_task(fails())
    await asyncio.wait({task})
    await end(task)
    assert isinstance(task.exception(), ValueError)
