"""How a stack comes up: each step as soon as what it needs is there, what is independent at the same time."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from stack import postgres
from stack.binaries import require
from stack.errors import StackError, StartError
from stack.options import StackOptions
from stack.postgres import PostgresPair
from stack.process import ChildProcess, Launch, log_tail
from stack.programs import MIGRATE, SEED, Programs
from stack.redis import RedisPair
from stack.supervisor import Supervisor
from stack.topology import Node, Role, Topology
from stack.toxiproxy import proxies_listen, toxiproxy_argv, write_proxies
from stack.wiring import HOST, Wiring

_ANSWER_LIMIT = aiohttp.ClientTimeout(total=2)
_TOXIPROXY = Node(Role.TOXIPROXY, "1")
_PRIMARY, _STANDBY = Node(Role.POSTGRES, "primary"), Node(Role.POSTGRES, "standby")


@dataclass(frozen=True, slots=True, kw_only=True)
class Startup:
    """One start of one stack below ``folder``; the nodes are handed to ``supervisor``."""

    topology: Topology
    wiring: Wiring
    options: StackOptions
    folder: Path
    supervisor: Supervisor
    redis: RedisPair
    session: aiohttp.ClientSession
    pair: PostgresPair = field(init=False)
    programs: Programs = field(init=False)

    def __post_init__(self) -> None:
        logs = self.options.log_folder
        pair = PostgresPair.prepare(self.folder / "pg", logs)
        programs = Programs(self.topology, self.wiring, pair, logs, self.options.lease_ttl_ms, secrets.token_hex(32))
        object.__setattr__(self, "pair", pair)
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
        cluster = steps.create_task(self._initdb())
        primary = steps.create_task(self._primary(needs=(cluster,)))
        standby = steps.create_task(self._standby(needs=(primary, proxies)))
        migration = steps.create_task(self._migrate(needs=(primary,)))
        for node in self.topology.nodes:
            if node.role in self.options.programs:
                # They wait for their database, so they start beside it; but initdb, which everything waits for, must
                # not share the processors with them.
                steps.create_task(self._program(node, needs=(*redis, proxies, cluster)))
        steps.create_task(self._seed(needs=(standby, migration)))

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

    async def _initdb(self) -> None:
        if Role.POSTGRES in self.options.roles:
            await run_tool(self.pair.initdb(), "initdb of postgres:primary")
            self.pair.configure_primary()

    async def _primary(self, needs: Iterable[asyncio.Task[None]]) -> None:
        await asyncio.wait(needs)
        if Role.POSTGRES in self.options.roles:
            await self._postgres(_PRIMARY)
            await postgres.create_database(self.pair.dsn(self.wiring.address(_PRIMARY)))

    async def _standby(self, needs: Iterable[asyncio.Task[None]]) -> None:
        await asyncio.wait(needs)
        if Role.POSTGRES in self.options.roles:
            await run_tool(self.pair.basebackup(self.wiring.ports[_PRIMARY.name]), "base backup of postgres:primary")
            self.pair.configure_standby(self.wiring.servers(_STANDBY, Role.POSTGRES)[0])
            await self._postgres(_STANDBY)
            dsn = self.pair.dsn(self.wiring.address(_PRIMARY))
            await postgres.require_standby(dsn)
            await postgres.standby_is_synchronous(dsn)

    async def _postgres(self, node: Node) -> None:
        port = self.wiring.ports[node.name]
        dsn = self.pair.dsn(self.wiring.address(node))
        await self.supervisor.start(node, self.pair.server(node.instance, port), lambda: postgres.accepts(dsn))

    async def _migrate(self, needs: Iterable[asyncio.Task[None]]) -> None:
        await asyncio.wait(needs)
        if Role.ENGINE in self.options.roles:
            await run_tool(self.programs.one_shot("migrate", MIGRATE), "the database migration")

    async def _program(self, node: Node, needs: Iterable[asyncio.Task[None]]) -> None:
        await asyncio.wait(needs)
        if node.role in self.options.roles:
            url = f"http://{self.wiring.address(node)}/health/ready"
            launch = self.programs.node(node, self.options.programs[node.role])
            await self.supervisor.start(node, launch, lambda: self._http_ready(url))

    async def _seed(self, needs: Iterable[asyncio.Task[None]]) -> None:
        await asyncio.wait(needs)
        if Role.ENGINE in self.options.roles:
            seed = self.folder / "seed.json"
            self.programs.write_seed(seed)
            await run_tool(self.programs.one_shot("seeding", (*SEED, str(seed))), "the seeding")
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


async def run_tool(launch: Launch, what: str) -> None:
    """Runs a program to its end, which cancelling hastens. Raises StartError when it fails."""
    process = ChildProcess.start(launch)
    try:
        code = await process.wait()
    finally:
        await process.kill()
    if code != 0:
        raise StartError(f"{what} failed with exit code {code}; its log ({launch.log}) ends:\n{log_tail(launch.log)}")
