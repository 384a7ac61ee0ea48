"""Whether a restored folder may take the primary's place: its own journal must explain all of its tables."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

import asyncpg

from reports.record import Record
from reports.results import CheckResult
from scenarios.checks import conservation, replay
from scenarios.checks.check import Check, Evidence, Findings, present
from scenarios.checks.state import compare_rows
from scenarios.dump import dump_database
from stack.backup.side_server import Programs, SideServer
from trading.core.errors import InvariantError, ReplayError
from trading.core.exchange import Exchange
from trading.core.replay import follow
from trading.core.state import state_of

_HASHES: Final = "SELECT sequence, hash FROM state_hashes ORDER BY sequence DESC LIMIT 3"


async def examine_restored(folder: Path) -> list[CheckResult]:
    """Starts a side server on it, reads its tables, ends it in order, and asks every check that needs no live engine.

    Raises BackupError when the server does not start, asyncpg.PostgresError when it holds no platform's tables.
    """
    with tempfile.TemporaryDirectory(prefix="elson-restored-") as scratch:
        record = Record(Path(scratch))
        async with SideServer(Programs.find(), folder, Path(scratch, "server.log")) as side:
            await side.leads()
            await dump_database(side.dsn, record.folder)
            hashes = await _hashes(side.dsn)
        return [check(record) for check in checks(hashes)]


def checks(hashes: Mapping[int, str]) -> tuple[Check, ...]:
    """``hashes``: what the engine's state hashed to as of some records, by their sequence number."""
    state = Check(
        "stored_state", "Journal replay and database are one state", partial(examine_stored_state, hashes=hashes)
    )
    return (
        replay.SEQUENCE_CHECK,
        replay.TABLES_CHECK,
        state,
        conservation.LEDGER_CHECK,
        conservation.CONSERVATION_CHECK,
    )


def examine_stored_state(record: Record, hashes: Mapping[int, str]) -> Findings:
    """The replay comes to the hashes the engine wrote down, and ends in the state that the tables hold."""
    journal = present(record.journal, "journal record")
    exchange, violations = Exchange(), list[Evidence]()
    met = 0
    for entry in journal:
        try:
            follow(exchange, entry.command, entry.events)
        except (ReplayError, InvariantError) as error:
            return Findings("the journal does not repeat itself", [{"what": "replay", "problem": str(error)}])
        if told := hashes.get(entry.sequence):
            met += 1
            if (found := state_of(exchange).hash()) != told:
                problem = f"hash {found} at sequence {entry.sequence}, where the engine had {told}"
                violations.append({"what": "state hash", "problem": problem})
    state = state_of(exchange)
    violations += compare_rows(state, record)
    if unmet := len(hashes) - met:
        violations.append({"what": "state hash", "problem": f"{unmet} of a sequence that the journal does not have"})
    summary = f"replay of {len(journal):,} records: hash {state.hash()}, {met} hashes of the engine's met"
    return Findings(f"{summary}, {len(violations):,} differences", violations)


async def _hashes(dsn: str) -> dict[int, str]:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        return {row["sequence"]: row["hash"] for row in await connection.fetch(_HASHES)}
    finally:
        await connection.close(timeout=5)
