"""The log as the receiver wrote it: where it ends, and how a server that has less of it is given the rest."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stack.errors import StackError
from stack.postgres.control_data import ControlData
from stack.postgres.servers import Cluster

SEGMENT_BYTES: Final = 16 * 1024 * 1024
_HEADER_BYTES: Final = 24
_SEGMENTS_PER_FILE_ID: Final = 0x1_0000_0000 // SEGMENT_BYTES
_NAME: Final = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})(\.partial)?")


class GapError(StackError):
    """Between what the server has and what the receiver has, something is missing."""


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """One file of the receiver's. ``number`` counts segments from the beginning of the log."""

    number: int
    timeline: int
    path: Path

    @property
    def name(self) -> str:
        high, low = divmod(self.number, _SEGMENTS_PER_FILE_ID)
        return f"{self.timeline:08X}{high:08X}{low:08X}"

    def begins(self, offset: int) -> bool:
        """Whether there is a record or page at ``offset``."""
        with self.path.open("rb") as file:
            file.seek(offset)
            return any(file.read(_HEADER_BYTES))

    def read(self) -> bytes:
        """What was received: the receiver fills new files with zeros, so the rest of an open one is zeros."""
        return self.path.read_bytes().rstrip(b"\0")


def segments(folder: Path, timeline: int) -> list[Segment]:
    """Of one timeline, in the log's order."""
    found = []
    for path in folder.iterdir():
        match = _NAME.fullmatch(path.name)
        if match and int(match[1], 16) == timeline:
            found.append(Segment(int(match[2], 16) * _SEGMENTS_PER_FILE_ID + int(match[3], 16), timeline, path))
    return sorted(found)


def beyond(folder: Path, timeline: int, end: int) -> bool:
    """Whether anything was received on ``timeline`` behind the byte ``end`` of the log, where a record or page ends.

    Neither a record nor a page begins with zeros, so a look at its beginning tells.
    """
    number, offset = divmod(end, SEGMENT_BYTES)
    for segment in segments(folder, timeline):
        if segment.number >= number and segment.begins(offset if segment.number == number else 0):
            return True
    return False


def feed(cluster: Cluster, node: str, timeline: int) -> int:
    """Gives ``node``, which must be stopped, what the receiver has beyond it. Returns the number of files written.

    A copy is right for both files being beginnings of the same stream: where the server's already holds what was
    received, it may hold more and stays. Raises GapError when the receiver's files begin too late.
    """
    target = cluster.data(node) / "pg_wal"
    recovery = ControlData.read(cluster.data(node)).redo // SEGMENT_BYTES
    missing: list[tuple[Segment, bytes]] = []
    for segment in reversed(segments(cluster.received, timeline)):
        if not (received := segment.read()):
            continue
        if _holds(target / segment.name, received):
            break
        missing.append((segment, received))
        if segment.number <= max(recovery, _first_segment(target, timeline)):
            break
    else:
        if missing:
            raise GapError(f"{node} ends before {missing[-1][0].name}, where {cluster.received} begins")
    for segment, received in missing:
        _copy(cluster, target / segment.name, received)
    if missing:
        _sync_folder(target)
    return len(missing)


def _first_segment(folder: Path, timeline: int) -> int:
    """Where a timeline left the one before, by its history file; 0 for the first one."""
    try:
        lines = (folder / f"{timeline:08X}.history").read_text().split("\n")
    except FileNotFoundError:
        return 0
    high, _, low = [line for line in lines if line.strip()][-1].split()[1].partition("/")
    return ((int(high, 16) << 32) + int(low, 16)) // SEGMENT_BYTES


def _holds(path: Path, received: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(received)) == received
    except FileNotFoundError:
        return False


def _copy(cluster: Cluster, path: Path, received: bytes) -> None:
    scratch = path.with_name(f"{path.name}.fed")
    with scratch.open("wb") as file:
        file.write(received)
        file.truncate(SEGMENT_BYTES)
        file.flush()
        os.fsync(file.fileno())
    scratch.chmod(0o600)
    cluster.give_away(scratch)
    scratch.replace(path)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def set_aside(cluster: Cluster, epoch: int) -> Path:
    """Moves what was received to a folder of its own, which is returned: what comes next does not continue it."""
    number = 1
    while (folder := cluster.folder / f"wal-before-{epoch}-{number}").exists():
        number += 1
    cluster.received.rename(folder)
    cluster.received.mkdir(mode=0o700)
    cluster.give_away(cluster.received)
    return folder
