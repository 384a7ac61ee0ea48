"""The one writer: what arrived while the last batch was committing becomes the next batch.

Apply in memory, commit, answer, in that order. If a batch cannot be made durable the sequencer raises and the
process ends: its memory is ahead of the journal, and nobody has been told anything about it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from trading.core.client_order_ids import answer_again
from trading.core.commands import CancelAll, Command, Payment, SetKillSwitch
from trading.core.events import Refused, Repeated
from trading.core.orders import OrderId, RejectReason
from trading.engine.lanes import Former, Lanes, OrderRequest, OverloadedError, Request
from trading.engine.metrics import EngineMetrics
from trading.engine.payments import Payments
from trading.engine.replica import Replica
from trading.engine.writer import Writer
from trading.infra.database import DatabaseError
from trading.infra.journal import Batch
from trading.wire.engine import Answer, Denied, Done, Submission
from trading.wire.journal import JournalFormatError, JournalRecord, encode_record
from trading.wire.orders import first_view

MAX_BATCH_COMMANDS: Final = 500

# Reads back the first answers of orders that were placed before.
FirstAnswers = Callable[[list[OrderId]], Awaitable[dict[OrderId, Done]]]
# Looks up what was asked for under client_order_ids that the exchange may have forgotten.
FormerRequests = Callable[[list[OrderRequest]], Awaitable[Former]]


@dataclass(slots=True)
class _Applied:
    """A batch in memory: its rows, and per request the answers to give once it is durable."""

    batch: Batch = field(default_factory=Batch)
    answers: list[tuple[Request, list[Answer | Repeated]]] = field(default_factory=list)
    published: list[tuple[int, bytes]] = field(default_factory=list)


class Sequencer:
    """``first_answers`` is asked about repeated orders; ``committed`` is told of every durable record."""

    def __init__(
        self,
        replica: Replica,
        writer: Writer,
        *,
        epoch: int,
        capacity: int,
        assured: Callable[[], Awaitable[None]],
        first_answers: FirstAnswers,
        former_requests: FormerRequests,
        payments: Payments,
        committed: Callable[[list[tuple[int, bytes]]], None],
        metrics: EngineMetrics,
        records_per_state_hash: int = 1_000,
    ) -> None:
        self._replica = replica
        self._writer = writer
        self._epoch = epoch
        self._assured = assured
        self._first_answers = first_answers
        self._former_requests = former_requests
        self._payments = payments
        self._committed = committed
        self._metrics = metrics
        metrics.batch_limit.set(MAX_BATCH_COMMANDS)
        self._done = metrics.commands.labels("done")  # looked up once, not per order
        self._records_per_state_hash = records_per_state_hash
        self._hashed = replica.sequence
        self._lanes = Lanes(capacity)
        self._arrived = asyncio.Event()
        self._answering: set[asyncio.Task[None]] = set()

    async def submit(self, submissions: list[Submission]) -> list[Answer]:
        """The answers, once everything they say is durable.

        Raises OverloadedError when the queue is full, or the server's disk.
        Raises DatabaseError when a first answer cannot be read back; what was executed stays executed.
        """
        if not submissions:
            return []
        if self.out_of_space:
            raise OverloadedError("the database has no space left")
        request = Request(submissions, asyncio.get_running_loop().create_future())
        if forgotten := self._perhaps_forgotten(submissions):
            request.former = await self._former_requests(forgotten)
        if payments := [command for _, command in submissions if isinstance(command, Payment) and command.reference]:
            request.paid = await self._payments.look_up(payments)
        self._lanes.add(request)
        self._count_waiting()
        self._arrived.set()
        return await request.answered

    @property
    def out_of_space(self) -> bool:
        """The server's disk is full: nothing is taken in, and what was waits until there is space again."""
        return self._writer.out_of_space

    async def run(self) -> None:
        """Never returns; raises FencedError or AmbiguousCommitError."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._lanes:
                applied = self._apply(self._lanes.take(MAX_BATCH_COMMANDS))
                self._count_waiting()
                await self._make_durable(applied)
                self._answer(applied)

    def _perhaps_forgotten(self, submissions: list[Submission]) -> list[OrderRequest]:
        """Which to look up: all, once any is forgotten; else the known ones, which may be forgotten while they wait.

        What is unknown to both here and accepted meanwhile is known when this one's turn comes: no more orders wait
        than the exchange remembers.
        """
        exchange = self._replica.exchange
        return [
            command
            for _, command in submissions
            if isinstance(command, OrderRequest)
            and (exchange.forgets or exchange.known_order(command.account_id, command.client_order_id) is not None)
        ]

    def _count_waiting(self) -> None:
        self._metrics.waiting_urgent.set(self._lanes.urgent.commands)
        self._metrics.waiting_ordinary.set(self._lanes.ordinary.commands)

    def _apply(self, requests: list[Request]) -> _Applied:
        started_s, now_ns = time.perf_counter(), time.time_ns()
        # Wall time may step back, and another host's may have been ahead; the market's time never goes back.
        at_ns = max(now_ns, self._replica.at_ns)
        applied = _Applied()
        for request in requests:
            answers = [
                self._execute(command._replace(at_ns=at_ns), request, applied)
                if now_ns <= deadline_ns
                else self._too_late()
                for deadline_ns, command in request.submissions
            ]
            applied.answers.append((request, answers))
        self._hash_when_due(applied.batch)
        self._metrics.apply_seconds.observe(time.perf_counter() - started_s)
        return applied

    def _hash_when_due(self, batch: Batch) -> None:
        """Adds what every standby must come to as well, once there are records enough since the last time."""
        sequence = self._replica.sequence
        if sequence - self._hashed >= self._records_per_state_hash:
            batch.state_hashes.append((sequence, self._epoch, self._replica.state_hash()))
            self._hashed = sequence

    def _too_late(self) -> Denied:
        self._metrics.commands.labels(RejectReason.DEADLINE_PASSED.value).inc()
        return Denied(RejectReason.DEADLINE_PASSED, "its deadline had passed before it could be executed")

    def _execute(self, command: Command, request: Request, applied: _Applied) -> Answer | Repeated:
        if isinstance(command, Payment) and command.reference:
            return self._pay(command, request, applied)
        return self._execute_once(command, request.former, applied)

    def _pay(self, payment: Payment, request: Request, applied: _Applied) -> Answer | Repeated:
        """Answered once this batch is durable, and so are the ones before: what is repeated here is durable too."""
        if before := self._payments.answered_before(payment, request.paid):
            return before
        answer = self._execute_once(payment, {}, applied)
        if isinstance(answer, Done):
            self._payments.remember(payment, answer.sequence)
        return answer

    def _execute_once(self, command: Command, former: Former, applied: _Applied) -> Answer | Repeated:
        outcome = _answered_before(command, former)
        match outcome or self._replica.execute(command, epoch=self._epoch, batch=applied.batch):
            case Refused(reason, message):
                self._metrics.commands.labels(reason.value).inc()
                return Denied(reason, message)
            case Repeated() as repeated:
                self._metrics.commands.labels("repeated").inc()
                return repeated
            case JournalRecord() as record:
                self._done.inc()
                command_text, events_text = applied.batch.add(record)
                applied.published.append((record.sequence, encode_record(record, command_text, events_text)))
                if isinstance(command, SetKillSwitch) and command.engaged:
                    self._cancel_everything(command, applied)
                return Done(record.sequence, first_view(record))

    def _cancel_everything(self, switch: SetKillSwitch, applied: _Applied) -> None:
        """The other half of a kill switch, in the same transaction: a record per market."""
        for symbol in self._replica.exchange.open_symbols(switch.account_id):
            self._execute_once(CancelAll(switch.at_ns, switch.account_id, symbol), {}, applied)

    async def _make_durable(self, applied: _Applied) -> None:
        if applied.batch.journal:
            started_s = time.perf_counter()
            await self._writer.commit(applied.batch)
            self._metrics.commit_seconds.observe(time.perf_counter() - started_s)
            self._metrics.batch_commands.observe(len(applied.batch.journal))
            self._metrics.sequence.set(self._replica.sequence)
            self._committed(applied.published)
        else:
            await self._assured()  # or another engine may know better than these refusals

    def _answer(self, applied: _Applied) -> None:
        for request, answers in applied.answers:
            if any(isinstance(answer, Repeated) for answer in answers):
                task = asyncio.create_task(self._answer_repeated(request, answers))
                self._answering.add(task)
                task.add_done_callback(self._answering.discard)
            elif not request.answered.done():
                request.answered.set_result([answer for answer in answers if not isinstance(answer, Repeated)])

    async def _answer_repeated(self, request: Request, answers: list[Answer | Repeated]) -> None:
        try:
            repeated = await self._first_answers([a.order_id for a in answers if isinstance(a, Repeated)])
        except (DatabaseError, JournalFormatError) as error:
            if not request.answered.done():
                request.answered.set_exception(error)
            return
        if not request.answered.done():
            request.answered.set_result([repeated[a.order_id] if isinstance(a, Repeated) else a for a in answers])


def _answered_before(command: Command, former: Former) -> Repeated | Refused | None:
    if not isinstance(command, OrderRequest):
        return None
    placed = former.get((command.account_id, command.client_order_id))
    return None if placed is None else answer_again(command, *placed)
