"""The api's side of the order path: joins what waits into one request, and finds the leader again after a failover.

A command that was sent may have been executed even when no answer came. Placing is idempotent by
client_order_id and cancelling by nature, so the client repeats inside the request's deadline; only when that has
passed does it give up, and says that the outcome is unknown.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Final

import aiohttp
import msgspec

from trading.core.commands import Command
from trading.core.orders import RejectReason
from trading.wire.engine import (
    COMMANDS_PATH,
    Answer,
    Denied,
    EngineState,
    decode_answers,
    decode_state,
    encode_commands,
    urgent,
)
from trading.wire.journal import encode_command

_MAX_BATCH: Final = 500
# Requests on their way at once. With one alone, an order would wait here for a whole commit before it may join the
# next batch in the engine; many would give up the batching that makes an order cheap.
_IN_FLIGHT: Final = 2
# The last part of a caller's time is for the commit and the way back: what the engine starts on it also answers.
_EXECUTABLE_PART: Final = 0.9
_SUSPICION_S: Final = 0.1  # an answer later than this makes the client ask who leads
_PATIENCE_S: Final = 0.05
_PROBE_S: Final = 0.45
_RETRY_S: Final = 0.02


class OutcomeUnknownError(Exception):
    """The deadline passed after the command had been sent at least once."""


class EngineBusyError(Exception):
    """The command was certainly not executed: the queue is full or no engine took it before the deadline."""


class _NotTakenError(Exception):
    """This engine certainly executed nothing of the request."""


class _NoAnswerError(Exception):
    """Whether the engine executed the request is not known."""


@dataclass(slots=True)
class _Waiting:
    command: bytes
    deadline_ns: int
    answered: asyncio.Future[Answer]
    doubtful_tries: int = 0  # sent, and not known to have been turned away

    def resolve(self, answer: Answer) -> None:
        if self.answered.done():
            return
        if not isinstance(answer, Denied) or answer.reason is not RejectReason.DEADLINE_PASSED:
            self.answered.set_result(answer)
        elif self.doubtful_tries > 1:  # this try came too late; an earlier one may have been in time
            self.answered.set_exception(OutcomeUnknownError("no engine answered in time"))
        else:
            self.answered.set_exception(EngineBusyError("the engine came to it too late"))


@dataclass(slots=True)
class _Lane:
    """A bounded queue with its own senders, so that what is in one lane never waits for the other's."""

    capacity: int
    waiting: deque[_Waiting] = field(default_factory=deque)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, waiting: _Waiting) -> None:
        """Raises EngineBusyError when it is full."""
        while self.waiting and self.waiting[0].answered.done():
            self.waiting.popleft()
        if len(self.waiting) >= self.capacity:
            raise EngineBusyError("too many orders are waiting")
        self.waiting.append(waiting)
        self.arrived.set()

    def take(self) -> list[_Waiting]:
        """The next batch, without commands whose callers have given up: those must not be executed any more."""
        batch: list[_Waiting] = []
        while self.waiting and len(batch) < _MAX_BATCH:
            waiting = self.waiting.popleft()
            if not waiting.answered.done():
                batch.append(waiting)
        return batch


def _doubt_what_goes_out() -> aiohttp.TraceConfig:
    """A try is in doubt once it has a connection to go out on: none can be taken where nobody listens."""

    async def connected(_session: object, context: SimpleNamespace, _params: object) -> None:
        for waiting in context.trace_request_ctx or ():
            waiting.doubtful_tries += 1

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(connected)
    trace.on_connection_reuseconn.append(connected)
    return trace


class EngineClient:
    """Natural batching towards whichever engine leads. Use as an async context manager."""

    def __init__(self, engines: tuple[str, ...], *, capacity: int) -> None:
        self._engines = engines
        self._leader = engines[0]
        self._epoch = 0
        self._patience_s = _PATIENCE_S
        self._lane, self._urgent_lane = _Lane(capacity), _Lane(capacity)

    async def __aenter__(self) -> EngineClient:
        connector = aiohttp.TCPConnector(limit=16)
        self._http = aiohttp.ClientSession(connector=connector, trace_configs=[_doubt_what_goes_out()])
        lanes = (self._urgent_lane, *[self._lane] * _IN_FLIGHT)
        self._senders = {asyncio.create_task(self._send_all(lane)) for lane in lanes}
        return self

    async def __aexit__(self, *_: object) -> None:
        for sender in self._senders:
            sender.cancel()
        await asyncio.wait(self._senders)
        await self._http.close()

    async def execute(self, command: Command, deadline_s: float) -> tuple[Answer, bool]:
        """The engine's durable answer, and whether the command had to be sent more than once.

        Raises OutcomeUnknownError or EngineBusyError.
        """
        deadline_ns = time.time_ns() + int(deadline_s * _EXECUTABLE_PART * 1e9)
        waiting = _Waiting(encode_command(command), deadline_ns, asyncio.get_running_loop().create_future())
        (self._urgent_lane if urgent(command) else self._lane).add(waiting)
        try:
            async with asyncio.timeout(deadline_s):
                answer = await waiting.answered
                return answer, waiting.doubtful_tries > 1
        except TimeoutError:
            if waiting.doubtful_tries:
                raise OutcomeUnknownError(f"no engine answered within {deadline_s:g} s") from None
            raise EngineBusyError(f"no engine took the order within {deadline_s:g} s") from None

    async def states(self) -> list[EngineState | None]:
        """What each engine says of itself, None for one that does not answer."""
        return await asyncio.gather(*(self._state(engine) for engine in self._engines))

    # -- sending -----------------------------------------------------------------------------------

    async def _send_all(self, lane: _Lane) -> None:
        while True:
            await lane.arrived.wait()
            lane.arrived.clear()
            while batch := lane.take():
                await self._deliver(batch)

    async def _deliver(self, batch: list[_Waiting]) -> None:
        """Repeats until every command of the batch is answered or given up by its caller."""
        while batch := [waiting for waiting in batch if not waiting.answered.done()]:
            try:
                answers = await self._post_while_leading(batch)
            except _NotTakenError as refusal:
                self._refuse(batch, str(refusal))
                await self._look_for_leader()
                await asyncio.sleep(_RETRY_S)
            except (_NoAnswerError, aiohttp.ClientError, OSError, msgspec.DecodeError):
                await self._look_for_leader()
                await asyncio.sleep(_RETRY_S)
            else:
                for waiting, answer in zip(batch, answers, strict=True):
                    waiting.resolve(answer)

    def _refuse(self, batch: list[_Waiting], why: str) -> None:
        """Gives the refusal on, but not to a command that an earlier try may have executed after all."""
        for waiting in batch:
            if why and not waiting.doubtful_tries and not waiting.answered.done():
                waiting.answered.set_exception(EngineBusyError(why))

    async def _post_while_leading(self, batch: list[_Waiting]) -> list[Answer]:
        """Posts to the leader; once the answer is late, watches whether another engine has taken over meanwhile."""
        leader = self._leader
        post = asyncio.create_task(self._post(leader, batch))
        try:
            while True:
                done, _ = await asyncio.wait({post}, timeout=_SUSPICION_S)
                if done:
                    return post.result()
                await self._look_for_leader()
                if self._leader != leader or all(waiting.answered.done() for waiting in batch):
                    raise _NoAnswerError
        finally:
            post.cancel()

    async def _post(self, engine: str, batch: list[_Waiting]) -> list[Answer]:
        body = encode_commands((waiting.deadline_ns, waiting.command) for waiting in batch)
        try:
            async with self._http.post(engine + COMMANDS_PATH, data=body, trace_request_ctx=batch) as response:
                text = await response.read()
        except aiohttp.ClientConnectorError as error:
            raise _NotTakenError from error
        if response.status in (409, 503):
            for waiting in batch:
                waiting.doubtful_tries -= 1
        match response.status:
            case 200:
                return decode_answers(text)
            case 409:
                raise _NotTakenError
            case 503:
                raise _NotTakenError(f"the engine takes no more: {text.decode()}")
            case _:
                raise _NoAnswerError

    async def _look_for_leader(self) -> None:
        """Asks all engines at once, and stops at the first that leads and is news.

        Once one has answered, the others have a little patience left: one may be frozen, but the one that is known to
        lead may have been cut off and deposed without having heard of it. The patience grows while no leader is found,
        because its link may be slow.
        """
        probes = {asyncio.create_task(self._state(engine)): engine for engine in self._engines}
        pending, left_s, found, known = set(probes), _PROBE_S, False, self._epoch
        while pending and left_s and self._epoch == known:
            done, pending = await asyncio.wait(pending, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            leading = [self._follow(probe.result(), probes[probe]) for probe in done]  # all: the latest epoch counts
            found = found or any(leading)
            if not done:
                left_s = 0.0
            elif any(probe.result() for probe in done):
                left_s = self._patience_s
        for probe in pending:
            probe.cancel()
        self._patience_s = _PATIENCE_S if found else min(2 * self._patience_s, _PROBE_S)

    def _follow(self, state: EngineState | None, engine: str) -> bool:
        """Whether this engine leads, as far as we know of epochs; then it is who we ask from now on."""
        if state is None or state.role != "active" or state.epoch < self._epoch:
            return False
        self._epoch, self._leader = state.epoch, engine
        return True

    async def _state(self, engine: str) -> EngineState | None:
        try:
            async with self._http.get(f"{engine}/state", timeout=aiohttp.ClientTimeout(total=_PROBE_S)) as response:
                return decode_state(await response.read())
        except (aiohttp.ClientError, OSError, TimeoutError, msgspec.DecodeError):
            return None
