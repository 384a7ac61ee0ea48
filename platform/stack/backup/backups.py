"""All that is done with one cluster's backups: taken when due, listed, verified, restored, thrown away in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from stack.backup.archive import Archive
from stack.backup.archiver import Archiver
from stack.backup.base_backup import BaseBackup, read_back
from stack.backup.catalogue import POINT_NAME, Backup, Point
from stack.backup.errors import BackupError
from stack.backup.log_source import LogSource, receiver_folders
from stack.backup.plan import LATEST, make_plan, parse_target, reach
from stack.backup.restore import Restore, Restored, check_free
from stack.backup.retention import expired, unneeded
from stack.backup.settings import Settings
from stack.backup.side_server import Programs
from stack.backup.wal_names import PARTIAL, SegmentName, lsn_text, parse_lsn
from stack.errors import StackError
from stack.postgres import sessions
from stack.postgres.record import Record
from stack.postgres.report import Report
from stack.postgres.servers import Cluster
from stack.postgres.settings import SEGMENT_BYTES

_LOOK_EVERY_S: Final = 1.0
_AGAIN_S: Final = 30.0
_CLOSED_WITHIN_S: Final = 1.5
_POLL_S: Final = 0.02
_CLOSE_SEGMENT: Final = "SELECT pg_walfile_name(pg_switch_wal())"
_POINT: Final = """
SELECT pg_create_restore_point($1)::text AS lsn, clock_timestamp() AS at
"""


class Backups:
    """Of a running cluster. Base backups and restores take turns; the archiver goes on beside them."""

    def __init__(self, cluster: Cluster, settings: Settings, archive: Archive, report: Report) -> None:
        self.archiver = Archiver(cluster, archive, report, settings.kept_segments)
        self._base = BaseBackup(cluster, archive)
        self._cluster = cluster
        self._settings = settings
        self._archive = archive
        self._report = report
        self._turn = asyncio.Lock()
        self._problem = ""

    def clean(self) -> list[Path]:
        """What a killed predecessor left; call it before anything else."""
        return self._base.clean()

    async def run(self) -> None:
        """Takes a base backup whenever one is due, until cancelled."""
        while True:
            pause_s = _LOOK_EVERY_S
            try:
                if reason := await asyncio.to_thread(self._due):
                    self._report.log("backup_due", reason=reason)
                    await self.now()
                    self._problem = ""
            except (StackError, OSError) as error:
                pause_s = _AGAIN_S
                self._note(str(error))
            await asyncio.sleep(pause_s)

    async def finish(self) -> None:
        """Closes the segment that is being written and archives it: the cluster may end next, with all its folders."""
        primary = Record.load(self._cluster.record).primary
        try:
            async with sessions.session(self._cluster.dsn(self._cluster.address(primary))) as session:
                closed = self._cluster.received / await session.value(_CLOSE_SEGMENT)
            async with asyncio.timeout(_CLOSED_WITHIN_S):
                while not closed.exists():
                    await asyncio.sleep(_POLL_S)
        except sessions.NOT_ANSWERING as error:
            self._report.log("open_segment_left", error=str(error) or type(error).__name__)
        await self.archiver.turn()

    async def now(self) -> Backup:
        """Raises StackError or OSError; then there is no such backup, or one that is listed as not verified."""
        async with self._turn:
            source = self._settings.source or Record.load(self._cluster.record).primary
            self._report.tell("backup_started", source=source)
            backup = await self._base.take(source)
            size = {"plain_bytes": backup.plain_bytes, "stored_bytes": backup.stored_bytes}
            self._report.tell("backup_finished", backup=backup.backup_id, **size)
            for gone in await asyncio.to_thread(self._forget_expired):
                self._report.tell("backup_expired", backup=gone.backup_id)
        return backup

    def listing(self) -> dict[str, Any]:
        return list_all(self._archive, receiver_folders(self._cluster))

    async def verify(self, backup_id: str | None = None) -> list[str]:
        """What is wrong, a line each; reads everything that is stored."""
        problems = await asyncio.to_thread(verify, self._archive, receiver_folders(self._cluster), backup_id)
        for problem in problems:
            self._report.tell("backup_damaged", problem=problem)
        return problems

    async def restore(
        self, to: str, into: str | None = None, *, exclusive: bool = False, timeline: int | None = None
    ) -> Restored:
        """``into``: by default a folder of its own beside the servers' data. Raises BackupError."""
        folder = Path(into) if into else self._cluster.folder / f"restored-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
        programs = Programs(self._cluster.binaries, self._cluster.user)
        async with self._turn:
            self._report.tell("restore_started", to=to, into=str(folder))
            restored = await restore(
                self._archive,
                receiver_folders(self._cluster),
                programs,
                to=to,
                into=folder,
                exclusive=exclusive,
                timeline=timeline,
            )
            self._report.tell("restore_finished", **restored.to_json())
        return restored

    async def point(self, name: str) -> Point:
        """Writes a named point into the log. Raises BackupError when the name is taken, or no name for a point."""
        if not POINT_NAME.fullmatch(name) or name == LATEST:
            raise BackupError(f"{name!r} is no name for a point: a letter, then letters, digits, '.', '_' or '-'")
        if any(point.name == name for point in self._archive.catalogue.points()):
            raise BackupError(f"there is a point {name!r} already")
        record = Record.load(self._cluster.record)
        try:
            async with sessions.session(self._cluster.dsn(self._cluster.address(record.primary))) as session:
                (row,) = await session.fetch(_POINT, name)
        except sessions.NOT_ANSWERING as error:
            raise BackupError(f"{record.primary} does not answer: {error or type(error).__name__}") from error
        lsn = parse_lsn(row["lsn"])
        assert lsn is not None
        point = Point(name=name, at=row["at"], lsn=lsn, timeline=record.timeline)
        self._archive.catalogue.put(point)
        return point

    def status(self) -> dict[str, Any]:
        return {**self.archiver.status(), "problem": self._problem, "busy": self._turn.locked()}

    def _due(self) -> str | None:
        """Why a base backup is due, if one is."""
        if self._settings.interval is None:
            return None
        good = [backup for backup in self._archive.catalogue.backups() if backup.verified]
        if not good:
            return "there is none"
        newest = max(good, key=lambda backup: backup.finished)
        if datetime.now(UTC) - newest.finished > self._settings.interval:
            return "the newest is old"
        source = LogSource(self._archive, receiver_folders(self._cluster))
        leads_on = any(reach(backup, source)[1] for backup in good)
        return None if leads_on else "none leads to the present: the log has a gap"

    def _forget_expired(self) -> list[Backup]:
        """The entry first: a file without an entry is removed at the next start, an entry without one is a lie."""
        backups = self._archive.catalogue.backups()
        gone = expired(backups, datetime.now(UTC), self._settings.retention)
        for backup in gone:
            self._archive.catalogue.remove(backup)
            self._archive.remove_base(backup.backup_id)
        kept = [backup for backup in backups if backup not in gone]
        names = self._archive.log_names()
        for segment in unneeded(self._archive.segments(), [backup for backup in kept if backup.verified]):
            for name in {str(segment), f"{segment}{PARTIAL}"} & names:
                self._archive.remove_log(name)
        return gone

    def _note(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            self._report.tell("backup_failed", problem=problem)


async def restore(
    archive: Archive,
    folders: Sequence[Path],
    programs: Programs,
    *,
    to: str,
    into: Path,
    exclusive: bool = False,
    timeline: int | None = None,
) -> Restored:
    """Needs no running cluster: an archive, and the receiver's folders as far as there are any. Raises BackupError."""
    target = parse_target(to, archive.catalogue.points(), exclusive=exclusive)
    check_free(into, programs)
    source = LogSource(archive, folders)
    plan = make_plan(target, archive.catalogue.backups(), source, timeline)
    return await Restore(archive, source, programs).run(plan, into)


def list_all(archive: Archive, folders: Sequence[Path] = ()) -> dict[str, Any]:
    """Backups, points, and the log with its gaps; ``reaches`` is the last file a restore of the backup can go to."""
    source = LogSource(archive, folders)
    backups = []
    for backup in archive.catalogue.backups():
        last, newest = reach(backup, source)
        backups.append({**backup.to_json(), "reaches": last, "reaches_the_present": newest})
    points = [point.to_json() for point in archive.catalogue.points()]
    return {"archive": str(archive.folder), "backups": backups, "points": points, "log": spans(source.segments())}


def spans(segments: Sequence[SegmentName]) -> list[dict[str, Any]]:
    """Runs of whole segments without a gap, by timeline; between two of one timeline something is missing."""
    runs: list[list[SegmentName]] = []
    for segment in sorted(segments, key=lambda segment: (segment.timeline, segment.number)):
        if runs and (runs[-1][-1].timeline, runs[-1][-1].number + 1) == (segment.timeline, segment.number):
            runs[-1].append(segment)
        else:
            runs.append([segment])
    return [
        {
            "timeline": run[0].timeline,
            "first": str(run[0]),
            "last": str(run[-1]),
            "from": lsn_text(run[0].number * SEGMENT_BYTES),
            "to": lsn_text((run[-1].number + 1) * SEGMENT_BYTES),
        }
        for run in runs
    ]


def verify(archive: Archive, folders: Sequence[Path] = (), backup_id: str | None = None) -> list[str]:
    """Reads every backup, or one, and the log that leads on from it; returns what is wrong, a line each.

    The outcome is written into the catalogue.
    """
    chosen = [archive.catalogue.backup(backup_id)] if backup_id else archive.catalogue.backups()
    problems = []
    for backup in chosen:
        try:
            read_back(archive, backup)
        except BackupError as error:
            problems.append(str(error))
    source = LogSource(archive, folders)
    first = min((backup.first_segment for backup in chosen), default=0)
    for name in sorted(archive.log_names()):
        segment = SegmentName.parse(name.removesuffix(PARTIAL))
        if segment and segment.number < first:
            continue
        try:
            source.read(name)
        except BackupError as error:
            problems.append(str(error))
    return problems + _gaps(chosen, source)


def _gaps(backups: Sequence[Backup], source: LogSource) -> list[str]:
    line = source.timeline(source.newest_timeline())
    gaps = []
    for backup in backups:
        last, newest = reach(backup, source)
        if line.holds(backup.timeline, backup.stop) and not newest:
            behind = f"the log ends behind {last}" if last else "there is no log that leads on from it"
            gaps.append(f"{backup.backup_id} does not lead to the present: {behind}, and goes on later")
    return gaps
