"""The archive: a folder of sealed files (base backups, segments of the log, histories) and the catalogue of them."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from stack.backup.catalogue import Catalogue
from stack.backup.errors import BackupError, ConflictError, DamagedError, MissingError, WrongKeyError
from stack.backup.files import placed, remove_scratch, write_json
from stack.backup.key import Key
from stack.backup.sealed import SealedReader, SealedWriter
from stack.backup.wal_names import PARTIAL, SegmentName, history_timeline

VERSION: Final = 2  # of its segments, each is 4 MiB; in version 1 they had 16
MAJOR_VERSION: Final = 16
_ABOUT: Final = "archive.json"
_LOG, _BASE, _CATALOGUE = "wal", "base", "catalogue"
_SUFFIX: Final = ".sealed"


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of one stored file; ``digest`` is the SHA-256 of it as stored."""

    plain_bytes: int
    stored_bytes: int
    digest: str


class Archive:
    """One cluster's. Files are bound to the cluster and to their names: none can stand in for another."""

    def __init__(self, folder: Path, key: Key, system_identifier: int) -> None:
        self.folder = folder
        self.system_identifier = system_identifier
        self.catalogue = Catalogue(folder / _CATALOGUE)
        self._key = key

    @classmethod
    def open(cls, folder: Path, key: Key) -> Archive:
        """Raises BackupError when there is none, it is another version's, or sealed with another key."""
        path = folder / _ABOUT
        try:
            about = json.loads(path.read_text())
            version, major, key_id = about["version"], about["major_version"], about["key_id"]
            system_identifier = int(about["system_identifier"])
        except FileNotFoundError:
            raise BackupError(f"{folder} is no archive: there is no {_ABOUT} in it") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DamagedError(f"{path} is damaged: {error}") from error
        if version != VERSION:
            raise BackupError(f"{path}: the archive is of version {version}, expected {VERSION}")
        if major != MAJOR_VERSION:
            raise BackupError(f"{path}: the archive is of PostgreSQL {major}, this one is {MAJOR_VERSION}")
        if key_id != key.key_id:
            raise WrongKeyError(f"{path}: the archive is sealed with key {key_id}; the key given is {key.key_id}")
        return cls(folder, key, system_identifier)

    @classmethod
    def prepare(cls, folder: Path, key: Key, system_identifier: int) -> Archive:
        """Opens it, or makes a new one. Raises BackupError when it is another cluster's."""
        if not (folder / _ABOUT).exists():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if any(path.name != "lock" for path in folder.iterdir()):
                raise BackupError(f"{folder} holds something, but is no archive: name an empty folder")
            for name in (_LOG, _BASE, _CATALOGUE):
                (folder / name).mkdir(mode=0o700)
            about = {"version": VERSION, "major_version": MAJOR_VERSION, "key_id": key.key_id}
            write_json(folder / _ABOUT, {**about, "system_identifier": str(system_identifier)})
        archive = cls.open(folder, key)
        if archive.system_identifier != system_identifier:
            raise BackupError(
                f"{folder} is the archive of cluster {archive.system_identifier}, this one is {system_identifier}"
            )
        return archive

    @contextmanager
    def writing(self) -> Iterator[list[Path]]:
        """For the one process that writes; yields what a killed predecessor left half done, removed now.

        Raises BackupError when another process is writing.
        """
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BackupError(f"{self.folder}: another process is writing to this archive") from None
            yield [path for name in (_LOG, _BASE, _CATALOGUE) for path in remove_scratch(self.folder / name)]
        finally:
            os.close(lock)

    # -- the log -----------------------------------------------------------------------------------

    def log_path(self, name: str) -> Path:
        return self.folder / _LOG / f"{name}{_SUFFIX}"

    def log_names(self) -> set[str]:
        """Segments, histories, and last, unfinished segments of dead timelines (``.partial``)."""
        return {path.name.removesuffix(_SUFFIX) for path in (self.folder / _LOG).glob(f"[!.]*{_SUFFIX}")}

    def segments(self) -> list[SegmentName]:
        return sorted(name for text in self.log_names() if (name := SegmentName.parse(text)))

    def put_log(self, name: str, content: bytes) -> bool:
        """Stores a file of the log and reads it back; False when it was there already, with the same bytes.

        Raises ConflictError when it was there with others, DamagedError when what is there cannot be read.
        """
        _check_name(name)
        if new := not self.log_path(name).exists():
            with placed(self.log_path(name)) as file:
                writer = SealedWriter(file, self._key, self._bound(f"{_LOG}/{name}"))
                writer.write(content)
                writer.close()
        if self.read_log(name) != content:
            raise ConflictError(f"{self.log_path(name)}: the archive has other bytes under this name; it keeps them")
        return new

    def read_log(self, name: str) -> bytes:
        """Raises MissingError, DamagedError or WrongKeyError, naming the file."""
        path = self.log_path(name)
        try:
            with path.open("rb") as file:
                return self._reader(file, f"{_LOG}/{name}", path).read()
        except FileNotFoundError:
            raise MissingError(f"{path} is missing") from None

    def remove_log(self, name: str) -> None:
        self.log_path(name).unlink(missing_ok=True)

    # -- base backups ------------------------------------------------------------------------------

    def base_path(self, backup_id: str) -> Path:
        return self.folder / _BASE / f"{backup_id}.tar{_SUFFIX}"

    def put_base(self, backup_id: str, write: Callable[[SealedWriter], None]) -> Sizes:
        """Has ``write`` write the backup into a file-like object and stores it. Raises OSError."""
        path = self.base_path(backup_id)
        with placed(path) as file:
            writer = SealedWriter(file, self._key, self._bound(f"{_BASE}/{backup_id}"))
            write(writer)
            writer.close()
            file.flush()
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return Sizes(writer.plain_bytes, file.tell(), digest)

    @contextmanager
    def open_base(self, backup_id: str) -> Iterator[SealedReader]:
        """Raises MissingError, DamagedError or WrongKeyError, naming the file."""
        path = self.base_path(backup_id)
        try:
            with path.open("rb") as file:
                yield self._reader(file, f"{_BASE}/{backup_id}", path)
        except FileNotFoundError:
            raise MissingError(f"{path} is missing") from None

    def remove_base(self, backup_id: str) -> None:
        self.base_path(backup_id).unlink(missing_ok=True)

    def strays(self) -> list[Path]:
        """Backups that no entry of the catalogue tells of: their writer was killed in between."""
        known = {self.base_path(backup.backup_id) for backup in self.catalogue.backups()}
        return sorted(set((self.folder / _BASE).glob(f"[!.]*{_SUFFIX}")) - known)

    def _reader(self, file: BinaryIO, name: str, path: Path) -> SealedReader:
        return SealedReader(file, self._key, self._bound(name), path=path)

    def _bound(self, name: str) -> str:
        return f"{self.system_identifier}/{name}"


def _check_name(name: str) -> None:
    if SegmentName.parse(name.removesuffix(PARTIAL)) is None and history_timeline(name) is None:
        raise BackupError(f"{name} is no file of a log")
