"""How a stack comes up: each step as soon as what it needs is there, what is independent at the same time."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from stack.backup.key import Key
from stack.backup.settings import CONFIG as BACKUP_CONFIG
from stack.backup.settings import Config as BackupConfig
from stack.backup.settings import Settings as BackupSettings
from stack.binaries import require
from stack.control import call_async
from stack.errors import ControlError, StackError, StartError
from stack.options import StackOptions
from stack.postgres import tools
from stack.postgres.__main__ import CONFIG
from stack.postgres.__main__ import Config as SupervisorConfig
from stack.postgres.bootstrap import Bootstrap
from stack.postgres_watch import PostgresWatch
from stack.process import Launch
from stack.programs import MIGRATE, SEED, Programs, python_env
from stack.redis import RedisPair
from stack.supervisor import Supervisor
from stack.topology import Node, Role, Topology
from stack.toxiproxy import proxies_listen, toxiproxy_argv, write_proxies
from stack.wiring import HOST, Wiring

CONTROL_SOCKET = "control.sock"  # of the stack's owner; both below the stack's folder
SUPERVISOR_SOCKET = "supervisor.sock"
BACKUP_SOCKET = "backup.sock"
_ANSWER_LIMIT = aiohttp.ClientTimeout(total=2)
_TOXIPROXY = Node(Role.TOXIPROXY, "1")
_SUPERVISOR = Node(Role.SUPERVISOR, "1")
_SUPERVISE = (sys.executable, "-m", "stack.postgres")
_BACKUP = Node(Role.BACKUP, "1")
_BACK_UP = (sys.executable, "-m", "stack.backup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Startup:
    """One start of one stack below ``folder``; the nodes are handed to ``supervisor``."""

    topology: Topology
    wiring: Wiring
    options: StackOptions
    folder: Path
    supervisor: Supervisor
    postgres: PostgresWatch
    redis: RedisPair
    session: aiohttp.ClientSession
    programs: Programs = field(init=False)

    def __post_init__(self) -> None:
        logs, cluster = self.options.log_folder, self.postgres.cluster
        programs = Programs(self.topology, self.wiring, cluster, logs, self.options.lease_ttl_ms, secrets.token_hex(32))
        object.__setattr__(self, "programs", programs)

    async def run(self) -> None:
        """Raises StackError as soon as any step fails; the other steps are cancelled then."""
        try:
            async with asyncio.TaskGroup() as steps:
                self._plan(steps)
        except BaseExceptionGroup as failed:
            error = failed.exceptions[0]
            if isinstance(error, StackError):
                raise error from None
            raise StartError(f"the start failed: {type(error).__name__}: {error}") from error

    def _plan(self, steps: asyncio.TaskGroup) -> None:
        redis = [
            steps.create_task(self._redis(node))
            for node in self.topology.nodes
            if node.role in (Role.REDIS, Role.SENTINEL) and node.role in self.options.roles
        ]
        proxies = steps.create_task(self._toxiproxy())
        bootstrap = Bootstrap(self.postgres.cluster, self.postgres, receiver=Role.WAL in self.options.roles)
        cluster = steps.create_task(self._database(bootstrap.initialise, needs=()))
        primary = steps.create_task(self._database(bootstrap.primary, needs=(cluster,)))
        others = steps.create_task(self._database(bootstrap.others, needs=(primary, proxies)))
        steps.create_task(self._supervise(needs=(others,)))
        steps.create_task(self._back_up(needs=(others,)))
        migration = steps.create_task(self._migrate(needs=(primary,)))
        for node in self.topology.nodes:
            if node.role in self.options.programs:
                # They wait for their database, so they start beside it; but initdb, which everything waits for, must
                # not share the processors with them.
                steps.create_task(self._program(node, needs=(*redis, proxies, cluster)))
        steps.create_task(self._seed(needs=(others, migration)))

    async def _redis(self, node: Node) -> None:
        launch = self._launch(node, self.redis.files.first(node))
        await self.supervisor.start(node, launch, lambda: self.redis.ready(node.name))

    async def _toxiproxy(self) -> None:
        if Role.TOXIPROXY in self.options.roles:
            config, port = self.folder / "proxies.json", self.wiring.ports[_TOXIPROXY.name]
            write_proxies(config, self.wiring)
            launch = self._launch(_TOXIPROXY, toxiproxy_argv(require("toxiproxy-server"), port, config))
            expected = {link.name for link in self.topology.links if link.proxied}
            url = f"http://{HOST}:{port}"
            await self.supervisor.start(_TOXIPROXY, launch, lambda: proxies_listen(self.session, url, expected))

    async def _database(self, part: Callable[[], Awaitable[object]], needs: Iterable[asyncio.Task[None]]) -> None:
        await _all_done(needs)
        if Role.POSTGRES in self.options.roles:
            await part()

    async def _supervise(self, needs: Iterable[asyncio.Task[None]]) -> None:
        await _all_done(needs)
        if Role.SUPERVISOR in self.options.roles:
            control, config = self.folder / SUPERVISOR_SOCKET, self.folder / "supervisor.json"
            SupervisorConfig(self.postgres.cluster, self.folder / CONTROL_SOCKET, control).write(config)
            await self._tend(_SUPERVISOR, _SUPERVISE, {CONFIG: str(config)}, control)

    async def _back_up(self, needs: Iterable[asyncio.Task[None]]) -> None:
        await _all_done(needs)
        if Role.BACKUP in self.options.roles:
            control, config = self.folder / BACKUP_SOCKET, self.folder / "backup.json"
            key_file = self.options.key_file or self.folder / "backup.key"
            if not key_file.exists():
                Key.create(key_file)
            settings = BackupSettings(archive=self.options.archive or self.folder / "archive", key_file=key_file)
            BackupConfig(self.postgres.cluster, settings, self.folder / CONTROL_SOCKET, control).write(config)
            await self._tend(_BACKUP, _BACK_UP, {BACKUP_CONFIG: str(config)}, control)

    async def _tend(self, node: Node, argv: tuple[str, ...], env: dict[str, str], control: Path) -> None:
        """Starts one of those that look after the cluster; ready when it answers on its socket."""
        log = self.options.log_folder / f"{node.name}.log"
        launch = Launch(argv, {**python_env(), **env}, log, cwd=Path.cwd(), guarded=True)
        await self.supervisor.start(node, launch, lambda: _answers(control))

    async def _migrate(self, needs: Iterable[asyncio.Task[None]]) -> None:
        await _all_done(needs)
        if Role.ENGINE in self.options.roles:
            await tools.run(self.programs.one_shot("migrate", MIGRATE), "the database migration")

    async def _program(self, node: Node, needs: Iterable[asyncio.Task[None]]) -> None:
        await _all_done(needs)
        if node.role in self.options.roles:
            url = f"http://{self.wiring.address(node)}/health/ready"
            launch = self.programs.node(node, self.options.programs[node.role])
            await self.supervisor.start(node, launch, lambda: self._http_ready(url))

    async def _seed(self, needs: Iterable[asyncio.Task[None]]) -> None:
        await _all_done(needs)
        if Role.ENGINE in self.options.roles:
            seed = self.folder / "seed.json"
            self.programs.write_seed(seed)
            await tools.run(self.programs.one_shot("seeding", (*SEED, str(seed))), "the seeding")
            seed.unlink()

    async def _http_ready(self, url: str) -> bool:
        async with self.session.get(url, timeout=_ANSWER_LIMIT) as answer:
            return answer.status == 200

    def _launch(self, node: Node, argv: tuple[str, ...]) -> Launch:
        return Launch(
            argv,
            {"PATH": "/usr/bin:/bin", "LOG_LEVEL": "info"},
            self.options.log_folder / f"{node.name}.log",
            cwd=self.folder,
        )


async def _all_done(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Their errors are the task group's."""
    if waiting := list(tasks):
        await asyncio.wait(waiting)


async def _answers(control: Path) -> bool:
    try:
        return bool(await call_async(control, "status"))
    except ControlError:
        return False
