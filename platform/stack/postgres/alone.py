"""The cluster and its supervisor without the rest of the platform, for tests and drills."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from stack.control import ControlServer, call_async
from stack.errors import ControlError, StackError, StartError
from stack.ports import PortReserve
from stack.postgres.__main__ import CONFIG, DIE_AT, Config
from stack.postgres.bootstrap import Bootstrap
from stack.postgres.host import ChildHost, EventSink, operations
from stack.postgres.nodes import PAIR, SERVERS, SUPERUSER
from stack.postgres.proxies import CLIENTS, Proxies
from stack.postgres.record import Record, Step
from stack.postgres.servers import Cluster
from stack.process import ChildProcess, Launch, log_tail
from stack.programs import python_env
from stack.registry import ports_folder

_POLL_S: Final = 0.01
_LIMIT_S: Final = 30.0


class PostgresCluster:
    """``async with PostgresCluster() as cluster``: five processes as children of this one, and the supervisor's.

    Use it on the main thread. ``proxied``: replication and clients go through ``proxies``; the supervisor never does.
    """

    def __init__(
        self, on_event: EventSink = lambda name, **fields: None, *, supervised: bool = True, proxied: bool = False
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="elson-pg-", dir="/tmp"))
        self._ports = PortReserve(ports_folder())
        self._supervised = supervised
        ports = {node: self._ports.take() for node in SERVERS}
        self.proxies = Proxies(self._ports, ports, self.folder) if proxied else None
        links = self.proxies.addresses if self.proxies else {}
        if os.getuid() == 0:
            self.folder.chmod(0o711)
        self.cluster = Cluster.prepare(self.folder / "pg", self.folder / "logs", ports, links)
        self.host = ChildHost(self.cluster.launch, on_event)
        self._control = ControlServer(self.folder / "owner.sock")
        self._config = Config(self.cluster, self._control.path, self.folder / "supervisor.sock")
        self._supervisors: list[ChildProcess] = []

    async def __aenter__(self) -> PostgresCluster:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        self._control.handlers.update(operations(self.host))
        await self._control.start()
        self._config.write(self._config_file)
        if self.proxies:
            await self.proxies.start()
        bootstrap = Bootstrap(self.cluster, self.host)
        await bootstrap.initialise()
        await bootstrap.primary()
        await bootstrap.others()
        if self._supervised:
            await self.start_supervisor()

    async def stop(self) -> None:
        await self.end_supervisor()
        await self.host.end()
        if self.proxies:
            await self.proxies.end()
        await self._control.stop()
        self._ports.release()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def start_supervisor(self, *, die_at: str | None = None) -> ChildProcess:
        """Returns when one answers, or this one has ended already."""
        env = {**python_env(), CONFIG: str(self._config_file)}
        if die_at:
            env[DIE_AT] = die_at
        argv = (sys.executable, "-m", "stack.postgres")
        process = ChildProcess.start(Launch(argv, env, self.log("supervisor:1"), cwd=Path.cwd(), guarded=True))
        self._supervisors.append(process)
        while process.running:
            try:
                await self.status()
                break
            except ControlError:
                await asyncio.sleep(_POLL_S)
        return process

    async def end_supervisor(self) -> None:
        while self._supervisors:
            await self._supervisors.pop().kill()

    async def freeze_supervisor(self) -> None:
        await self._supervisors[-1].freeze()

    def resume_supervisor(self) -> None:
        self._supervisors[-1].resume()

    async def ask(self, op: str, **fields: object) -> Mapping[str, Any]:
        """An operation of the supervisor's; returns the status after it. Raises ControlError when it refuses."""
        answer: Mapping[str, Any] = (await call_async(self._config.control, op, within_s=60, **fields))["status"]
        return answer

    async def status(self) -> Mapping[str, Any]:
        return await self.ask("status")

    @property
    def record(self) -> Record:
        return Record.load(self.cluster.record)

    @property
    def primary(self) -> str:
        return self.record.primary

    def dsn(self, node: str | None = None, role: str = SUPERUSER) -> str:
        return self.cluster.dsn(self.cluster.address(node or self.primary), role)

    def clients_dsn(self, role: str = SUPERUSER) -> str:
        """Names both servers of the pair, for clients that find the primary themselves."""
        links = self.cluster.links
        own = (links.get(f"{CLIENTS}->{node}", self.cluster.address(node)) for node in PAIR)
        return self.cluster.dsn(",".join(own), role)

    def log(self, node: str) -> Path:
        return self.cluster.log_folder / f"{node}.log"

    async def redundant(self, within_s: float = _LIMIT_S) -> float:
        """Seconds until every process runs, streams and counts again. Raises StartError when they do not in time."""
        began_s = time.monotonic()
        while time.monotonic() - began_s < within_s:
            try:
                if whole(await self.status()):
                    return time.monotonic() - began_s
            except StackError:
                pass
            await asyncio.sleep(_POLL_S)
        tails = "\n".join(f"{path.name}:\n{log_tail(path)}" for path in sorted(self.cluster.log_folder.iterdir()))
        raise StartError(f"not redundant within {within_s:g} s: {self.record}\n{tails}")

    def kill_program(self, node: str, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    @property
    def _config_file(self) -> Path:
        return self.folder / "supervisor.json"


def whole(status: Mapping[str, Any]) -> bool:
    """Whether every process runs, streams and counts, by the supervisor's status."""
    followers = [node for node in status["nodes"] if node["role"] != "primary"]
    well = all(node["running"] and node["streaming"] and node["stage"] is None for node in followers)
    return well and status["step"] == Step.STEADY and len(status["sync"]) == len(followers) - 1
