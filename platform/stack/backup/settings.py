"""How a cluster is backed up, and the process's configuration file."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from stack.backup.errors import BackupError
from stack.backup.retention import Retention
from stack.postgres.servers import Cluster

CONFIG: Final = "ELSON_BACKUP_CONFIG"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """``interval`` between base backups; None: only when asked for. ``source``: the server they are copied from, None
    for the primary. ``kept_segments``: how many closed ones stay with the receiver, where a failover looks for what the
    standby lacks; as many as ``max_slot_wal_keep_size`` covers. ``key_file`` None: the key is in ELSON_BACKUP_KEY.
    """

    archive: Path
    key_file: Path | None = None
    interval: timedelta | None = timedelta(days=1)
    retention: Retention = field(default_factory=Retention)
    source: str | None = None
    kept_segments: int = 64

    def to_json(self) -> dict[str, Any]:
        return {
            "archive": str(self.archive),
            "key_file": str(self.key_file) if self.key_file else None,
            "interval_s": self.interval.total_seconds() if self.interval else None,
            "keep_count": self.retention.count,
            "keep_s": self.retention.age.total_seconds(),
            "source": self.source,
            "kept_segments": self.kept_segments,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Settings:
        """Raises KeyError, TypeError or ValueError."""
        return cls(
            archive=Path(data["archive"]),
            key_file=Path(data["key_file"]) if data["key_file"] else None,
            interval=timedelta(seconds=data["interval_s"]) if data["interval_s"] else None,
            retention=Retention(data["keep_count"], timedelta(seconds=data["keep_s"])),
            source=data["source"],
            kept_segments=int(data["kept_segments"]),
        )


@dataclass(frozen=True, slots=True)
class Config:
    """``owner`` is the control socket of the processes' owner, ``control`` this process's own."""

    cluster: Cluster
    settings: Settings
    owner: Path
    control: Path

    @classmethod
    def read(cls, path: Path) -> Config:
        """Raises BackupError when it is not there or not as written by ``write``."""
        try:
            data = json.loads(path.read_text())
            cluster, settings = Cluster.from_json(data["cluster"]), Settings.from_json(data["backup"])
            return cls(cluster, settings, Path(data["owner"]), Path(data["control"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BackupError(f"{path}: no configuration of a backup process: {error}") from error

    def write(self, path: Path) -> None:
        """Readable for this user only: it holds passwords."""
        data = {"cluster": self.cluster.to_json(), "backup": self.settings.to_json()}
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump({**data, "owner": str(self.owner), "control": str(self.control)}, file)
