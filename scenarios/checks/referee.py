"""An external referee: could each account's history, as its clients saw it, have happened one operation at a time?

Nothing is taken from the order of the journal, only what its records did to the account, each of them at once: they
and the clients' answers are put in an order that explains every answer, or there is none (``linearizability``).

Of a long history only the beginning is refereed. Where it could be taken up again is not known: what has no known end,
as an unknown outcome or what nobody asked for, may have happened on either side of any later moment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from time import thread_time
from typing import Final

from reports.record import Record
from reports.records import OutcomeKind
from reports.rows import Operation
from scenarios.checks.account import ABSENT, CLOSED, TOO_LATE, Action, Change, apply, code_of, said
from scenarios.checks.acknowledged import ORDERING, Key
from scenarios.checks.answers import Sighting, body_of, sightings
from scenarios.checks.check import CannotTellError, Check, Evidence, Findings, present
from scenarios.checks.histories import Step, steps
from scenarios.checks.linearizability import Answer, Call, find_order
from scenarios.checks.realtime import NEVER, Span, spans_of
from trading.core.commands import CancelOrder, PlaceOrder, ReplaceOrder
from trading.core.events import CASH
from trading.core.orders import MICROS_PER_DOLLAR

LIMIT_S: Final = 4.0  # of processor time, which a machine at work on something else does not use up; for all accounts
MAX_CALLS: Final = 1_000  # of one account: the first ones


@dataclass(slots=True)
class _History:
    """One account's calls, and the places of its orders in the state."""

    places: dict[int, int] = field(default_factory=dict)
    calls: list[Call[Action]] = field(default_factory=list)

    def place(self, order_id: int) -> int:
        return self.places.setdefault(order_id, len(self.places) + 1)


def examine(record: Record, *, limit_s: float = LIMIT_S, max_calls: int = MAX_CALLS) -> Findings:
    """Of each account the first calls, ``max_calls`` at most; says how many of how many were refereed."""
    present(record.operations, "operation")
    histories = _histories(record)
    present([call for history in histories.values() for call in history.calls if call.reads], "answer to a question")
    deadline_s = thread_time() + limit_s
    violations: list[Evidence] = []
    undecided = refereed = 0
    for account_id, history in sorted(histories.items(), key=lambda item: len(item[1].calls)):
        kept = _first_calls(history.calls, max_calls)
        initial = (0,) * (len(history.places) + 1)
        finding = find_order(kept, initial, apply, limit_s=max(0.0, deadline_s - thread_time()))
        if finding.answer is Answer.CANNOT_TELL:
            undecided += 1
        else:
            refereed += len(kept)
        if finding.answer is Answer.NOT_LINEARIZABLE and finding.stuck is not None:
            violations.append(_row(account_id, finding.stuck, len(kept)))
    if undecided and not violations:
        raise CannotTellError(
            f"{undecided} of {len(histories)} accounts were not decided within {limit_s:g} s of processor time"
        )
    calls = sum(len(history.calls) for history in histories.values())
    left_out = f" (of each the first {max_calls:,} at most)" if refereed < calls else ""
    return Findings(
        f"{refereed:,} of {calls:,} calls of {len(histories)} accounts{left_out}: "
        f"{len(violations):,} have no order that explains every answer",
        violations,
        {"refereed_accounts": len(histories), "refereed_calls": refereed, "calls": calls},
    )


def _histories(record: Record) -> dict[int, _History]:
    """Of every account that a client worked with."""
    histories: dict[int, _History] = defaultdict(_History)
    spans, answers, cash = _spans_by_record(record), _first_answers(record), _cash_moved(record)
    happened = _by_record(record)
    at_ns = {entry.sequence: entry.at_ns for entry in record.journal}
    for account_id, sequence in sorted(happened.keys() | cash.keys()):
        history = histories[account_id]
        touched = happened.get((account_id, sequence), [])
        action = Action(
            f"journal record {sequence}",
            _changes(history, touched),
            cash.get((account_id, sequence), 0),
            tuple(
                (history.place(step.order_id), answers[step.order_id]) for step in touched if _is_told(step, answers)
            ),
        )
        # What no client is known to have asked for happened at some time after the engine had stamped it.
        span = spans.get(sequence) or Span(at_ns.get(sequence, 0), NEVER)
        history.calls.append(Call(action, span.sent_ns, span.done_ns, turn=sequence))
    for operation, action in _questions(record, histories):
        if operation.sent_ns is not None and operation.done_ns is not None:
            call = Call(action, operation.sent_ns, operation.done_ns, turn=-1, reads=True)
            histories[operation.account_id].calls.append(call)
    asked = {operation.account_id for operation in record.operations}
    return {account_id: history for account_id, history in histories.items() if account_id in asked}


def _by_record(record: Record) -> dict[tuple[int, int], list[Step]]:
    happened: dict[tuple[int, int], list[Step]] = defaultdict(list)
    for step in steps(record.journal):
        if step.name:
            happened[step.account_id, step.sequence].append(step)
    return happened


def _is_told(step: Step, answers: Mapping[int, int]) -> bool:
    return step.is_first and step.order_id in answers


def _changes(history: _History, touched: list[Step]) -> tuple[Change, ...]:
    """One per order, of all that the record did to it."""
    found: dict[int, Change] = {}
    for step in touched:
        known = found.get(step.order_id, Change(history.place(step.order_id), created=False, filled=0, closed=0))
        found[step.order_id] = known._replace(
            created=known.created or step.is_first,
            filled=known.filled + (step.fill.quantity if step.fill else 0),
            closed=CLOSED.get(step.status, 0),
        )
    return tuple(found.values())


def _cash_moved(record: Record) -> dict[tuple[int, int], int]:
    moved: dict[tuple[int, int], int] = defaultdict(int)
    for line in record.ledger:
        if line.asset == CASH and line.debit_account_id != line.credit_account_id:
            moved[line.debit_account_id, line.sequence] -= line.amount
            moved[line.credit_account_id, line.sequence] += line.amount
    return moved


def _first_answers(record: Record) -> dict[int, int]:
    """What the acknowledgement of each order showed of it: the state in which its own record left it."""
    return {seen.order_id: _code(seen) for seen in sightings(record) if seen.is_own_write}


def _code(seen: Sighting) -> int:
    return code_of(seen.status, seen.filled)


def _spans_by_record(record: Record) -> dict[int, Span]:
    """When the operation behind a journal record was sent and acknowledged, whoever's account it is of."""
    orders = spans_of(record)
    cancels = _cancel_spans(record)
    spans = {}
    for entry in record.journal:
        match entry.command:
            case (
                PlaceOrder(account_id=account_id, client_order_id=name)
                | ReplaceOrder(account_id=account_id, client_order_id=name)
            ):
                span = orders.get((account_id, name))
            case CancelOrder(order_id=order_id):
                span = cancels.get(order_id)
            case _:
                span = None
        if span is not None:
            spans[entry.sequence] = span
    return spans


def _cancel_spans(record: Record) -> dict[int, Span]:
    ids = _order_ids(record)
    spans: dict[int, Span] = {}
    for operation in record.operations:
        if operation.kind != "cancel" or operation.outcome is OutcomeKind.FAIL or operation.sent_ns is None:
            continue
        order_id = ids.get((operation.account_id, operation.client_order_id))
        if order_id is not None:
            done_ns = operation.done_ns if operation.outcome is OutcomeKind.OK and operation.done_ns else NEVER
            known = spans.get(order_id, Span(operation.sent_ns, done_ns))
            spans[order_id] = Span(min(known.sent_ns, operation.sent_ns), min(known.done_ns, done_ns))
    return spans


def _order_ids(record: Record) -> dict[Key, int]:
    return {(order.account_id, order.client_order_id): order.order_id for order in record.orders}


def _questions(record: Record, histories: Mapping[int, _History]) -> Iterator[tuple[Operation, Action]]:
    """Lookups, lists of orders, accounts, and refusals that tell something of an order."""
    ids = _order_ids(record)
    shown: dict[tuple[str, int], list[Sighting]] = defaultdict(list)
    for seen in sightings(record):
        if not seen.is_own_write:
            shown[seen.operation.source, seen.operation.operation_id].append(seen)
    for operation in record.operations:
        history = histories.get(operation.account_id)
        if history is None or operation.kind in ORDERING:
            continue
        what = f"{operation.kind} {operation.source}/{operation.operation_id}"
        order_id = ids.get((operation.account_id, operation.client_order_id))
        if seen_orders := shown.get((operation.source, operation.operation_id)):
            yield operation, Action(what, shows=tuple((history.place(s.order_id), _code(s)) for s in seen_orders))
        elif operation.http_status == 404 and order_id is not None:
            yield operation, Action(what, shows=((history.place(order_id), ABSENT),))
        elif operation.http_status == 422 and order_id is not None and TOO_LATE in (operation.answer or ""):
            yield operation, Action(what, refused=history.place(order_id))
        elif operation.kind == "read" and (cash := _cash_of(operation)) is not None:
            yield operation, Action(what, shows_cash=cash)


def _cash_of(operation: Operation) -> int | None:
    """Micro-dollars that an account's own answer shows."""
    try:
        return int(Decimal(body_of(operation).get("cash", "")) * MICROS_PER_DOLLAR)
    except (InvalidOperation, TypeError):
        return None


def _first_calls(calls: list[Call[Action]], max_calls: int) -> list[Call[Action]]:
    """At most ``max_calls``, the first to begin; what had not ended when the next began need not have happened."""
    ordered = sorted(calls, key=lambda call: call.began_ns)
    if len(ordered) <= max_calls:
        return ordered
    until_ns = ordered[max_calls].began_ns
    cut = [call if (call.ended_ns or 0) < until_ns else replace(call, ended_ns=None) for call in ordered[:max_calls]]
    return [call for call in cut if call.ended_ns is not None or not call.reads]


def _row(account_id: int, stuck: Call[Action], calls: int) -> Evidence:
    return {
        "account_id": account_id,
        "call": stuck.operation.what,
        "began_ns": stuck.began_ns,
        "ended_ns": stuck.ended_ns,
        "problem": f"has no place in any order of the account's first {calls:,} calls: {said(stuck.operation)}",
    }


CHECK = Check("referee", "Every account's history could have happened step by step", examine)
