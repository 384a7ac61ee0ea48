"""Which backups may go, and which segments of the log with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from stack.backup.catalogue import Backup
from stack.backup.wal_names import SegmentName


@dataclass(frozen=True, slots=True)
class Retention:
    """Kept are the newest ``count`` verified backups, and whatever is younger than ``age``."""

    count: int = 3
    age: timedelta = timedelta(days=7)

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"retention of {self.count} backups: at least one must be kept")


def expired(backups: Sequence[Backup], now: datetime, retention: Retention) -> list[Backup]:
    """Never the newest verified one, and nothing at all when there are not ``count`` verified ones.

    An unverified backup goes when it is too old and ``count`` verified ones are newer.
    """
    by_time = sorted(backups, key=lambda backup: backup.finished, reverse=True)
    gone, good = [], 0
    for backup in by_time:
        if good >= retention.count and now - backup.finished > retention.age:
            gone.append(backup)
        good += backup.verified is not None
    return gone


def unneeded(segments: Iterable[SegmentName], kept: Sequence[Backup]) -> list[SegmentName]:
    """The segments before the first that a kept backup needs; none when no backup is kept."""
    if not kept:
        return []
    first = min(backup.first_segment for backup in kept)
    return sorted(segment for segment in segments if segment.number < first)
