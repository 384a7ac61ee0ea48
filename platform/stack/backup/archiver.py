"""Moves the log into the archive: what the synchronous receiver has closed, sealed, read back and compared."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from stack.backup.archive import Archive
from stack.backup.errors import BackupError
from stack.backup.log_source import receiver_folders
from stack.backup.wal_names import PARTIAL, SegmentName, history_timeline
from stack.postgres.report import Report
from stack.postgres.servers import Cluster
from stack.postgres.settings import SEGMENT_BYTES

_PAUSE_S: Final = 0.5
_FULL: Final = (28, 122)  # ENOSPC, EDQUOT


class Archiver:
    """``run`` until cancelled. The receiver's directory is the source, so there is nothing that PostgreSQL waits for.

    Closed segments stay with the receiver as long as a failover may have to give them to a standby: the newest
    ``kept_segments``. Older ones go once the archive's copy was read back and is the same.
    """

    def __init__(self, cluster: Cluster, archive: Archive, report: Report, kept_segments: int) -> None:
        self._cluster = cluster
        self._archive = archive
        self._report = report
        self._kept = kept_segments
        self._same: set[tuple[str, int]] = set()  # name and inode of files whose archived copy is the same
        self._problems: dict[str, str] = {}

    def status(self) -> dict[str, Any]:
        return {"archived": len(self._same), "problems": sorted(self._problems.values())}

    async def run(self) -> None:
        while True:
            await self.turn()
            await asyncio.sleep(_PAUSE_S)

    async def turn(self) -> None:
        """Archives all that is closed by now; what fails is told once, and tried again at the next turn."""
        waiting = await asyncio.to_thread(lambda: list(self._waiting()))
        for path in waiting:
            await self._archive_one(path)
        await asyncio.to_thread(self._prune)

    async def _archive_one(self, path: Path) -> None:
        try:
            new = await asyncio.to_thread(self._put, path)
        except FileNotFoundError:  # set aside meanwhile: it is found there at the next turn
            return
        except (BackupError, OSError) as error:
            self._note(path, _told(path, error))
            return
        if self._problems.pop(path.name, None):
            self._report.tell("archive_resumed", file=path.name)
        if new:
            self._report.log("archived", file=path.name)

    def _put(self, path: Path) -> bool:
        with path.open("rb") as file:
            inode = os.fstat(file.fileno()).st_ino
            content = file.read()
        if history_timeline(path.name) is None and len(content) != SEGMENT_BYTES:
            raise BackupError(f"{path}: {len(content)} bytes are no whole segment")
        new = self._archive.put_log(path.name, content)
        self._same.add((path.name, inode))
        return new

    def _note(self, path: Path, problem: str) -> None:
        if self._problems.get(path.name) != problem:
            self._problems[path.name] = problem
            self._report.tell("archive_failed", file=path.name, problem=problem)

    def _waiting(self) -> Iterator[Path]:
        for folder in receiver_folders(self._cluster):
            for path in _closed(folder, set_aside=folder != self._cluster.received):
                if not self._is_same(path):
                    yield path

    def _is_same(self, path: Path) -> bool:
        try:
            return (path.name, path.stat().st_ino) in self._same
        except FileNotFoundError:
            return True

    def _prune(self) -> None:
        """Histories stay: they are small, and the receiver asks for none that it has."""
        for folder in receiver_folders(self._cluster):
            set_aside = folder != self._cluster.received
            paths = [path for path in _closed(folder, set_aside=set_aside) if _segment(path)]
            paths.sort(key=lambda path: (_segment(path), path.name))
            for path in paths if set_aside else paths[: -self._kept or None]:
                if self._is_same(path):
                    path.unlink(missing_ok=True)


def _closed(folder: Path, *, set_aside: bool) -> list[Path]:
    """In the log's order: whole segments, histories, and open ends of timelines that were left.

    The receiver finishes a timeline before it begins the next: what is older than its newest file is not written to.
    """
    try:
        paths = list(folder.iterdir())
    except FileNotFoundError:  # being set aside
        return []
    timelines = [segment.timeline for path in paths if (segment := _segment(path))]
    newest = max(timelines, default=0)
    found = []
    for path in paths:
        segment = _segment(path)
        is_open = path.name.endswith(PARTIAL)
        if (
            history_timeline(path.name) is not None
            or (segment and not is_open)
            or (segment and is_open and (set_aside or segment.timeline < newest) and _holds_something(path))
        ):
            found.append(path)
    return sorted(found, key=lambda path: (history_timeline(path.name) is None, path.name))


def _segment(path: Path) -> SegmentName | None:
    return SegmentName.parse(path.name.removesuffix(PARTIAL))


def _holds_something(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return any(file.read(1024))
    except FileNotFoundError:
        return False


def _told(path: Path, error: Exception) -> str:
    if isinstance(error, OSError):
        reason = "the archive's disk is full" if error.errno in _FULL else error.strerror or str(error)
        return f"{path.name} is not archived: {reason} ({error.filename or path})"
    return str(error)
