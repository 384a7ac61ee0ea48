"""From the journal back to the exchange, checking on the way that history repeats itself exactly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trading.core.commands import Command
from trading.core.errors import ReplayError
from trading.core.events import Event, Outcome
from trading.core.exchange import Exchange


def replay(records: Iterable[tuple[Command, Sequence[Event]]]) -> Exchange:
    """The exchange after these accepted commands. Raises ReplayError when one does not repeat its events."""
    exchange = Exchange()
    for command, events in records:
        follow(exchange, command, events)
    return exchange


def follow(exchange: Exchange, command: Command, events: Sequence[Event]) -> None:
    """Applies the next journaled command to ``exchange``; what a standby does with every record.

    Raises ReplayError, naming the record's sequence number, when the outcome differs from the journal.
    """
    sequence = exchange.sequence + 1
    check_repeated(sequence, command, events, exchange.apply(command))


def check_repeated(sequence: int, command: Command, events: Sequence[Event], outcome: Outcome) -> None:
    """Raises ReplayError, naming the record, when ``outcome`` is not what was journaled."""
    if not isinstance(outcome, list):
        raise ReplayError(f"record {sequence}: journaled as accepted, now {outcome!r}: {command!r}")
    if outcome != list(events):
        raise ReplayError(f"record {sequence}: {_difference(events, outcome)}: {command!r}")


def _difference(journaled: Sequence[Event], produced: Sequence[Event]) -> str:
    for number, (before, now) in enumerate(zip(journaled, produced, strict=False), start=1):
        if before != now:
            return f"event {number} journaled as {before!r}, now {now!r}"
    return f"journaled {len(journaled)} events, now {len(produced)}"
