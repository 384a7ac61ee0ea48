"""Makes the golden journal once: ``python -m tests.core.golden.make SEED`` from ``platform/``, for a new version only.

A journal of a version that was ever in use is never made anew: it shows that today's exchange still tells it the same.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random

from trading.core.commands import Command
from trading.core.events import Event
from trading.core.exchange import Exchange
from trading.core.state import state_of
from trading.wire.journal import JOURNAL_VERSION, encode_command, encode_events

from ..flow import LIVELY, Flow

HERE = Path(__file__).parent
JOURNAL, HASH = HERE / f"journal-v{JOURNAL_VERSION}.jsonl", HERE / f"journal-v{JOURNAL_VERSION}.hash"
RECORDS = 360


def records_of(seed: int) -> tuple[list[tuple[Command, Sequence[Event]]], str]:
    """The accepted commands of a lively flow with their events, and the hash of the state they lead to."""
    exchange, flow = Exchange(), Flow(Random(seed), LIVELY)
    records: list[tuple[Command, Sequence[Event]]] = []
    opening = iter(flow.opening())
    while len(records) < RECORDS:
        command = next(opening, None) or flow.next()
        outcome = exchange.apply(command)
        flow.saw(outcome)
        if isinstance(outcome, list):
            records.append((command, list(outcome)))
    return records, state_of(exchange).hash()


def main(seed: int) -> None:
    records, state_hash = records_of(seed)
    lines = [b"[%s,%s]\n" % (encode_command(command), encode_events(events)) for command, events in records]
    JOURNAL.write_bytes(b"".join(lines))
    HASH.write_text(state_hash + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
