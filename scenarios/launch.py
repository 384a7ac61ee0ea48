"""The edge of a run: signals and errors become an INVALID record, one clear line and an exit code."""

from __future__ import annotations

import asyncio
import errno
import shutil
import signal
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from chaos.fault import FaultError
from reports.render import JUDGEMENT, rebuild
from reports.results import EXIT_CODES, Verdict, VerdictKind
from reports.run_folder import merge_operations, write_text
from scenarios.loader import LoadedScenario
from scenarios.programs import NotRecoveredError, RunError
from scenarios.progress import Progress
from scenarios.record import RunRecord
from scenarios.run import Run, RunOptions
from stack.errors import StackError

INTERRUPTED: Final = "interrupted"
INVALID: Final = EXIT_CODES[VerdictKind.INVALID]
_NO_ROOM_BYTES: Final = 256 * 1024  # a table's next batch would not fit
# Errors whose text is complete; of any other the traceback is kept beside the record.
_TOLD: Final = (RunError, StackError, FaultError, OSError)


@dataclass(frozen=True, slots=True)
class Outcome:
    """``trouble`` is what ended the run early, in one line; then there is no verdict but INVALID."""

    exit_code: int
    folder: Path | None = None
    verdict: Verdict | None = None
    trouble: str | None = None

    def document(self) -> dict[str, Any]:
        """The verdict for machines, with where the record is."""
        bare = {"verdict": VerdictKind.INVALID.value, "exit_code": self.exit_code, "reasons": [self.trouble]}
        verdict = bare if self.verdict is None else msgspec.to_builtins(self.verdict)
        return {**verdict, "trouble": self.trouble, "record": str(self.folder) if self.folder else None}


def run_scenario(
    loaded: LoadedScenario, options: RunOptions, progress: Progress, within: Path | None = None
) -> Outcome:
    """Runs it to its end, on the main thread. Never raises for what happens to a run: the outcome tells.

    ``within``: the folder of the several runs that it is one of.
    """
    try:
        record = RunRecord.create(loaded.label, within)
    except OSError as error:
        return Outcome(INVALID, trouble=f"no record can be written: {error}")
    try:
        return carry_out(Run(loaded, options, record, progress))
    finally:
        record.close()


def carry_out(run: Run) -> Outcome:
    folder = run.record.folder
    try:
        verdict = asyncio.run(_interruptible(run))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return _ended_early(run, INTERRUPTED)
    except Exception as error:  # noqa: BLE001 (the process's edge: the run is INVALID, and the user is told why)
        if not isinstance(error, _TOLD):
            with suppress(OSError):
                write_text(folder / "traceback.txt", traceback.format_exc())
        if _disk_is_full(error, folder):
            return _ended_early(run, f"the disk is full, {folder} is incomplete ({error})")
        if isinstance(error, NotRecoveredError):
            with suppress(OSError):
                run.record.event("not_recovered", why=str(error))
        return _ended_early(run, str(error) or type(error).__name__)
    return Outcome(verdict.exit_code, folder, verdict)


def _disk_is_full(error: Exception, folder: Path) -> bool:
    """A program of the run that could not write could not write down why either: then the disk itself tells."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return isinstance(error, RunError) and shutil.disk_usage(folder).free < _NO_ROOM_BYTES


async def _interruptible(run: Run) -> Verdict:
    """SIGINT and SIGTERM cancel the run, which takes everything down; a second one makes that hasty."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await run.execute()


def _ended_early(run: Run, trouble: str) -> Outcome:
    """Closes the record as far as it can be written: INVALID, but FAIL when it ended because the platform did."""
    folder = run.record.folder
    verdict = None
    run.record.make_room()
    try:
        for name in JUDGEMENT:  # from before the trouble; should no new one be written, none must be left
            (folder / name).unlink(missing_ok=True)
        run.record.event("ended_early", why=trouble)
        run.record.describe({"ended_early": trouble})
        with suppress(OSError):  # the raw tables stay, and are merged once there is room
            merge_operations(folder)
        verdict = rebuild(folder)
    except Exception as error:  # noqa: BLE001 (the same edge: a full disk must not hide what happened first)
        sys.stderr.write(f"elson: the record in {folder} could not be finished: {error}\n")
    return Outcome(verdict.exit_code if verdict else INVALID, folder, verdict, trouble)
