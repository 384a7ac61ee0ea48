"""The api's side of the order path, towards an engine that says what the test needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from socket import socket

import msgspec
import pytest
from aiohttp import web

from trading.api.engine_client import EngineBusyError, EngineClient, OutcomeUnknownError
from trading.core.commands import CancelOrder, Deposit
from trading.core.orders import AccountId, OrderId, RejectReason
from trading.wire.engine import COMMANDS_PATH, Denied, Done, EngineState, Submission, decode_commands, encode_answers

LATE = Denied(RejectReason.DEADLINE_PASSED, "too late")
ORDER = Deposit(0, AccountId(1), "USD", 1)
CANCEL = CancelOrder(0, AccountId(1), OrderId(1))

Answer = Callable[[list[Submission]], web.Response]


def all_answered(answer: Denied | Done) -> Answer:
    return lambda taken: web.Response(body=encode_answers([answer] * len(taken)))


@asynccontextmanager
async def engine(
    handle: Callable[[list[Submission]], object], *, epoch: int = 1, thinks_s: float = 0.0
) -> AsyncIterator[str]:
    """An edge: an engine that leads, or thinks so, and answers commands as ``handle`` says."""

    async def commands(request: web.Request) -> web.Response:
        answer = handle(decode_commands(await request.read()))
        return await answer if asyncio.iscoroutine(answer) else answer  # type: ignore[return-value]

    async def state(_: web.Request) -> web.Response:
        await asyncio.sleep(thinks_s)
        return web.Response(body=msgspec.json.encode(EngineState(f"engine:{epoch}", "active", epoch, 0)))

    app = web.Application()
    app.add_routes([web.post(COMMANDS_PATH, commands), web.get("/state", state)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


async def test_a_command_that_came_too_late_at_the_first_try_was_certainly_not_executed() -> None:
    async with engine(all_answered(LATE)) as url, EngineClient((url,), capacity=10) as client:
        with pytest.raises(EngineBusyError, match="too late"):
            await client.execute(ORDER, 5.0)


async def test_a_repetition_that_came_too_late_says_nothing_of_the_try_before() -> None:
    tries = 0

    def handle(taken: list[Submission]) -> web.Response:
        nonlocal tries
        tries += 1
        return web.Response(status=500) if tries == 1 else all_answered(LATE)(taken)

    async with engine(handle) as url, EngineClient((url,), capacity=10) as client:
        with pytest.raises(OutcomeUnknownError):
            await client.execute(ORDER, 5.0)
    assert tries == 2


async def test_a_command_that_no_connection_was_there_for_was_certainly_not_executed() -> None:
    """However its deadline falls, here into the middle of a try: a full queue of connections answers nothing."""
    with socket() as listening, socket() as first:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        first.connect(listening.getsockname())
        async with EngineClient(("http://{}:{}".format(*listening.getsockname()),), capacity=10) as client:
            with pytest.raises(EngineBusyError, match="no engine took"):
                await client.execute(ORDER, 0.5)


async def test_a_leader_that_was_deposed_without_having_heard_of_it_is_left() -> None:
    """It is cut off from the database, answers at once that it leads, and answers no command."""

    async def never(_: list[Submission]) -> web.Response:
        await asyncio.sleep(2)
        raise AssertionError("nobody waits that long")

    async with (
        engine(never) as deposed,
        engine(all_answered(Done(7)), epoch=2, thinks_s=0.02) as leader,
        EngineClient((deposed, leader), capacity=10) as client,
    ):
        answers = await asyncio.wait_for(asyncio.gather(*(client.execute(ORDER, 5.0) for _ in range(5))), 1)
    assert [answer for answer, _ in answers] == [Done(7)] * 5


async def test_each_command_carries_its_callers_deadline() -> None:
    seen: list[int] = []

    def handle(taken: list[Submission]) -> web.Response:
        seen.extend(submission.deadline_ns for submission in taken)
        return all_answered(Done(1))(taken)

    async with engine(handle) as url, EngineClient((url,), capacity=10) as client:
        await client.execute(ORDER, 1.0)
        await client.execute(ORDER, 100.0)
    assert seen[1] - seen[0] > 50 * 10**9


async def test_a_full_queue_refuses_orders_and_lets_cancels_through() -> None:
    released, stuck = asyncio.Event(), 0

    async def handle(taken: list[Submission]) -> web.Response:
        nonlocal stuck
        if not isinstance(taken[0].command, CancelOrder):
            stuck += 1
            await released.wait()
        return all_answered(Done(1))(taken)

    async with engine(handle) as url, EngineClient((url,), capacity=3) as client:
        orders = []
        for on_their_way in (1, 2):
            orders.append(asyncio.create_task(client.execute(ORDER, 5.0)))
            while stuck < on_their_way:
                await asyncio.sleep(0.01)
        orders += [asyncio.create_task(client.execute(ORDER, 5.0)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(EngineBusyError):
            await client.execute(ORDER, 5.0)
        assert await client.execute(CANCEL, 5.0) == (Done(1), False)
        released.set()
        assert await asyncio.gather(*orders) == [(Done(1), False)] * 5
