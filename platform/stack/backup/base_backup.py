"""A base backup: copied by pg_basebackup, verified by pg_verifybackup, stored, and read back."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from stack.backup import stored
from stack.backup.archive import MAJOR_VERSION, Archive
from stack.backup.catalogue import Backup
from stack.backup.errors import BackupError, DamagedError, MissingError
from stack.postgres import tools
from stack.postgres.control_data import ControlData
from stack.postgres.nodes import REPLICA, REPLICATOR
from stack.postgres.servers import Cluster
from stack.process import Launch

HOW: Final = "pg_verifybackup before it was stored; read back, decrypted and compared with the manifest after"
READ_BACK: Final = "decrypted and compared with the manifest"
_STAGING: Final = ".backup-"
LOG: Final = "backup-tools.log"


class BaseBackup:
    """Of one cluster, into one archive. One at a time."""

    def __init__(self, cluster: Cluster, archive: Archive) -> None:
        self._cluster = cluster
        self._archive = archive

    async def take(self, source: str) -> Backup:
        """Copies the server ``source``. In the catalogue, unverified, as soon as it is stored; then read back.

        Raises StartError when a tool fails, BackupError when the copy is another cluster's or was not stored as it is,
        OSError when the disk is full.
        """
        started = datetime.now(UTC)
        backup_id = f"{started:%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
        with self._staging(backup_id) as data:
            await tools.run(self._copy(source, data, backup_id), f"the base backup of {source}")
            finished = datetime.now(UTC)
            await tools.run(self._tool("pg_verifybackup", str(data)), f"pg_verifybackup of {source}'s backup")
            manifest, control = self._examine(data)
            sizes = await asyncio.to_thread(self._archive.put_base, backup_id, partial(stored.write_files, data))
        backup = Backup(
            backup_id=backup_id,
            started=started,
            finished=finished,
            start=manifest.start,
            stop=manifest.stop,
            timeline=manifest.timeline,
            system_identifier=control.system_identifier,
            major_version=MAJOR_VERSION,
            source=source,
            plain_bytes=sizes.plain_bytes,
            stored_bytes=sizes.stored_bytes,
            digests={self._archive.base_path(backup_id).name: sizes.digest},
        )
        self._archive.catalogue.put(backup)
        return await asyncio.to_thread(read_back, self._archive, backup, HOW)

    def clean(self) -> list[Path]:
        """Removes what a killed process left half done; only while no backup is being taken."""
        left = [*self._cluster.folder.glob(f"{_STAGING}*"), *self._archive.strays()]
        for path in left:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        return left

    @contextmanager
    def _staging(self, backup_id: str) -> Iterator[Path]:
        """The servers' user writes there."""
        folder = self._cluster.folder / f"{_STAGING}{backup_id}"
        folder.mkdir(mode=0o700)
        try:
            self._cluster.give_away(folder)
            yield folder / "data"
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _examine(self, data: Path) -> tuple[stored.Manifest, ControlData]:
        control = ControlData.read(data)
        if control.system_identifier != self._archive.system_identifier:
            raise BackupError(
                f"the server belongs to cluster {control.system_identifier}, "
                f"{self._archive.folder} to {self._archive.system_identifier}"
            )
        if (major := (data / "PG_VERSION").read_text().strip()) != str(MAJOR_VERSION):
            raise BackupError(f"the server is PostgreSQL {major}, {self._archive.folder} is for {MAJOR_VERSION}")
        return stored.Manifest.parse((data / stored.MANIFEST).read_bytes()), control

    def _copy(self, source: str, data: Path, label: str) -> Launch:
        host, _, port = self._cluster.address(source).partition(":")
        where = ("-h", host, "-p", port, "-U", REPLICATOR, "-D", str(data), "-l", label)
        # With the log it needs: even without an archive it can be restored to its own end.
        options = ("-X", "stream", "-c", "fast", "--manifest-checksums=SHA256", "--no-sync")
        return self._tool("pg_basebackup", *where, *options)

    def _tool(self, program: str, *arguments: str) -> Launch:
        example = self._cluster.basebackup(REPLICA, REPLICA)  # its user, and the replicator's password
        argv = (str(self._cluster.binaries / program), *arguments)
        return replace(example, argv=argv, log=self._cluster.log_folder / LOG)


def read_back(archive: Archive, backup: Backup, how: str = READ_BACK) -> Backup:
    """Reads all of it and writes the outcome into its entry. Raises BackupError when it is damaged or missing."""
    try:
        stored.read_files(archive, backup.backup_id)
    except (DamagedError, MissingError) as error:
        archive.catalogue.put(backup.found_damaged(str(error)))
        raise
    checked = backup.checked(how)
    archive.catalogue.put(checked)
    return checked
