"""An engine that remembers every deposit it follows as one unit more than it was. Run as a program, by tests only."""

from __future__ import annotations

import msgspec

from trading.core.commands import Deposit
from trading.core.events import LedgerPosted
from trading.engine import __main__ as program
from trading.engine import standby
from trading.engine.replica import Replica
from trading.wire.journal import JournalRecord


class CorruptedReplica(Replica):
    def replay(self, record: JournalRecord) -> None:
        if isinstance(record.command, Deposit):
            command = record.command._replace(amount=record.command.amount + 1)
            events = [
                event._replace(amount=event.amount + 1) if isinstance(event, LedgerPosted) else event
                for event in record.events
            ]
            record = msgspec.structs.replace(record, command=command, events=events)
        super().replay(record)


if __name__ == "__main__":
    standby.Replica = CorruptedReplica  # type: ignore[misc]
    program.main()
