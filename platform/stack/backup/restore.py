"""A restore: everything needed is read and checked first, recovered beside the cluster, and compared with the log."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from stack.backup import stored
from stack.backup.archive import Archive
from stack.backup.errors import BackupError, DamagedError, MissingError, TargetError
from stack.backup.log_source import LogSource
from stack.backup.plan import Latest, Plan, ToPoint, ToPosition, ToTime
from stack.backup.side_server import Programs, SideServer
from stack.backup.wal_names import PARTIAL, SegmentName, lsn_text, parse_lsn
from stack.backup.wal_records import Log
from stack.postgres.control_data import SHUT_DOWN, ControlData
from stack.postgres.settings import IDENTITY_FILE, quoted
from stack.process import log_tail

_REACHED: Final = """
SELECT pg_last_wal_replay_lsn()::text AS replayed, pg_last_xact_replay_timestamp() AS committed_at,
       (SELECT system_identifier FROM pg_control_system()) AS system_identifier
"""
# A file that is there and cannot be copied ends the server, instead of looking to it like the log's end.
_COPY: Final = "test -e {log}/%f || exit 1; cp {log}/%f %p || exit 200"
_LEFT_OVER: Final = ("standby.signal", "postmaster.pid", "postmaster.opts")
_NOT_REACHED: Final = "recovery ended before configured recovery target was reached"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """``folder`` holds a server's data, from a clean shutdown. ``lsn``: the end of the log that was replayed."""

    folder: Path
    backup_id: str
    target: str
    lsn: int
    committed_at: datetime | None
    timeline: int

    def to_json(self) -> dict[str, Any]:
        return {
            "folder": str(self.folder),
            "backup_id": self.backup_id,
            "target": self.target,
            "lsn": lsn_text(self.lsn),
            "committed_at": self.committed_at and self.committed_at.isoformat(),
            "timeline": self.timeline,
        }


class Restore:
    """Of one archive and, where the receiver's folders are at hand, of what it has not handed over yet."""

    def __init__(self, archive: Archive, source: LogSource, programs: Programs) -> None:
        self._archive = archive
        self._source = source
        self._programs = programs

    async def run(self, plan: Plan, into: Path) -> Restored:
        """Makes the folder ``into``. Whatever goes wrong, there is no such folder afterwards, and nothing else either.

        Raises BackupError naming the file that is damaged or missing, or what was not reached.
        """
        check_free(into, self._programs)
        try:
            with self._scratch(into) as scratch:
                log = await asyncio.to_thread(self._collect, plan, scratch / "wal")
                end = _end(log, plan, self._source)
                to_the_end = _to_the_end(plan, log, end)
                data = scratch / "data"
                await asyncio.to_thread(self._unpack, plan, data)
                self._configure(plan, data, scratch / "wal", to_the_end=to_the_end)
                restored = await self._recover(plan, data, scratch / "server.log")
                if to_the_end and not log.same_place(restored["lsn"], end):
                    raise DamagedError(_ended_early(plan, restored["lsn"], end))
                self._move(data, into)
        except OSError as error:
            raise BackupError(
                f"{error.filename or into.parent}: {error.strerror or error}; nothing restored"
            ) from error
        return Restored(folder=into, **restored)

    @contextmanager
    def _scratch(self, into: Path) -> Iterator[Path]:
        """Beside the folder that is to be, on the same disk."""
        scratch = into.parent / f".restoring-{secrets.token_hex(4)}"
        scratch.mkdir(mode=0o700)
        try:
            for folder in (scratch, scratch / "wal", scratch / "data"):
                folder.mkdir(mode=0o700, exist_ok=True)
                self._programs.give_away(folder)
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _collect(self, plan: Plan, folder: Path) -> Log:
        """Puts the log, decrypted, where the side server's user finds it; returns its last two segments."""
        # Every history there is: the side server takes a number that no timeline ever had.
        for name in self._source.histories():
            self._give(folder / name, self._source.read(name))
        last: deque[bytes] = deque(maxlen=2)
        for name in plan.log:
            content = self._source.read(name)
            self._give(folder / name.removesuffix(PARTIAL), content)
            last.append(content)
        first = SegmentName.parse(plan.log[-len(last)].removesuffix(PARTIAL))
        assert first
        return Log(first.number, tuple(last))

    def _give(self, path: Path, content: bytes) -> None:
        path.write_bytes(content)
        path.chmod(0o600)
        self._programs.give_away(path)

    def _unpack(self, plan: Plan, data: Path) -> None:
        stored.read_files(self._archive, plan.backup.backup_id, stored.unpack_into(data))
        found = ControlData.read(data).system_identifier
        if found != self._archive.system_identifier:
            path = self._archive.base_path(plan.backup.backup_id)
            raise BackupError(f"{path} holds cluster {found}'s data, not {self._archive.system_identifier}'s")
        for name in _LEFT_OVER:
            (data / name).unlink(missing_ok=True)
        for parent, _, names in os.walk(data):
            for path in (Path(parent), *(Path(parent, name) for name in names)):
                self._programs.give_away(path)

    def _configure(self, plan: Plan, data: Path, log: Path, *, to_the_end: bool) -> None:
        settings = {
            "restore_command": _COPY.format(log=log),
            "recovery_target_timeline": str(plan.timeline.number),
            "recovery_target_action": "promote",
            **({} if to_the_end else _recovery_target(plan)),
        }
        lines = "".join(f"{name} = {quoted(value)}\n" for name, value in settings.items())
        self._give(data / "postgresql.auto.conf", lines.encode())
        self._give(data / IDENTITY_FILE, b"cluster_name = 'restored'\n")
        self._give(data / "recovery.signal", b"")

    async def _recover(self, plan: Plan, data: Path, log: Path) -> dict[str, Any]:
        async with SideServer(self._programs, data, log) as side:
            try:
                await side.leads()
            except BackupError:
                if said := _not_reached(plan, log):
                    raise TargetError(said) from None
                raise
            found = await side.row(_REACHED)
        control = ControlData.read(data)
        if control.state != SHUT_DOWN:
            raise BackupError(f"the side server did not end in order; its log ends:\n{log_tail(log)}")
        lsn = parse_lsn(found["replayed"])
        assert lsn is not None
        told = {"backup_id": plan.backup.backup_id, "target": str(plan.target), "timeline": control.timeline}
        return {**told, "lsn": lsn, "committed_at": found["committed_at"]}

    def _move(self, data: Path, into: Path) -> None:
        self._give(data / "postgresql.auto.conf", b"")  # it would only mislead whoever starts the server next
        check_free(into, self._programs)
        if into.exists():
            into.rmdir()  # an empty one
        data.rename(into)


def check_free(into: Path, programs: Programs) -> None:
    """Raises BackupError unless ``into`` can become a restored folder: absent or empty, and its user gets there."""
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        first = next(iter(sorted(into.iterdir()))) if into.is_dir() else into
        raise BackupError(f"{into} is not empty ({first} is there): nothing is overwritten, name another folder")
    if not into.parent.is_dir():
        raise BackupError(f"{into.parent} is no folder")
    if programs.user:
        for parent in into.absolute().parents:
            if not parent.stat().st_mode & 0o001 and parent.owner() != programs.user:
                raise BackupError(f"{parent} is closed to {programs.user}, who runs the restored server")


def _recovery_target(plan: Plan) -> dict[str, str]:
    match plan.target:
        case Latest():
            return {}
        case ToTime(at, exclusive):
            inclusive = {"recovery_target_inclusive": "off" if exclusive else "on"}
            return {"recovery_target_time": at.isoformat(sep=" "), **inclusive}
        case ToPosition(lsn):
            return {"recovery_target_lsn": lsn_text(lsn), "recovery_target_inclusive": "off"}
        case ToPoint(point):
            return {"recovery_target_name": point.name}


def _end(log: Log, plan: Plan, source: LogSource) -> int:
    try:
        return log.end()
    except ValueError as error:
        raise DamagedError(f"{source.where(plan.log[-1])} is damaged: {error}") from error


def _to_the_end(plan: Plan, log: Log, end: int) -> bool:
    """Whether the target is the end of the log, where PostgreSQL would wait for a record behind it in vain.

    Raises TargetError when it lies behind, MissingError when it may lie in a gap.
    """
    match plan.target:
        case Latest():
            return True
        case ToPoint():
            return False
        case ToPosition(lsn):
            if log.reaches(lsn) < 0:
                raise TargetError(f"{plan.target} lies outside the archive, which ends at {lsn_text(end)}")
            return log.same_place(lsn, end)
        case ToTime(at, exclusive):
            if not (commits := log.commits()) or any(commit.at > at for commit in commits):
                return False
            if commits[-1].at == at:
                return not exclusive
            if plan.missing:
                raise MissingError(f"{plan.missing} is missing, and {plan.target} lies behind what precedes it")
            ends = f"its last transaction is of {commits[-1].at.isoformat()}"
            raise TargetError(f"{plan.target} lies outside the archive: {ends}; `latest` restores that")


def _not_reached(plan: Plan, log: Path) -> str | None:
    said = log.read_text(errors="replace")
    if _NOT_REACHED not in said:
        return None
    last = re.findall(r"last completed transaction was at log time (.*)", said)
    ends = f"whose last transaction is of {last[-1]}" if last else "without a transaction"
    return f"{plan.target} was not reached: the log goes to {plan.log[-1]}, {ends}; `latest` restores that"


def _ended_early(plan: Plan, replayed: int, end: int) -> str:
    """Recovery takes a damaged record for the end of the log, and promotes: only a comparison tells."""
    segment = plan.timeline.segment(SegmentName.at(1, replayed).number)
    return f"recovery ended at {lsn_text(replayed)}, the log at {lsn_text(end)}: {segment} is damaged"
