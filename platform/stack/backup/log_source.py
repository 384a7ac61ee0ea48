"""All of the log that there is: the archive's files, and what the receiver has not handed over yet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stack.backup.archive import Archive
from stack.backup.errors import DamagedError, MissingError
from stack.backup.wal_names import PARTIAL, SegmentName, Timeline, history_timeline
from stack.postgres.servers import Cluster
from stack.postgres.settings import SEGMENT_BYTES


def receiver_folders(cluster: Cluster) -> list[Path]:
    """Where the receiver writes, and what was set aside because nothing continues it."""
    return [cluster.received, *sorted(cluster.folder.glob("wal-before-*"))]


class LogSource:
    """The log by name. What is in the archive is taken from there, because there it is authenticated."""

    def __init__(self, archive: Archive, folders: Sequence[Path] = ()) -> None:
        self._archive = archive
        self._folders = folders
        self._archived = archive.log_names()
        self._received = {
            path.name: path for folder in reversed(folders) if folder.is_dir() for path in sorted(folder.iterdir())
        }

    def has(self, name: str) -> bool:
        return name in self._archived or name in self._received

    def segments(self) -> list[SegmentName]:
        """Whole ones."""
        names = (SegmentName.parse(name) for name in self._archived | self._received.keys())
        return sorted(name for name in names if name)

    def open_ends(self) -> list[SegmentName]:
        """Segments of which only the beginning was received, something at least."""
        texts = {name for name in self._archived | self._received.keys() if name.endswith(PARTIAL)}
        names = {text: SegmentName.parse(text.removesuffix(PARTIAL)) for text in texts}
        return sorted(name for text, name in names.items() if name and self._holds_something(text))

    def read(self, name: str) -> bytes:
        """A segment, filled up with zeros where it ends early, or a history. Raises BackupError naming the file."""
        if name in self._archived:
            content = self._archive.read_log(name)
        elif name in self._received:
            content = self._read_received(self._received[name])
        else:
            raise MissingError(f"{self._archive.log_path(name)} is missing{self._nor_received()}")
        if history_timeline(name) is None and len(content) != SEGMENT_BYTES:
            raise DamagedError(f"{self.where(name)} is damaged: {len(content)} bytes are no segment")
        return content

    def where(self, name: str) -> Path:
        return self._archive.log_path(name) if name in self._archived else self._received[name]

    def histories(self) -> list[str]:
        return sorted(name for name in self._archived | self._received.keys() if history_timeline(name) is not None)

    def timeline(self, number: int) -> Timeline:
        """Raises MissingError without its history, DamagedError when that makes no sense."""
        if number == 1:
            return Timeline(1)
        name = f"{number:08X}.history"
        text = self.read(name)
        try:
            return Timeline.parse(number, text.decode())
        except ValueError as error:
            raise DamagedError(f"{self.where(name)} is damaged: {error}") from error

    def newest_timeline(self) -> int:
        """Whoever takes over takes a number that none had before, so the newest is the one that leads on."""
        numbers = {name.timeline for name in (*self.segments(), *self.open_ends())}
        return max({1, *numbers, *(number for name in self.histories() if (number := history_timeline(name)))})

    def _holds_something(self, name: str) -> bool:
        if name in self._archived:
            return True
        with self._received[name].open("rb") as file:
            return any(file.read(1024))

    def _read_received(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except FileNotFoundError:  # closed a moment ago
            return path.with_name(path.name.removesuffix(PARTIAL)).read_bytes()

    def _nor_received(self) -> str:
        return f", and not in {', '.join(map(str, self._folders))} either" if self._folders else ""
