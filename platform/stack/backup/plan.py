"""What a restore needs: the moment it is meant for, the backup it begins with, and every file of the log up to there.

Rules. A time and a point are inclusive: what was committed at that very microsecond, or before the point, is there.
``exclusive`` ends just before the time instead. A position ends before the first record that begins at or behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias

from stack.backup.catalogue import POINT_NAME, Backup, Point
from stack.backup.errors import BackupError, MissingError, TargetError
from stack.backup.log_source import LogSource
from stack.backup.wal_names import PARTIAL, SegmentName, Timeline, lsn_text, parse_lsn
from stack.postgres.settings import SEGMENT_BYTES

LATEST: Final = "latest"


@dataclass(frozen=True, slots=True)
class Latest:
    """Everything that was received."""

    def __str__(self) -> str:
        return LATEST


@dataclass(frozen=True, slots=True)
class ToTime:
    at: datetime
    exclusive: bool = False

    def __str__(self) -> str:
        return f"{'just before ' if self.exclusive else ''}{self.at.isoformat()}"


@dataclass(frozen=True, slots=True)
class ToPosition:
    lsn: int

    def __str__(self) -> str:
        return f"position {lsn_text(self.lsn)}"


@dataclass(frozen=True, slots=True)
class ToPoint:
    point: Point

    def __str__(self) -> str:
        return f"point {self.point.name}"


Target: TypeAlias = Latest | ToTime | ToPosition | ToPoint


def parse_target(text: str, points: Sequence[Point], *, exclusive: bool = False) -> Target:
    """``latest``, a time with its zone (ISO 8601), a position (``0/3000028``), a point's name. Raises TargetError."""
    time = _time(text)
    if exclusive and time is None:
        raise TargetError(f"{text!r} is no time: only a time can be exclusive")
    if text == LATEST:
        return Latest()
    if time is not None:
        if time.tzinfo is None:
            raise TargetError(f"{text}: say the time zone, as {text}Z for UTC")
        if time > datetime.now(UTC):
            raise TargetError(f"{text} is yet to come")
        return ToTime(time, exclusive)
    if (lsn := parse_lsn(text)) is not None:
        return ToPosition(lsn)
    for point in points:
        if point.name == text:
            return ToPoint(point)
    known = ", ".join(point.name for point in points) or "none yet"
    kind = "restore point" if POINT_NAME.fullmatch(text) else "time, position or point"
    raise TargetError(f"there is no {kind} {text!r}; points: {known}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``log`` names the files in order, each as it is called in the source; ``missing`` is what would come next."""

    target: Target
    backup: Backup
    timeline: Timeline
    log: tuple[str, ...]
    missing: SegmentName | None = None


def make_plan(target: Target, backups: Sequence[Backup], source: LogSource, timeline: int | None = None) -> Plan:
    """Looks at names only. ``timeline`` other than the newest (or a point's own) leads into a past that was left.

    Raises TargetError when no verified backup precedes the target, MissingError when a file of the log does.
    """
    number = timeline or (target.point.timeline if isinstance(target, ToPoint) else source.newest_timeline())
    line = source.timeline(number)
    backup = _choose(target, backups, line)
    log, missing = _log(backup, line, source)
    if missing and (isinstance(target, Latest) or _needs(target, missing)):
        raise MissingError(f"{_expected(source, missing)}, which a restore to {target} needs")
    end = _last_needed(target)
    needed = [name for name in log if end is None or _number(name) <= end]
    if not needed or (end is not None and _number(log[-1]) < end - 1):
        raise TargetError(f"{target} lies outside the archive, which ends in {log[-1] if log else 'nothing'}")
    return Plan(target=target, backup=backup, timeline=line, log=tuple(needed), missing=missing)


def reach(backup: Backup, source: LogSource) -> tuple[str | None, bool]:
    """The last file of the log to which ``backup`` leads without a gap, and whether that is the newest there is."""
    line = source.timeline(source.newest_timeline())
    if not line.holds(backup.timeline, backup.stop):
        return None, False
    log, missing = _log(backup, line, source)
    return (log[-1] if log else None), bool(log) and missing is None


def _choose(target: Target, backups: Sequence[Backup], line: Timeline) -> Backup:
    fitting = [backup for backup in backups if line.holds(backup.timeline, backup.stop) and _precedes(backup, target)]
    if verified := [backup for backup in fitting if backup.verified]:
        return max(verified, key=lambda backup: backup.stop)
    known = ", ".join(
        f"{backup.backup_id} (timeline {backup.timeline}, from {backup.finished.isoformat()} or "
        f"{lsn_text(backup.stop)} on{'' if backup.verified else ', not verified'})"
        for backup in backups
    )
    raise TargetError(f"no verified backup precedes {target} on timeline {line.number}; there are: {known or 'none'}")


def _precedes(backup: Backup, target: Target) -> bool:
    match target:
        case Latest():
            return True
        case ToTime(at):
            return backup.finished <= at
        case ToPosition(lsn):
            return backup.stop <= lsn
        case ToPoint(point):
            return backup.stop <= point.lsn


def _log(backup: Backup, line: Timeline, source: LogSource) -> tuple[list[str], SegmentName | None]:
    """From the backup on as far as there is no gap, and the first file of the gap when something lies behind it."""
    whole, open_ends = set(source.segments()), set(source.open_ends())
    log, number = [], backup.first_segment
    while (name := line.segment(number)) in whole:
        log.append(str(name))
        number += 1
    if name in open_ends:
        log.append(f"{name}{PARTIAL}")
        number += 1
    behind = any(other.number >= number and line.segment(other.number) == other for other in whole | open_ends)
    switches = any(end > number * SEGMENT_BYTES for _, end in line.left)
    return log, line.segment(number) if behind or switches else None


def _needs(target: Target, missing: SegmentName) -> bool:
    last = _last_needed(target)
    return last is not None and missing.number < last


def _last_needed(target: Target) -> int | None:
    """The segment behind the target's: the record at which recovery sees that it has arrived may lie there."""
    match target:
        case ToPosition(lsn):
            return SegmentName.at(1, lsn).number + 1
        case ToPoint(point):
            return SegmentName.at(1, point.lsn).number + 1
        case Latest() | ToTime():
            return None


def _number(name: str) -> int:
    segment = SegmentName.parse(name.removesuffix(PARTIAL))
    if segment is None:
        raise BackupError(f"{name} is no segment")
    return segment.number


def _expected(source: LogSource, missing: SegmentName) -> str:
    try:
        source.read(str(missing))
    except MissingError as error:
        return str(error)
    return f"{missing} is missing"


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if "-" in text or ":" in text else None
    except ValueError:
        return None
