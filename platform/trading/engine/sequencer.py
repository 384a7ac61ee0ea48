"""The one writer: what arrived while the last batch was committing becomes the next batch.

Apply in memory, commit, answer, in that order. If a batch cannot be made durable the sequencer raises and the
process ends: its memory is ahead of the journal, and nobody has been told anything about it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from trading.core.commands import Command
from trading.core.events import Refused, Repeated
from trading.core.orders import OrderId
from trading.engine.metrics import EngineMetrics
from trading.engine.replica import Replica
from trading.infra.database import DatabaseError
from trading.infra.journal import Batch, JournalWriter
from trading.infra.leadership import LeaseLostError
from trading.wire.engine import Answer, Denied, Done
from trading.wire.journal import JournalFormatError, JournalRecord, encode_record
from trading.wire.orders import first_view

MAX_BATCH_COMMANDS: Final = 500

# Reads back the first answers of orders that were placed before.
FirstAnswers = Callable[[list[OrderId]], Awaitable[dict[OrderId, Done]]]


class OverloadedError(Exception):
    """The queue is full; nothing of the request was taken in."""


@dataclass(slots=True)
class _Request:
    commands: list[Command]
    answered: asyncio.Future[list[Answer]]


@dataclass(slots=True)
class _Applied:
    """A batch in memory: its rows, and per request the answers to give once it is durable."""

    batch: Batch = field(default_factory=Batch)
    answers: list[tuple[_Request, list[Answer | Repeated]]] = field(default_factory=list)
    published: list[tuple[int, bytes]] = field(default_factory=list)


class Sequencer:
    """``first_answers`` is asked about repeated orders; ``committed`` is told of every durable record."""

    def __init__(
        self,
        replica: Replica,
        writer: JournalWriter,
        *,
        epoch: int,
        capacity: int,
        still_leading: Callable[[], bool],
        first_answers: FirstAnswers,
        committed: Callable[[list[tuple[int, bytes]]], None],
        metrics: EngineMetrics,
    ) -> None:
        self._replica = replica
        self._writer = writer
        self._epoch = epoch
        self._capacity = capacity
        self._still_leading = still_leading
        self._first_answers = first_answers
        self._committed = committed
        self._metrics = metrics
        self._waiting: deque[_Request] = deque()
        self._waiting_commands = 0
        self._arrived = asyncio.Event()
        self._last_at_ns = 0
        self._answering: set[asyncio.Task[None]] = set()

    async def submit(self, commands: list[Command]) -> list[Answer]:
        """The answers, once everything they say is durable. Raises OverloadedError when the queue is full.

        Raises DatabaseError when a first answer cannot be read back; what was executed stays executed.
        """
        if self._waiting_commands + len(commands) > self._capacity:
            raise OverloadedError
        request = _Request(commands, asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        self._waiting_commands += len(commands)
        self._arrived.set()
        return await request.answered

    async def run(self) -> None:
        """Never returns; raises FencedError, AmbiguousCommitError or LeaseLostError."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                applied = self._apply(self._take())
                await self._make_durable(applied)
                self._answer(applied)

    def _take(self) -> list[_Request]:
        taken, commands = [self._waiting.popleft()], 0
        commands = len(taken[0].commands)
        while self._waiting and commands + len(self._waiting[0].commands) <= MAX_BATCH_COMMANDS:
            taken.append(self._waiting.popleft())
            commands += len(taken[-1].commands)
        self._waiting_commands -= commands
        self._metrics.queue_commands.set(self._waiting_commands)
        return taken

    def _apply(self, requests: list[_Request]) -> _Applied:
        started_s = time.perf_counter()
        # Wall time may step back; the market's time does not.
        at_ns = self._last_at_ns = max(time.time_ns(), self._last_at_ns)
        applied = _Applied()
        for request in requests:
            answers = [self._execute(command._replace(at_ns=at_ns), applied) for command in request.commands]
            applied.answers.append((request, answers))
        self._metrics.apply_seconds.observe(time.perf_counter() - started_s)
        return applied

    def _execute(self, command: Command, applied: _Applied) -> Answer | Repeated:
        match self._replica.execute(command, epoch=self._epoch, batch=applied.batch):
            case Refused(reason, message):
                self._metrics.commands.labels(reason.value).inc()
                return Denied(reason, message)
            case Repeated() as repeated:
                self._metrics.commands.labels("repeated").inc()
                return repeated
            case JournalRecord() as record:
                self._metrics.commands.labels("done").inc()
                command_text, events_text = applied.batch.add(record)
                applied.published.append((record.sequence, encode_record(record, command_text, events_text)))
                return Done(record.sequence, first_view(record))

    async def _make_durable(self, applied: _Applied) -> None:
        if applied.batch.journal:
            started_s = time.perf_counter()
            await self._writer.commit(applied.batch)
            self._metrics.commit_seconds.observe(time.perf_counter() - started_s)
            self._metrics.batch_commands.observe(len(applied.batch.journal))
            self._metrics.sequence.set(self._replica.sequence)
            self._committed(applied.published)
        elif not self._still_leading():
            raise LeaseLostError("the lease may be over: another engine may know better than these refusals")

    def _answer(self, applied: _Applied) -> None:
        for request, answers in applied.answers:
            if any(isinstance(answer, Repeated) for answer in answers):
                task = asyncio.create_task(self._answer_repeated(request, answers))
                self._answering.add(task)
                task.add_done_callback(self._answering.discard)
            elif not request.answered.done():
                request.answered.set_result([answer for answer in answers if not isinstance(answer, Repeated)])

    async def _answer_repeated(self, request: _Request, answers: list[Answer | Repeated]) -> None:
        try:
            repeated = await self._first_answers([a.order_id for a in answers if isinstance(a, Repeated)])
        except (DatabaseError, JournalFormatError) as error:
            if not request.answered.done():
                request.answered.set_exception(error)
            return
        if not request.answered.done():
            request.answered.set_result([repeated[a.order_id] if isinstance(a, Repeated) else a for a in answers])
