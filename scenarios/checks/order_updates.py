"""What the feed told an account about its orders is their history: every step, once, in order, with its figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from reports.outage import windows
from reports.record import MissingPartError, Record
from reports.records import FeedStream
from reports.rows import FeedMessage
from scenarios.checks.check import CannotTellError, Check, Evidence, Findings, present
from scenarios.checks.feed import DISCONNECT
from scenarios.checks.histories import Step, steps
from trading.wire.orders import decimal_text, order_uuid, shares_text

UPDATE: Final = "trade_updates"
_GREETING: Final = "listening"

Told = tuple[Any, ...]  # sequence, event, order, status, filled; price and shares of a fill


class _Connection(NamedTuple):
    listening_ns: int
    told: list[Told]
    last_ns: int
    lost_ns: int | None  # when the subscriber lost it, after the last update


def examine(record: Record) -> Findings:
    """A connection's updates follow each other without a gap.

    Between two, what passed is missed: updates are not repeated. So is what passed after the last, if it was lost and
    the subscriber found no other. That is a fault's doing only if one was at work there.
    """
    present(record.feed, "feed message")
    connections = _connections(record)
    present(connections, "subscription to order updates")
    due = [step for step in _history(record) if step.name]
    expected = [_due(step) for step in due]
    places = {told: place for place, told in enumerate(expected)}
    violations: list[Evidence] = []
    next_place, left_ns, missed = None, 0, 0
    for connection in connections:
        first = _first_due(due, connection, places)
        if next_place is not None and first > next_place:
            missed += first - next_place
            if not _explained(record, left_ns, connection.listening_ns):
                violations += [
                    _row(expected[place], "was missed without a fault") for place in range(next_place, first)
                ]
        next_place = first
        for told in connection.told:
            violations += _problems(expected, places, told, next_place)
            next_place = max(next_place, places.get(told, next_place - 1) + 1)
        left_ns = connection.last_ns
    never_came = [] if next_place is None else expected[next_place:]
    lost_ns = connections[-1].lost_ns
    if lost_ns is not None and _explained(record, left_ns, lost_ns):
        missed += len(never_came)
    else:
        violations += [_row(told, "never came") for told in never_came]
    received = sum(len(connection.told) for connection in connections)
    return Findings(
        f"{received:,} updates in {len(connections)} connections against {len(expected):,} steps of the account's "
        f"orders: {len(violations):,} differ, {missed:,} missed while disconnected by a fault",
        violations,
        {"order_updates": received},
    )


def _history(record: Record) -> list[Step]:
    """Every step of the orders of the account that listened: the first of the load's, which the subscriber is."""
    history = list(steps(present(record.journal, "journal record")))
    accounts = record.run.get("topology", {}).get("accounts") or []
    if not accounts:
        raise CannotTellError("the record holds no account whose order updates were listened to")
    account_id = accounts[0]["account_id"]
    return list(present([step for step in history if step.account_id == account_id], "order of the account"))


def _connections(record: Record) -> list[_Connection]:
    found: list[_Connection] = []
    for message in record.feed:
        if message.kind == _GREETING:
            found.append(_Connection(message.received_ns, [], message.received_ns, lost_ns=None))
        elif message.kind == UPDATE and found:
            found[-1].told.append(_told(message.message))
            found[-1] = found[-1]._replace(last_ns=message.received_ns, lost_ns=None)
        elif found and found[-1].lost_ns is None and _breaks(message):
            found[-1] = found[-1]._replace(lost_ns=message.received_ns)
    return found


def _breaks(message: FeedMessage) -> bool:
    """Whether it says that the connection was lost. Old records do not tell of which stream: then it may be this."""
    if message.kind != DISCONNECT:
        return False
    try:
        stream = msgspec.json.decode(message.message).get("stream")
    except (msgspec.DecodeError, AttributeError) as error:
        raise MissingPartError(f"feed holds a disconnection that cannot be read: {error!r}") from error
    return stream in (None, FeedStream.ORDER_UPDATES)


def _first_due(due: Sequence[Step], connection: _Connection, places: dict[Told, int]) -> int:
    """The first step it must tell of: at the latest the first that happened after it listened."""
    after = next((place for place, step in enumerate(due) if step.at_ns > connection.listening_ns), len(due))
    return min([after, *(places[told] for told in connection.told[:1] if told in places)])


def _explained(record: Record, left_ns: int, back_ns: int) -> bool:
    return any(start <= back_ns and left_ns <= end for start, end in windows(record))


def _problems(expected: list[Told], places: dict[Told, int], told: Told, next_place: int) -> list[Evidence]:
    place = places.get(told)
    if place is None:
        due = next((other for other in expected if other[:3] == told[:3]), None)
        return [_row(told, "is of nothing that happened" if due is None else f"where {due[3:]} was due")]
    if place < next_place:
        return [_row(told, "came late or again")]
    return [_row(missing, "was left out") for missing in expected[next_place:place]]


def _due(step: Step) -> Told:
    shown = (step.sequence, step.name, order_uuid(step.order_id), step.status.value, shares_text(step.filled))  # type: ignore[arg-type]
    if step.fill is None:
        return (*shown, None, None)
    return (*shown, decimal_text(step.fill.price_micros), shares_text(step.fill.quantity))


def _told(message: str) -> Told:
    try:
        data = msgspec.json.decode(message)["data"]
        order = data["order"]
        shown = (data["sequence"], data["event"], order["id"], order["status"], order["filled_qty"])
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise MissingPartError(f"feed holds an order update that cannot be read: {error!r}") from error
    return (*shown, data.get("price"), data.get("qty"))


def _row(told: Told, problem: str) -> Evidence:
    names = ("sequence", "event", "order", "status", "filled", "price", "shares")
    return {**dict(zip(names, told, strict=True)), "problem": problem}


CHECK = Check("order_updates", "The feed's order updates are the orders' history", examine)
