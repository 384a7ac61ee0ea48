"""The checks: pure questions to a run's record, answered from nothing but the record."""

from __future__ import annotations

from typing import Final

import msgspec

from reports.record import Record
from reports.results import CheckResult
from reports.run_folder import write_json
from scenarios.checks import (
    acknowledged,
    audience,
    cancels,
    charges,
    conservation,
    feed,
    fills,
    intended,
    order_states,
    order_updates,
    primary,
    reads,
    realtime,
    referee,
    replay,
    state,
    unknown,
)
from scenarios.checks.check import Check

ALL_CHECKS: Final[tuple[Check, ...]] = (
    acknowledged.CHECK,
    intended.CHECK,
    unknown.CHECK,
    cancels.CHECK,
    realtime.CHECK,
    reads.CHECK,
    order_states.CHECK,
    referee.CHECK,
    conservation.CONSERVATION_CHECK,
    conservation.LEDGER_CHECK,
    charges.CHECK,
    fills.ORDERS_CHECK,
    fills.TRADES_CHECK,
    replay.SEQUENCE_CHECK,
    replay.TABLES_CHECK,
    state.STATE_CHECK,
    primary.CHECK,
    feed.GAPS_CHECK,
    feed.BOOK_CHECK,
    order_updates.CHECK,
    audience.CHECK,
)


def run_checks(record: Record) -> list[CheckResult]:
    """Asks every check and writes checks.json."""
    results = [check(record) for check in ALL_CHECKS]
    write_json(record.folder / "checks.json", msgspec.to_builtins(results))
    return results
