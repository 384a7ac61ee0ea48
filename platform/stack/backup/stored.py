"""A base backup as a stream of its files, written and read again against PostgreSQL's own manifest."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final, Protocol, cast

from stack.backup.archive import Archive
from stack.backup.errors import BackupError, DamagedError
from stack.backup.sealed import SealedReader, SealedWriter
from stack.backup.wal_names import parse_lsn

MANIFEST: Final = "backup_manifest"
_LOG: Final = "pg_wal"  # not in the manifest: pg_verifybackup reads its records instead
_PIECE_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Manifest:
    """``files``: SHA-256 by path. The backup needs the log of ``timeline`` from ``start``, to ``stop`` at least."""

    files: Mapping[str, str]
    timeline: int
    start: int
    stop: int

    @classmethod
    def parse(cls, text: bytes) -> Manifest:
        """Raises ValueError unless it is one of format 1 with SHA-256 checksums and one range of the log."""
        try:
            data = json.loads(text)
            (needed,) = data["WAL-Ranges"]
            start, stop = parse_lsn(needed["Start-LSN"]), parse_lsn(needed["End-LSN"])
            files = {entry["Path"]: entry["Checksum"] for entry in data["Files"]}
            kinds = {entry["Checksum-Algorithm"] for entry in data["Files"]}
        except (KeyError, TypeError) as error:
            raise ValueError(f"no manifest: {error}") from error
        if start is None or stop is None or kinds != {"SHA256"}:
            raise ValueError("no manifest of SHA-256 checksums with a range of the log")
        return cls(files, int(needed["Timeline"]), start, stop)


class Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


Sink = Callable[[tarfile.TarInfo, Readable | None], None]


def write_files(data: Path, writer: SealedWriter) -> None:
    """Everything below ``data``, the manifest first. Raises BackupError for a link, as a tablespace's is."""
    with tarfile.open(
        fileobj=cast("IO[bytes]", writer), mode="w|", bufsize=_PIECE_BYTES, format=tarfile.PAX_FORMAT
    ) as tar:
        tar.add(data / MANIFEST, MANIFEST)
        for parent, folders, names in os.walk(data):
            folders.sort()
            for path in (Path(parent, name) for name in sorted((*folders, *names))):
                if path.is_symlink():
                    raise BackupError(f"{path} is a link: tablespaces are not backed up")
                if (inner := str(path.relative_to(data))) != MANIFEST:
                    tar.add(path, inner, recursive=False)


def read_files(archive: Archive, backup_id: str, sink: Sink | None = None) -> Manifest:
    """Reads all of it, gives each file to ``sink``, and compares it with the manifest.

    Raises DamagedError, MissingError or WrongKeyError, naming the stored file and the file in it.
    """
    path = archive.base_path(backup_id)
    with archive.open_base(backup_id) as reader:
        try:
            found = _read(reader, sink)
        except tarfile.TarError as error:
            raise DamagedError(f"{path} is damaged: {error}") from error
        try:
            manifest = Manifest.parse(found.pop(MANIFEST, b""))
        except ValueError as error:
            raise DamagedError(f"{path}: {MANIFEST} is damaged: {error}") from error
    for name in sorted(found.keys() | manifest.files.keys()):
        told = manifest.files.get(name, "")
        if found.get(name) != told.encode() and not name.startswith(f"{_LOG}/"):
            raise DamagedError(f"{path}: {name} in it is not what the manifest says")
    return manifest


def _read(reader: SealedReader, sink: Sink | None) -> dict[str, bytes]:
    """Each file's digest in hex, and the manifest itself."""
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=cast("IO[bytes]", reader), mode="r|", bufsize=_PIECE_BYTES) as tar:
        for member in tar:
            place = PurePosixPath(member.name)
            if place.is_absolute() or ".." in place.parts or not (member.isfile() or member.isdir()):
                raise tarfile.TarError(f"{member.name} is neither a file nor a folder of the backup")
            if member.isdir():
                if sink:
                    sink(member, None)
                continue
            content = tar.extractfile(member)
            assert content is not None
            digested = _Digested(content, keep=member.name == MANIFEST)
            if sink:
                sink(member, digested)
            while digested.read(_PIECE_BYTES):
                pass
            found[member.name] = digested.kept if member.name == MANIFEST else digested.hex
    return found


class _Digested:
    """What is read through it is digested on the way."""

    def __init__(self, content: IO[bytes], *, keep: bool) -> None:
        self._content = content
        self._digest = hashlib.sha256()
        self._keep = keep
        self.kept = b""

    @property
    def hex(self) -> bytes:
        return self._digest.hexdigest().encode()

    def read(self, size: int = -1) -> bytes:
        piece = self._content.read(size)
        self._digest.update(piece)
        if self._keep:
            self.kept += piece
        return piece


def unpack_into(folder: Path) -> Sink:
    """A sink that writes the files below ``folder``, which exists, for their owner only."""

    def unpack(member: tarfile.TarInfo, content: Readable | None) -> None:
        path = folder / member.name
        if content is None:
            path.mkdir(mode=0o700, exist_ok=True)
            return
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            while piece := content.read(_PIECE_BYTES):
                file.write(piece)

    return unpack
