"""The log as the receiver wrote it: where it ends, and how a server that has less of it is given the rest."""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stack.durable import sync_folder
from stack.errors import StackError
from stack.postgres.control_data import ControlData
from stack.postgres.servers import Cluster
from stack.postgres.settings import SEGMENT_BYTES

_HEADER_BYTES: Final = 24
_SEGMENTS_PER_FILE_ID: Final = 0x1_0000_0000 // SEGMENT_BYTES
_PAGE_HEAD: Final = struct.Struct("<HHIQ")  # XLogPageHeaderData: magic, flags, timeline, address
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
    """Of one timeline, in the log's order. Raises GapError when there is no such folder: that is not an empty log."""
    if not folder.is_dir():
        raise GapError(f"{folder} is gone, and what was received with it")
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
    received, it may hold more and stays. The oldest is written first, so one that was broken off is continued when it
    is called again. Raises GapError when the receiver's files begin too late.
    """
    target = cluster.data(node) / "pg_wal"
    recovery = ControlData.read(cluster.data(node)).redo // SEGMENT_BYTES
    begin = max(recovery, _first_segment(target, timeline))
    try:
        missing = _missing(segments(cluster.received, timeline), target, begin)
    except GapError as error:
        raise GapError(f"{node}: {error}") from None
    for segment in missing:
        _copy(cluster, target / segment.name, segment.read())
    if missing:
        sync_folder(target)
    return len(missing)


def _missing(received: list[Segment], target: Path, begin: int) -> list[Segment]:
    """The end of what was received that ``target`` lacks, in the log's order; nothing from before ``begin``."""
    missing: list[Segment] = []
    for segment in reversed(received):
        if not (content := segment.read()):
            continue
        if missing and segment.number != missing[-1].number - 1:
            break
        if _holds(target / segment.name, content):
            return missing[::-1]
        missing.append(segment)
        if segment.number <= begin:
            return missing[::-1]
    if missing and not _begins(target, missing[-1]):
        raise GapError(f"it ends before {missing[-1].name}, and what was received between is not there")
    return missing[::-1]


def _first_segment(folder: Path, timeline: int) -> int:
    """Where a timeline left the one before, by its history file; 0 for the first one."""
    try:
        lines = (folder / f"{timeline:08X}.history").read_text().split("\n")
    except FileNotFoundError:
        return 0
    high, _, low = [line for line in lines if line.strip()][-1].split()[1].partition("/")
    return ((int(high, 16) << 32) + int(low, 16)) // SEGMENT_BYTES


def _begins(folder: Path, segment: Segment) -> bool:
    """Whether the server has begun to write this segment, and so has all before; a recycled file tells of another."""
    try:
        with (folder / segment.name).open("rb") as file:
            _, _, timeline, address = _PAGE_HEAD.unpack(file.read(_PAGE_HEAD.size))
    except (FileNotFoundError, struct.error):
        return False
    return bool((timeline, address) == (segment.timeline, segment.number * SEGMENT_BYTES))


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


def complete_files(cluster: Cluster) -> None:
    """Gives open segments their whole size: one that was killed while it filled them with zeros takes no other."""
    for path in cluster.received.glob("*.partial"):
        if 0 < path.stat().st_size < SEGMENT_BYTES:
            os.truncate(path, SEGMENT_BYTES)


def set_aside(cluster: Cluster, epoch: int) -> Path:
    """Moves what was received to a folder of its own, which is returned: what comes next does not continue it."""
    number = 1
    while (folder := cluster.folder / f"wal-before-{epoch}-{number}").exists():
        number += 1
    if cluster.received.exists():
        cluster.received.rename(folder)
    make_folder(cluster)
    return folder


def make_folder(cluster: Cluster) -> None:
    """For the receiver to write to. Where one was, whoever calls this has made sure that nothing rests on it."""
    cluster.received.mkdir(mode=0o700, exist_ok=True)
    cluster.give_away(cluster.received)
