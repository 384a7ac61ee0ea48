"""The PostgreSQL nodes: a primary and a streaming synchronous standby, each a direct server process of the stack."""

from __future__ import annotations

import asyncio
import os
import pwd
import secrets
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import asyncpg

from stack.binaries import SERVER_USER, postgres_folder
from stack.process import Launch
from stack.wiring import HOST

DATABASE: Final = "elson"
USER: Final = "elson"
STANDBY: Final = "standby"  # application_name of the standby's receiver, and name of its slot

# fsync and full_page_writes stay on: "acknowledged" means durable on both servers.
_SETTINGS: Final[Mapping[str, str]] = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "wal_level": "replica",
    "max_wal_senders": "8",
    "max_replication_slots": "8",
    "wal_keep_size": "64MB",
    "hot_standby": "on",
    "fsync": "on",
    "synchronous_commit": "on",
    "checkpoint_timeout": "15min",  # a run is shorter: no checkpoint competes with it for the disk
    "max_wal_size": "2GB",
    "wal_retrieve_retry_interval": "100ms",  # a standby comes back at once when its link heals
    "jit": "off",  # compiling costs more than the short statements of an order
    "log_line_prefix": "%m [%p] %a ",
    "cluster_name": "",
}


@dataclass(frozen=True, slots=True)
class PostgresPair:
    """The two servers' data below ``folder``, which belongs to the user that runs them; one password for both."""

    binaries: Path
    folder: Path
    log_folder: Path
    user: str | None
    password: str = field(repr=False)

    @classmethod
    def prepare(cls, folder: Path, log_folder: Path) -> PostgresPair:
        """Makes the folder. Raises MissingBinaryError when there is no PostgreSQL."""
        user = SERVER_USER if os.getuid() == 0 else None
        binaries = postgres_folder()
        folder.mkdir(mode=0o700)
        pair = cls(binaries, folder, log_folder, user, secrets.token_hex(16))
        pair._give_away(folder)
        return pair

    def dsn(self, address: str) -> str:
        """Without TLS, which these servers are built without: asking for it each time costs a round trip."""
        return f"postgresql://{USER}:{self.password}@{address}/{DATABASE}?sslmode=disable"

    def data(self, instance: str) -> Path:
        return self.folder / instance

    def initdb(self) -> Launch:
        password = self.folder / "password"
        self._write(password, self.password)
        options = ("-U", USER, "-A", "scram-sha-256", f"--pwfile={password}", "-E", "UTF8", "--locale=C", "-k")
        # --no-sync: only a power cut in the next second could tell the difference, and the data are one run's.
        return self._tool("primary", "initdb", "-D", str(self.data("primary")), *options, "--no-sync")

    def configure_primary(self) -> None:
        (self.folder / "password").unlink()
        text = "".join(f"{name} = '{value}'\n" for name, value in _SETTINGS.items())
        self._append(self.data("primary") / "postgresql.conf", text)

    def basebackup(self, primary_port: int) -> Launch:
        source = ("-h", HOST, "-p", str(primary_port), "-U", USER)
        options = ("-D", str(self.data("standby")), "-X", "stream", "-c", "fast", "-C", "-S", STANDBY, "--no-sync")
        return self._tool("standby", "pg_basebackup", *source, *options)

    def configure_standby(self, upstream: str) -> None:
        """``upstream`` is the address of the standby's link to the primary, which may lead through a proxy."""
        host, _, port = upstream.partition(":")
        conninfo = f"host={host} port={port} user={USER} password={self.password} application_name={STANDBY}"
        text = f"primary_conninfo = '{conninfo}'\nprimary_slot_name = '{STANDBY}'\n"
        self._append(self.data("standby") / "postgresql.auto.conf", text)
        self._write(self.data("standby") / "standby.signal", "")

    def server(self, instance: str, port: int) -> Launch:
        argv = (str(self.binaries / "postgres"), "-D", str(self.data(instance)), "-p", str(port))
        return Launch(
            argv=argv,
            env=self._env(),
            log=self.log_folder / f"postgres:{instance}.log",
            user=self.user,
            guarded=True,
            stop_signal=signal.SIGINT,  # "fast": ends its sessions instead of waiting for them
        )

    def _tool(self, instance: str, program: str, *arguments: str) -> Launch:
        log = self.log_folder / f"postgres:{instance}.log"
        return Launch((str(self.binaries / program), *arguments), self._env(), log, user=self.user, guarded=True)

    def _env(self) -> dict[str, str]:
        return {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "HOME": "/tmp", "PGPASSWORD": self.password}

    def _write(self, path: Path, text: str) -> None:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        self._give_away(path)

    def _append(self, path: Path, text: str) -> None:
        with path.open("a") as file:
            file.write(text)

    def _give_away(self, path: Path) -> None:
        if self.user:
            entry = pwd.getpwnam(self.user)
            os.chown(path, entry.pw_uid, entry.pw_gid)


@asynccontextmanager
async def connection(dsn: str, database: str = DATABASE, *, within_s: float = 10) -> AsyncIterator[Any]:
    """An asyncpg connection that gives up on its own: a frozen server would hang its clients for ever."""
    opened = await asyncpg.connect(dsn, database=database, timeout=within_s, command_timeout=within_s)
    try:
        yield opened
    finally:
        opened.terminate()


async def create_database(dsn: str) -> None:
    async with connection(dsn, database="postgres") as admin:
        await admin.execute(f"CREATE DATABASE {DATABASE}")


async def require_standby(dsn: str) -> None:
    """From now on a commit waits for the standby. Set after the base backup, so that the standby has it not."""
    async with connection(dsn) as admin:
        await admin.execute(f"ALTER SYSTEM SET synchronous_standby_names = 'FIRST 1 ({STANDBY})'")
        await admin.execute("SELECT pg_reload_conf()")


async def accepts(dsn: str) -> bool:
    async with connection(dsn, database="postgres", within_s=1) as probe:
        return bool(await probe.fetchval("SELECT 1"))


async def sync_state(dsn: str) -> str | None:
    """How the primary sees its standby: ``sync``, ``async`` or ``potential``; None when it is not streaming."""
    async with connection(dsn) as probe:
        query = "SELECT sync_state FROM pg_stat_replication WHERE application_name = $1 AND state = 'streaming'"
        state: str | None = await probe.fetchval(query, STANDBY)
        return state


async def standby_is_synchronous(dsn: str) -> None:
    """Returns once the primary counts its standby as synchronous."""
    while True:
        if await sync_state(dsn) == "sync":
            return
        await asyncio.sleep(0.02)
