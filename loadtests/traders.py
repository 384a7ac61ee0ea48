"""The open loop: every operation is begun at its intended time, however slow the answers to earlier ones are."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import time_ns
from typing import ClassVar, assert_never
from urllib.parse import quote

import gevent
import msgspec
from gevent.event import Event
from gevent.queue import Queue
from locust import User, task
from locust.exception import StopUser

from loadtests.clients import Answer, ApiClient
from loadtests.lanes import Lane, endless_lanes, measured_lanes
from loadtests.recorder import Recorder
from loadtests.schedule import NS_PER_S, IntendedOperation, Kind, ScheduleOptions
from loadtests.target import Target
from reports.records import OutcomeKind, outcome_of
from reports.rows import Operation
from stack.status import AccountStatus, InstrumentStatus
from trading.wire.orders import decimal_text

GENERATOR_FULL = "generator full"
_STOPPED = "the generator was stopped before an answer came"


@dataclass(frozen=True, slots=True)
class LoopOptions:
    """``start_ns`` is the epoch moment of offset zero; ``traders`` the number of Locust users that share the work."""

    schedule: ScheduleOptions
    traders: int
    start_ns: int
    endless: bool = False
    max_in_flight: int = 512
    deadline_s: float = 8.0
    record: Path | None = None


class OpenLoop:
    """Everything the traders of one process share: the lanes, the connections, the acknowledgements, the record.

    ``report`` hears of every operation that ended. ``over`` is set when all of a measured schedule is answered,
    or when the loop itself failed (``failure``), as with a full disk.
    """

    def __init__(self, options: LoopOptions, target: Target, report: Callable[[Operation], None]) -> None:
        self._options = options
        self._target = target
        self._report = report
        self._recorder = Recorder(options.record)
        self._clients = [
            ApiClient(url, connections=options.max_in_flight, deadline_s=options.deadline_s) for url in target.apis
        ]
        self._order_ids: dict[str, str] = {}
        self._in_flight: dict[int, tuple[IntendedOperation, int]] = {}
        self._closed = False
        self.over = Event()
        self.failure: Exception | None = None
        lanes: Sequence[Lane]
        self._to_begin: int | None
        if options.endless:
            lanes, self._to_begin = endless_lanes(options.schedule, options.traders), None
        else:
            lanes, self._to_begin = measured_lanes(options.schedule, options.traders)
        self._lanes: Queue[Lane] = Queue(items=lanes)

    def serve(self) -> None:
        """One trader's work: takes a free lane (waits for one) and begins its operations, each at its time."""
        lane = self._lanes.get()
        if self._options.endless:
            lane.skip_to(time_ns() - self._options.start_ns)
        try:
            while lane.head is not None:
                gevent.sleep(max(0.0, (self._intended_ns(lane.head) - time_ns()) / NS_PER_S))
                self._begin(lane.head)
                lane.advance()
        finally:
            self._lanes.put(lane)

    def close(self) -> None:
        """Ends the record; what is still in flight has an unknown outcome."""
        if self._closed:
            return
        for operation, sent_ns in list(self._in_flight.values()):
            answer = Answer(None, _STOPPED.encode(), sent_ns, None)
            self._end(operation, None, _Result(answer, OutcomeKind.UNKNOWN))
        self._closed = True
        self._recorder.close()
        for client in self._clients:
            client.close()

    def _intended_ns(self, operation: IntendedOperation) -> int:
        return self._options.start_ns + operation.offset_ns

    def _begin(self, operation: IntendedOperation) -> None:
        if self._to_begin is not None:
            self._to_begin -= 1
        full = len(self._in_flight) >= self._options.max_in_flight
        self._in_flight[operation.operation_id] = (operation, time_ns())
        if full:
            self._end(operation, None, _Result(None, OutcomeKind.FAIL))
        else:
            gevent.spawn(self._carry_out, operation)

    def _carry_out(self, operation: IntendedOperation) -> None:
        client = self._clients[operation.operation_id % len(self._clients)]
        try:
            self._end(operation, client.url, self._ask(operation, client))
        except Exception as error:  # a greenlet's edge: without its rows the run proves nothing, so it ends here
            logging.getLogger(__name__).exception("the load generator failed")
            self.failure = error
            self.over.set()

    def _ask(self, operation: IntendedOperation, client: ApiClient) -> _Result:
        account = self._target.accounts[operation.account]
        match operation.kind:
            case Kind.PLACE:
                body = order_body(operation, self._target.instruments)
                return _identified(client.request("POST", "/v2/orders", account, body))
            case Kind.CANCEL:
                return self._cancel(operation, client, account)
            case Kind.LOOKUP:
                return _lookup(operation, client, account)
            case Kind.READ:
                return _read(client.request("GET", "/v2/account", account))
            case _:
                assert_never(operation.kind)

    def _cancel(self, operation: IntendedOperation, client: ApiClient, account: AccountStatus) -> _Result:
        order_id = self._order_ids.get(operation.client_order_id or "")
        sent_ns = None
        if order_id is None:
            found = _lookup(operation, client, account)
            if found.order_id is None:
                return found
            order_id, sent_ns = found.order_id, found.sent_ns
        answer = client.request("DELETE", f"/v2/orders/{order_id}", account)
        if sent_ns is not None:
            answer = answer._replace(sent_ns=sent_ns)
        return _Result(answer, _outcome(answer), order_id)

    def _end(self, operation: IntendedOperation, endpoint: str | None, result: _Result) -> None:
        # An operation that close() has already recorded may still get its answer.
        if self._closed or self._in_flight.pop(operation.operation_id, None) is None:
            return
        if operation.kind is Kind.PLACE and operation.client_order_id and result.order_id:
            self._order_ids[operation.client_order_id] = result.order_id
        row = self._row(operation, endpoint, result)
        self._recorder.add(row)
        self._report(row)
        if self._to_begin == 0 and not self._in_flight:
            self.over.set()

    def _row(self, operation: IntendedOperation, endpoint: str | None, result: _Result) -> Operation:
        answer = result.answer
        return Operation(
            source="load",
            operation_id=operation.operation_id,
            kind=operation.kind,
            account_id=self._target.accounts[operation.account].account_id,
            client_order_id=operation.client_order_id,
            symbol=operation.symbol,
            side=operation.side,
            order_type=operation.order_type,
            time_in_force=operation.time_in_force,
            quantity=operation.quantity,
            limit_price_micros=limit_price_micros(operation, self._target.instruments),
            intended_ns=self._intended_ns(operation),
            sent_ns=answer and answer.sent_ns,
            done_ns=answer and answer.done_ns,
            outcome=result.outcome,
            http_status=answer and answer.status,
            order_id=result.order_id,
            endpoint=endpoint,
            answer=answer.body.decode(errors="replace") if answer else GENERATOR_FULL,
        )


class TraderUser(User):
    """A Locust user that serves one lane of ``loop``, which the profile sets when a test starts."""

    abstract = True
    loop: ClassVar[OpenLoop]

    @task
    def trade(self) -> None:
        self.loop.serve()
        raise StopUser


def limit_price_micros(operation: IntendedOperation, instruments: Mapping[str, InstrumentStatus]) -> int | None:
    """The intended price on the instrument's grid, at least one tick; None for what has no limit price."""
    if operation.price_offset_ticks is None or operation.symbol is None:
        return None
    instrument = instruments[operation.symbol]
    tick = instrument.tick_micros
    return max(tick, instrument.reference_price_micros // tick * tick + operation.price_offset_ticks * tick)


def order_body(operation: IntendedOperation, instruments: Mapping[str, InstrumentStatus]) -> bytes:
    """The JSON of ``POST /v2/orders``."""
    price = limit_price_micros(operation, instruments)
    body = {
        "symbol": operation.symbol,
        "qty": str(operation.quantity),
        "side": operation.side,
        "type": operation.order_type,
        "time_in_force": operation.time_in_force,
        "client_order_id": operation.client_order_id,
    }
    if price is not None:
        body["limit_price"] = decimal_text(price)
    return msgspec.json.encode(body)


@dataclass(frozen=True, slots=True)
class _Result:
    """``answer`` is None when the operation was never sent."""

    answer: Answer | None
    outcome: OutcomeKind
    order_id: str | None = None

    @property
    def sent_ns(self) -> int | None:
        return self.answer and self.answer.sent_ns


class _Identified(msgspec.Struct):
    id: str


_decode_identified = msgspec.json.Decoder(_Identified).decode
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def _outcome(answer: Answer) -> OutcomeKind:
    # A refused connection carried nothing, so nothing can have been executed.
    return OutcomeKind.FAIL if answer.refused else outcome_of(answer.status)


def _identified(answer: Answer) -> _Result:
    """An answer that names an order; a success that names none tells nothing."""
    outcome = _outcome(answer)
    if outcome is not OutcomeKind.OK:
        return _Result(answer, outcome)
    try:
        return _Result(answer, outcome, _decode_identified(answer.body).id)
    except msgspec.DecodeError:
        return _Result(answer, OutcomeKind.UNKNOWN)


def _read(answer: Answer) -> _Result:
    outcome = _outcome(answer)
    if outcome is OutcomeKind.OK:
        try:
            _decode_object(answer.body)
        except msgspec.DecodeError:
            outcome = OutcomeKind.UNKNOWN
    return _Result(answer, outcome)


def _lookup(operation: IntendedOperation, client: ApiClient, account: AccountStatus) -> _Result:
    client_order_id = quote(operation.client_order_id or "", safe="")
    path = f"/v2/orders:by_client_order_id?client_order_id={client_order_id}"
    return _identified(client.request("GET", path, account))
