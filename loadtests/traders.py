"""The open loop: every operation is begun at its intended time, however slow the answers to earlier ones are."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from math import isinf
from pathlib import Path
from time import time_ns
from typing import ClassVar

import gevent
from gevent.event import Event
from locust import User, task
from locust.exception import StopUser

from loadtests.clients import Answer
from loadtests.intended import IntendedOperation, ScheduleOptions
from loadtests.orders_api import OrdersApi, Result
from loadtests.recorder import Recorder
from loadtests.rows import EndedOperation
from loadtests.schedule import operations
from loadtests.shares import Share, Turns
from loadtests.target import Target
from reports.records import GENERATOR_FULL, OutcomeKind
from trading.core.orders import NS_PER_S

_STOPPED = b"the generator was stopped before an answer came"


@dataclass(frozen=True, slots=True)
class LoopOptions:
    """The schedule starts at ``start_at_ns`` (epoch), or ``start_delay_s`` after all is prepared where that is later;
    of it this process offers its ``share``. A ``crewed`` one has the start that its master announced: what was due
    before all was prepared is late."""

    schedule: ScheduleOptions
    share: Share = field(default_factory=Share)
    start_at_ns: int = 0
    start_delay_s: float = 1.0
    crewed: bool = False
    max_in_flight: int = 512
    deadline_s: float = 8.0
    record: Path | None = None


class OpenLoop:
    """Everything the traders of one process share: whose turn it is, the connections, what is in flight, the record.

    ``report`` hears of every operation that ended. ``over`` is set when all of a measured schedule is answered,
    or when the loop itself failed (``failure``), as with a full disk. Raises OSError when no record can be written,
    RecordingError when a recorded market cannot be read.
    """

    def __init__(self, options: LoopOptions, target: Target, report: Callable[[EndedOperation], None]) -> None:
        self._options = options
        self._target = target
        self._report = report
        self._endless = isinf(options.schedule.duration_s)
        self._api = OrdersApi(target, connections=options.max_in_flight, deadline_s=options.deadline_s)
        self._recorder = Recorder(options.record, options.share, target)
        self._in_flight: dict[int, tuple[IntendedOperation, int]] = {}
        self._closed = False
        self.over = Event()
        self.failure: Exception | None = None
        if not options.crewed and not self._endless:
            self._recorder.prepare(options.schedule)
        self._turns = Turns(options.share.of(operations(options.schedule), options.schedule.accounts))
        # The start is set last: what comes before takes seconds on a busy machine, and none of them is the platform's.
        ready_ns = time_ns() + round(options.start_delay_s * NS_PER_S)
        self._start_ns = options.start_at_ns if options.crewed else max(options.start_at_ns, ready_ns)
        self._recorder.announce(self._start_ns)

    def serve(self) -> None:
        """One trader's work: takes the next operation, whoever's it is, and begins it at its time."""
        since_ns = time_ns() - self._start_ns if self._endless else 0
        while (operation := self._turns.take(not_before_ns=since_ns)) is not None:
            try:
                gevent.sleep(max(0.0, (self._intended_ns(operation) - time_ns()) / NS_PER_S))
            except gevent.GreenletExit:
                self._turns.give_back(operation)
                raise
            self._begin(operation)
        self._end_if_over()

    def close(self) -> None:
        """Ends the record; what is still in flight has an unknown outcome. Raises OSError when it cannot be written."""
        if self._closed:
            return
        for operation, began_ns in list(self._in_flight.values()):
            self._end(Result(OutcomeKind.UNKNOWN, operation, Answer(None, _STOPPED, began_ns, None)))
        self._closed = True
        self._recorder.close()
        self._api.close()

    def _intended_ns(self, operation: IntendedOperation) -> int:
        return self._start_ns + operation.offset_ns

    def _begin(self, operation: IntendedOperation) -> None:
        self._turns.begun()
        full = len(self._in_flight) >= self._options.max_in_flight
        self._in_flight[operation.operation_id] = (operation, time_ns())
        if full:
            self._end(Result(OutcomeKind.FAIL, operation))
        else:
            gevent.spawn(self._carry_out, operation)

    def _carry_out(self, operation: IntendedOperation) -> None:
        try:
            self._end(self._api.carry_out(operation))
        except Exception as error:  # a greenlet's edge: a record that lacks rows proves nothing, so the run ends here
            if not self._closed:  # else the connections were closed under it, and its row is written
                logging.getLogger(__name__).exception("the load generator failed")
                self._fail(error)

    def _end(self, result: Result) -> None:
        # The answer to an operation that close() has recorded may still come.
        if self._closed or self._in_flight.pop(result.operation.operation_id, None) is None:
            return
        ended = self._ended(result)
        try:
            self._recorder.add(ended)
        except OSError as error:
            self._fail(error)
        self._report(ended)
        self._end_if_over()

    def _end_if_over(self) -> None:
        if self._turns.over and not self._in_flight:
            self.over.set()

    def _fail(self, error: Exception) -> None:
        self.failure = error
        self.over.set()

    def _ended(self, result: Result) -> EndedOperation:
        operation, answer = result.operation, result.answer
        intended_ns = self._intended_ns(operation)
        if answer is None:
            return EndedOperation(operation, intended_ns, result.outcome, GENERATOR_FULL.encode())
        return EndedOperation(
            operation,
            intended_ns,
            result.outcome,
            answer.body,
            answer.sent_ns,
            answer.done_ns,
            answer.status,
            result.order_id,
            result.endpoint,
        )


class TraderUser(User):
    """A Locust user that takes its turns in ``loop``, which the generator sets when a test starts."""

    abstract = True
    loop: ClassVar[OpenLoop]

    @task
    def trade(self) -> None:
        self.loop.serve()
        raise StopUser
