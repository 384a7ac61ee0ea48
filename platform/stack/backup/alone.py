"""The backup process beside a bare cluster, for tests and drills."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from stack.backup.key import Key
from stack.backup.settings import CONFIG, Config, Settings
from stack.control import call_async
from stack.errors import ControlError, StartError
from stack.postgres.alone import PostgresCluster
from stack.process import ChildProcess, Launch, log_tail
from stack.programs import python_env

_POLL_S: Final = 0.02
_LIMIT_S: Final = 120.0


class BackupProcess:
    """``async with BackupProcess(cluster) as backups``: one key, one archive below the cluster's folder.

    Other ``settings`` may be given. Without an interval only what is asked for is done.
    """

    def __init__(self, cluster: PostgresCluster, **settings: Any) -> None:
        folder = cluster.folder
        self.key_file = folder / "backup.key"
        chosen = {"archive": folder / "archive", "key_file": self.key_file, "interval": None, **settings}
        self.settings = Settings(**chosen)
        self._cluster = cluster
        self._config = Config(cluster.cluster, self.settings, folder / "owner.sock", folder / "backup.sock")
        self._process: ChildProcess | None = None

    async def __aenter__(self) -> BackupProcess:
        if not self.key_file.exists():
            Key.create(self.key_file)
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.kill()

    @property
    def key(self) -> Key:
        return Key.read(self.key_file)

    @property
    def log(self) -> Path:
        return self._cluster.log("backup:1")

    async def start(self) -> None:
        """Returns when it answers. Raises StartError when it ends instead."""
        config = self._cluster.folder / "backup.json"
        self._config.write(config)
        argv, env = (sys.executable, "-m", "stack.backup"), {**python_env(), CONFIG: str(config)}
        self._process = ChildProcess.start(Launch(argv, env, self.log, cwd=Path.cwd(), guarded=True))
        while True:
            try:
                await self.ask("status")
                return
            except ControlError:
                if not self._process.running:
                    raise StartError(f"the backup process ended:\n{log_tail(self.log)}") from None
            await asyncio.sleep(_POLL_S)

    async def end(self) -> None:
        """In order, as when a platform is taken down."""
        if self._process:
            await self._process.terminate(within_s=10)

    async def kill(self) -> None:
        if self._process:
            await self._process.kill()

    async def ask(self, op: str, **fields: object) -> dict[str, Any]:
        """Raises ControlError when it refuses."""
        return await call_async(self._config.control, op, within_s=_LIMIT_S, **fields)

    def copy(self, folder: Path) -> Path:
        """The archive as it is now, to be spoiled."""
        return Path(shutil.copytree(self.settings.archive, folder))
