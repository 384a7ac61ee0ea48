"""An engine that remembers every deposit it follows as one unit more than it was. Run as a program, by tests only."""

from __future__ import annotations

from trading.core.commands import Deposit
from trading.engine import __main__ as program
from trading.engine import snapshots, standby
from trading.engine.replica import Replica
from trading.wire.journal import decode_command


class CorruptedReplica(Replica):
    def replay(self, command_text: str, events_text: str) -> None:
        super().replay(command_text, events_text)
        command = decode_command(command_text)
        if isinstance(command, Deposit):
            self.exchange.venue.accounts[command.account_id].holding(command.asset).available += 1


if __name__ == "__main__":
    standby.Replica = snapshots.Replica = CorruptedReplica  # type: ignore[misc]
    program.main()
