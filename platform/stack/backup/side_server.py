"""A server beside the cluster: it recovers a restored folder, shows it to the checks, and ends in order."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

import asyncpg

from stack.backup.errors import BackupError
from stack.binaries import SERVER_USER, postgres_folder
from stack.postgres import tools
from stack.postgres.nodes import DATABASE, SUPERUSER
from stack.process import ChildProcess, Launch, log_tail

_POLL_S: Final = 0.02
_STOP_LIMIT_S: Final = 60.0
_CONNECT_S: Final = 5.0
# Nobody but its user and us can open the folder the socket is in, so no password has to be known.
_TRUST: Final = "local all all trust\n"


@dataclass(frozen=True, slots=True)
class Programs:
    """PostgreSQL's programs and the user that runs them: None for ours, which is the rule unless we are root."""

    binaries: Path
    user: str | None

    @classmethod
    def find(cls) -> Programs:
        """Raises MissingBinaryError."""
        return cls(postgres_folder(), SERVER_USER if os.getuid() == 0 else None)

    def give_away(self, path: Path) -> None:
        if self.user:
            entry = pwd.getpwnam(self.user)
            os.chown(path, entry.pw_uid, entry.pw_gid)

    def launch(self, program: str, *arguments: str, log: Path) -> Launch:
        env = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "HOME": "/tmp"}
        argv = (str(self.binaries / program), *arguments)
        return Launch(argv, env, log, user=self.user, guarded=True, stop_signal=signal.SIGINT)


class SideServer:
    """``async with SideServer(...) as side``: runs on ``data`` over a private socket, without a port. Main thread only.

    It writes without fsync, which is made up for when it has ended in order.
    """

    def __init__(self, programs: Programs, data: Path, log: Path) -> None:
        self._programs = programs
        self._data = data
        self._log = log
        self._private: Path | None = None
        self._process: ChildProcess | None = None

    @property
    def dsn(self) -> str:
        return f"postgresql://{SUPERUSER}@/{DATABASE}?host={self._private}&port=5432"

    async def __aenter__(self) -> SideServer:
        self._private = Path(tempfile.mkdtemp(prefix="elson-side-", dir="/tmp"))  # a socket's path must be short
        hba = self._private / "hba.conf"
        hba.write_text(_TRUST)
        for path in (hba, self._private):
            self._programs.give_away(path)
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._private),
            "hba_file": str(hba),
            "fsync": "off",
            "synchronous_standby_names": "",
            "default_transaction_read_only": "off",
            "primary_conninfo": "",
            "archive_mode": "off",
        }
        options = [text for name, value in settings.items() for text in ("-c", f"{name}={value}")]
        launch = self._programs.launch("postgres", "-D", str(self._data), "-p", "5432", *options, log=self._log)
        self._process = ChildProcess.start(launch)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """In order, and durable, unless an error ends it: then as quickly as can be."""
        assert self._process
        try:
            if error:
                await self._process.kill()
            else:
                await self._end()
        finally:
            if self._private:
                shutil.rmtree(self._private, ignore_errors=True)

    async def leads(self) -> None:
        """Returns when it has recovered and takes writes. Raises BackupError when it ends instead."""
        while await self._in_recovery():
            await asyncio.sleep(_POLL_S)

    async def row(self, query: str, *arguments: object) -> asyncpg.Record:
        connection = await asyncpg.connect(self.dsn, timeout=_CONNECT_S)
        try:
            found: asyncpg.Record = await connection.fetchrow(query, *arguments)
        finally:
            connection.terminate()
        return found

    async def _in_recovery(self) -> bool:
        try:
            return bool((await self.row("SELECT pg_is_in_recovery()"))[0])
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            assert self._process
            if not self._process.running:
                raise BackupError(f"the side server ended; its log ends:\n{log_tail(self._log)}") from None
            return True

    async def _end(self) -> None:
        assert self._process
        code = await self._process.terminate(_STOP_LIMIT_S)
        if code != 0:
            raise BackupError(f"the side server ended with {code}; its log ends:\n{log_tail(self._log)}")
        sync = self._programs.launch("initdb", "--sync-only", "-D", str(self._data), log=self._log)
        await tools.run(sync, "writing the restored folder to the disk")
