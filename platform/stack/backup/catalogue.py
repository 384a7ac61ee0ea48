"""What the archive tells of itself: one entry per backup, one per named point, each a small JSON file."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from stack.backup.errors import BackupError, DamagedError
from stack.backup.files import write_json
from stack.backup.wal_names import lsn_text, parse_lsn
from stack.postgres.settings import SEGMENT_BYTES

VERSION: Final = 1
POINT_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,62}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """``how``: ``pg_verifybackup`` before it was stored, and what was done to what is stored."""

    at: datetime
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A base backup. Times are UTC; positions are bytes of the log; it is consistent from ``stop`` on.

    ``digests``: SHA-256 of each file as stored. ``verified`` is None as long as what is stored was not read back,
    and again once it was found damaged, which ``damage`` then tells.
    """

    backup_id: str
    started: datetime
    finished: datetime
    start: int
    stop: int
    timeline: int
    system_identifier: int
    major_version: int
    source: str
    plain_bytes: int
    stored_bytes: int
    digests: dict[str, str]
    verified: Verification | None = None
    damage: str | None = None

    @property
    def first_segment(self) -> int:
        """The number of the segment in which its recovery begins."""
        return self.start // SEGMENT_BYTES

    def checked(self, how: str) -> Self:
        return replace(self, verified=Verification(at=datetime.now(UTC), how=how), damage=None)

    def found_damaged(self, problem: str) -> Self:
        return replace(self, verified=None, damage=problem)

    def to_json(self) -> dict[str, Any]:
        fields = asdict(self) | {
            "version": VERSION,
            "started": self.started.isoformat(),
            "finished": self.finished.isoformat(),
            "start": lsn_text(self.start),
            "stop": lsn_text(self.stop),
            "system_identifier": str(self.system_identifier),  # 64 bits: too many for JSON readers in other languages
        }
        if self.verified:
            fields["verified"] = {"at": self.verified.at.isoformat(), "how": self.verified.how}
        return fields

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Raises KeyError, TypeError or ValueError."""
        data = dict(data)
        if (version := data.pop("version")) != VERSION:
            raise ValueError(f"version {version!r}, expected {VERSION}")
        verified = data["verified"]
        fields = data | {
            "started": _time(data["started"]),
            "finished": _time(data["finished"]),
            "start": _lsn(data["start"]),
            "stop": _lsn(data["stop"]),
            "system_identifier": int(data["system_identifier"]),
            "verified": verified and Verification(at=_time(verified["at"]), how=verified["how"]),
        }
        return cls(**fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A named restore point. ``lsn`` is the end of its record; ``at`` is UTC."""

    name: str
    at: datetime
    lsn: int
    timeline: int

    def to_json(self) -> dict[str, Any]:
        fields = {"version": VERSION, "name": self.name, "at": self.at.isoformat()}
        return {**fields, "lsn": lsn_text(self.lsn), "timeline": self.timeline}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Raises KeyError, TypeError or ValueError."""
        return cls(name=data["name"], at=_time(data["at"]), lsn=_lsn(data["lsn"]), timeline=int(data["timeline"]))


class Catalogue:
    """Entries in ``folder``; the files they tell of are the archive's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def backups(self) -> list[Backup]:
        """Oldest first. Raises DamagedError, naming the file."""
        return sorted(self._all("*.backup.json", Backup.from_json), key=lambda backup: backup.stop)

    def backup(self, backup_id: str) -> Backup:
        """Raises BackupError when there is none of that id."""
        for backup in self.backups():
            if backup.backup_id == backup_id:
                return backup
        raise BackupError(f"{self._folder} has no backup {backup_id!r}")

    def points(self) -> list[Point]:
        """In order of time. Raises DamagedError, naming the file."""
        return sorted(self._all("*.point.json", Point.from_json), key=lambda point: point.at)

    def put(self, entry: Backup | Point) -> None:
        """Durable when it returns; replaces the entry of the same id."""
        write_json(self._path(entry), entry.to_json())

    def remove(self, backup: Backup) -> None:
        self._path(backup).unlink(missing_ok=True)

    def _path(self, entry: Backup | Point) -> Path:
        match entry:
            case Backup():
                return self._folder / f"{entry.backup_id}.backup.json"
            case Point():
                return self._folder / f"{entry.name}.point.json"

    def _all(self, pattern: str, parse: Any) -> list[Any]:
        return [_read(path, parse) for path in sorted(self._folder.glob(pattern))]


def _read(path: Path, parse: Any) -> Any:
    try:
        return parse(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(f"{path}: the entry is damaged: {type(error).__name__}: {error}") from error


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return time


def _lsn(text: str) -> int:
    lsn = parse_lsn(text)
    if lsn is None:
        raise ValueError(f"{text!r} is no position in the log")
    return lsn
