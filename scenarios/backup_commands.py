"""``elson backup``: of a running platform, or of an archive alone, whose cluster may be gone for good."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg

from reports.results import CheckResult, CheckVerdict
from scenarios.commands import WRONG_USAGE, complain, print_json, told
from stack.backup.archive import Archive
from stack.backup.backups import list_all, restore, verify
from stack.backup.host import LONGEST_S
from stack.backup.key import Key
from stack.backup.side_server import Programs
from stack.control import call
from stack.registry import find_stack

_ADOPT_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Where:
    """A running platform, or with ``archive`` one that need not run. ``received``: the receiver's folders, if left."""

    stack_id: str | None = None
    archive: Path | None = None
    key_file: Path | None = None
    received: tuple[Path, ...] = ()

    def ask(self, operation: str, **fields: Any) -> dict[str, Any]:
        """The platform's backup process. Raises ControlError."""
        return call(find_stack(self.stack_id), f"backup_{operation}", within_s=LONGEST_S, **fields)

    def open(self) -> Archive:
        """Raises BackupError."""
        assert self.archive
        return Archive.open(self.archive, Key.find(self.key_file, os.environ))


@dataclass(frozen=True, slots=True)
class Target:
    """As of ``stack.backup.plan.parse_target``."""

    to: str
    exclusive: bool = False
    timeline: int | None = None


@told
def take_backup(where: Where, *, json: bool) -> int:
    backup = where.ask("now")["backup"]
    if json:
        print_json(backup)
    else:
        sys.stdout.write(_backup_line(backup))
    return 0


@told
def list_backups(where: Where, *, json: bool) -> int:
    listed = list_all(where.open(), where.received) if where.archive else where.ask("list")
    if json:
        print_json(listed)
        return 0
    sys.stdout.write(f"archive {listed['archive']}\n")
    sys.stdout.write("".join(map(_backup_line, listed["backups"])) or "no backup\n")
    for point in listed["points"]:
        sys.stdout.write(f"point {point['name']}: {point['at']}, {point['lsn']}\n")
    before = None
    for span in listed["log"]:
        if before == span["timeline"]:
            sys.stdout.write("    GAP: no restore leads across it\n")
        sys.stdout.write(f"log of timeline {span['timeline']}: {span['first']} to {span['last']}\n")
        before = span["timeline"]
    return 0


@told
def verify_backups(where: Where, backup_id: str | None, *, json: bool) -> int:
    """Exit code 1 when anything is damaged or missing."""
    if where.archive:
        problems = verify(where.open(), where.received, backup_id)
    else:
        problems = where.ask("verify", backup_id=backup_id)["problems"]
    if json:
        print_json({"problems": problems})
    for problem in problems:
        complain(problem, 1)
    if not problems and not json:
        sys.stdout.write("every backup was decrypted and is what its manifest says; the log leads on from each\n")
    return 1 if problems else 0


@told
def make_point(where: Where, name: str) -> int:
    point = where.ask("point", name=name)["point"]
    sys.stdout.write(f"point {point['name']}: {point['at']}, {point['lsn']}\n")
    return 0


@told
def restore_backup(where: Where, target: Target, *, into: Path | None, take_over: bool, json: bool) -> int:
    """Exit code 1 when a check of the restored data does not hold: then they stay beside, and nothing takes over."""
    if where.archive and (take_over or into is None):
        return complain("--archive: name a folder with --into; only a running platform can be taken over", WRONG_USAGE)
    restored = _restore(where, target, into.absolute() if into else None)
    results, sound = _examine(Path(restored["folder"]))
    if json:
        print_json({**restored, "checks": results, "sound": sound})
    else:
        _tell(restored, results)
    if not sound:
        return complain(f"{restored['folder']} is not what its journal says: it takes nobody's place", 1)
    if take_over:
        call(find_stack(where.stack_id), "db", within_s=_ADOPT_S, operation="adopt", folder=restored["folder"])
        sys.stderr.write("elson: the restored data are the primary's now; the others are copied from it\n")
    return 0


def _restore(where: Where, target: Target, into: Path | None) -> dict[str, Any]:
    if where.archive is None or into is None:
        return dict(where.ask("restore", into=str(into) if into else None, **asdict(target))["restored"])
    work = restore(
        where.open(),
        where.received,
        Programs.find(),
        to=target.to,
        into=into,
        exclusive=target.exclusive,
        timeline=target.timeline,
    )
    return asyncio.run(work).to_json()


def _examine(folder: Path) -> tuple[list[dict[str, Any]], bool]:
    from scenarios.restored import examine_restored  # it brings the whole exchange with it

    try:
        results = asyncio.run(examine_restored(folder))
    except asyncpg.PostgresError as error:
        return [{"name": "tables", "verdict": CheckVerdict.CANNOT_TELL.value, "summary": str(error)}], False
    return [_result(result) for result in results], all(result.verdict is CheckVerdict.HOLDS for result in results)


def _result(result: CheckResult) -> dict[str, Any]:
    return {"name": result.name, "verdict": result.verdict.value, "summary": result.summary}


def _tell(restored: dict[str, Any], results: list[dict[str, Any]]) -> None:
    until = f"last transaction {restored['committed_at']}" if restored["committed_at"] else "no transaction"
    sys.stdout.write(f"restored to {restored['target']} ({restored['lsn']}, {until}): {restored['folder']}\n")
    for result in results:
        sys.stdout.write(f"{result['verdict']:<12} {result['name']}: {result['summary']}\n")


def _backup_line(backup: dict[str, Any]) -> str:
    verified = backup["verified"]
    state = f"verified {verified['at'][:19]}Z" if verified else f"NOT VERIFIED {backup['damage'] or ''}".rstrip()
    size = f"{backup['plain_bytes'] / 1e6:.1f} MB as {backup['stored_bytes'] / 1e6:.1f} MB"
    reaches = f", leads to {backup['reaches']}" if backup.get("reaches") else ""
    span = f"{backup['start']} to {backup['stop']} on timeline {backup['timeline']}"
    return f"{backup['backup_id']}: {backup['finished'][:19]}Z, {span}, {size}, {state}{reaches}\n"
