"""The embedded stack: the topology as child processes of this one, on this machine, and nothing left behind."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import aiohttp

from stack.accounts import with_staff
from stack.backup import host as backup_host
from stack.control import ControlServer, call_async
from stack.errors import StackError, StartError
from stack.naming import Names
from stack.options import StackOptions
from stack.ports import PortReserve
from stack.postgres.host import operations
from stack.postgres.nodes import PAIR
from stack.postgres.servers import Cluster
from stack.postgres_watch import PostgresWatch
from stack.process import ChildProcess, Identity, Launch
from stack.programs import python_env
from stack.redis import RedisPair, redis_url
from stack.redis_watch import RedisWatch
from stack.registry import ProcessEntry, RegistryEntry, ports_folder, remove_entry, sweep, write_entry
from stack.roles import RoleWatch
from stack.small_disk import SmallDisk
from stack.startup import BACKUP_SOCKET, CONTROL_SOCKET, SUPERVISOR_SOCKET, Startup
from stack.status import AccountStatus, InstrumentStatus, KeyStatus, NodeStatus, PersonStatus, StackStatus
from stack.supervisor import EventSink, Supervisor
from stack.tasks import end
from stack.topology import POSTGRES_PRIMARY, REDIS_PRIMARY, Link, Node, Role, Topology, UnknownSelectorError
from stack.wiring import HOST, Wiring, wire

_STOP_ORDER: Final = (
    (Role.LOAD, Role.MARKET),
    (Role.API, Role.FEED),
    (Role.ENGINE,),
    (Role.BACKUP, Role.SUPERVISOR),  # or it would take the end of its servers for their failure
    (Role.REDIS, Role.SENTINEL, Role.TOXIPROXY, Role.POSTGRES, Role.WAL),
)
_STOP_LIMIT_S: Final = 3.0
_RESTART_LIMIT_S: Final = 20.0


def _ignore(name: str, **fields: object) -> None:
    pass


class EmbeddedStack:
    """Use it as ``async with EmbeddedStack(topology, options) as stack`` on the main thread's event loop.

    ``on_event(name, **fields)`` is called at once for stack_swept, node_started, node_ready, node_exited,
    node_restarted, node_not_ready, node_frozen, node_resumed, role_changed and stack_ready.
    """

    def __init__(self, topology: Topology, options: StackOptions, on_event: EventSink = _ignore) -> None:
        self.topology = with_staff(topology)
        self.options = options
        self._names = Names(self.topology)
        self.stack_id = secrets.token_hex(4)
        self.folder = Path(f"/tmp/elson-{self.stack_id}")  # short: the path of a Unix socket ends at 107 bytes
        self.control = ControlServer(self.folder / CONTROL_SOCKET)
        self.down_requested = asyncio.Event()
        self.small_disk: SmallDisk | None = None  # once the start began, where the topology has one
        self._on_event = on_event
        self._supervisor = Supervisor(self._event, self._register)
        self._owner = ProcessEntry.of("owner", Identity.of(os.getpid()) or Identity(os.getpid(), -1))
        self._ports: PortReserve | None = None
        self._wiring: Wiring | None = None
        self._startup: Startup | None = None
        self._session: aiohttp.ClientSession | None = None
        self._roles: RoleWatch | None = None
        self._role_task: asyncio.Task[None] | None = None
        self._postgres: PostgresWatch | None = None
        self._redis: RedisPair | None = None
        self._redis_watch: RedisWatch | None = None
        self._redis_task: asyncio.Task[None] | None = None
        self._bringing_up: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None

    async def __aenter__(self) -> EmbeddedStack:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Everything ready when this returns, or nothing left when it raises (StackError, or what cancelled it)."""
        began = time.monotonic()
        try:
            await self._prepare()
            assert self._startup is not None
            self._bringing_up = asyncio.get_running_loop().create_task(self._startup.run())
            await asyncio.wait_for(self._bringing_up, self.options.start_limit_s)
        except TimeoutError:
            late = self._supervisor.describe_late(self.options.start_limit_s)
            await self.stop()
            raise StartError(late) from None
        except OSError as error:
            await self.stop()
            raise StartError(f"the stack cannot be prepared: {error}") from error
        except BaseException:
            task = asyncio.current_task()
            stopped = self._stopping is not None and not (task and task.cancelling())
            await self.stop()
            if stopped:
                raise StartError("the stack was stopped while it was starting") from None
            raise
        if self._redis_watch and Role.SENTINEL in self.options.roles:
            self._redis_task = asyncio.get_running_loop().create_task(self._redis_watch.run())
        self._register()
        self._event("stack_ready", stack_id=self.stack_id, took_ms=round((time.monotonic() - began) * 1000))

    async def stop(self) -> None:
        """Ends every process and removes the data folder, however far the start had come. May be called again."""
        if self._stopping is None:
            self._stopping = asyncio.get_running_loop().create_task(self._shut_down())
        try:
            await asyncio.shield(self._stopping)
        except asyncio.CancelledError:  # impatient: the hard way, but still to the end
            self._supervisor.kill_now()
            await self._stopping
            raise

    def status(self) -> StackStatus:
        return StackStatus(
            stack_id=self.stack_id,
            owner_pid=os.getpid(),
            folder=str(self.folder),
            control=str(self.control.path),
            toxiproxy=self.toxiproxy_url if self._wiring else "",
            nodes=[self._node_status(node) for node in self.topology.nodes],
            links=self._wiring.status() if self._wiring else [],
            endpoints={"api": self._endpoints(Role.API, "http"), "feed": self._endpoints(Role.FEED, "ws")},
            accounts=[
                AccountStatus(account_id=a.account_id, name=a.name, key_id=a.key_id, secret_key=a.secret_key)
                for a in self.topology.accounts
            ],
            instruments=[
                InstrumentStatus(
                    symbol=i.symbol, tick_micros=i.tick_micros, reference_price_micros=i.reference_price_micros
                )
                for i in self.topology.instruments
            ],
            keys=[KeyStatus(**asdict(key)) for key in self.topology.keys],
            people=[PersonStatus(**asdict(person)) for person in self.topology.people],
        )

    @property
    def wiring(self) -> Wiring:
        """Addresses of nodes and links, known once the start began."""
        if self._wiring is None:
            raise StackError("the stack is not started")
        return self._wiring

    @property
    def toxiproxy_url(self) -> str:
        return f"http://{self.wiring.address('toxiproxy:1')}"

    @property
    def postgres(self) -> Cluster:
        """Addresses, database roles and folders of the PostgreSQL cluster."""
        if self._postgres is None:
            raise StackError("the stack is not started")
        return self._postgres.cluster

    def postgres_dsn(self, name: str = POSTGRES_PRIMARY) -> str:
        """As superuser, straight to the server that it is now, past any proxy."""
        return self.postgres.dsn(self.wiring.address(self._names.find(name)))

    async def ask_supervisor(self, operation: str, *, within_s: float = 60, **fields: Any) -> dict[str, Any]:
        """``status``, ``failover``, ``switchover``, ``rejoin`` (node) or ``adopt`` (folder) of the PostgreSQL cluster.

        Returns its status afterwards. Raises ControlError when it refuses or does not answer.
        """
        answer = await call_async(self.folder / SUPERVISOR_SOCKET, operation, within_s=within_s, **fields)
        status: dict[str, Any] = answer["status"]
        return status

    async def ask_backup(self, operation: str, *, within_s: float = 60, **fields: Any) -> dict[str, Any]:
        """``now``, ``list``, ``verify``, ``point``, ``restore`` or ``status`` of the backup process.

        Raises ControlError when it refuses or does not answer.
        """
        return await call_async(self.folder / BACKUP_SOCKET, operation, within_s=within_s, **fields)

    @property
    def redis_url(self) -> str:
        """For clients of the pair, past any proxy."""
        if Role.SENTINEL in self.options.roles:
            return redis_url(self.topology, self.wiring)
        return f"redis://{self.wiring.address(self._names.find(REDIS_PRIMARY))}/0"

    @property
    def key_pepper(self) -> str:
        """The secret of the keyed hashes, for who makes keys past the API."""
        if self._startup is None:
            raise StackError("the stack is not started")
        return self._startup.programs.key_pepper

    def base_url(self, name: str) -> str:
        """Straight to the HTTP server of an engine, api or feed."""
        return f"http://{self.wiring.address(name)}"

    def link_url(self, client: str, server: str) -> str:
        """Where the node ``client`` reaches ``server`` over HTTP: through the link's proxy if it has one."""
        for link in self.topology.links:
            if (link.client.name, link.server.name) == (client, server):
                return f"http://{self.wiring.listen(link)}"
        raise UnknownSelectorError(f"no link {client}->{server}")

    def node(self, name: str) -> NodeStatus:
        """Raises UnknownSelectorError."""
        return self._node_status(self._names.find(name))

    async def resolve(self, selector: str) -> list[Node]:
        """The nodes a selector means now; see ``Names.resolve``."""
        return await self._names.resolve(selector)

    async def resolve_links(self, selector: str) -> list[Link]:
        """The links from one selector's nodes to another's; see ``Names.resolve_links``."""
        return await self._names.resolve_links(selector)

    async def freeze(self, name: str) -> None:
        """SIGSTOP to the node's process and everything it forked."""
        node = self._names.find(name)
        await (self._redis_watch_of(node) or self._supervisor).freeze(node.name)

    async def resume(self, name: str) -> None:
        """SIGCONT; a Redis that may have been replaced meanwhile is killed and started as a replica instead."""
        node = self._names.find(name)
        if watch := self._redis_watch_of(node):
            await watch.resume(node.name)
        else:
            self._supervisor.resume(node.name)

    async def kill(self, name: str) -> None:
        """SIGKILL; the node stays down until ``restart``."""
        node = self._names.find(name)
        if watch := self._postgres_watch_of(node):
            await watch.hold_down(node.name)
        else:
            await self._supervisor.kill(node.name)

    def allow(self, name: str) -> None:
        """A server of the database that ``kill`` keeps down may be started again, once its supervisor wants to."""
        if self._postgres:
            self._postgres.allow(name)

    async def terminate(self, name: str, within_s: float = _STOP_LIMIT_S) -> int:
        """An orderly end (SIGTERM), hard after ``within_s``; the node stays down. Returns the exit code."""
        return await self._supervisor.terminate(self._names.find(name).name, within_s)

    async def restart(self, name: str, within_s: float = _RESTART_LIMIT_S) -> None:
        """Ends the node if it runs, starts it, and returns when it is ready. Raises StartError."""
        node = self._names.find(name)
        watch = self._redis_watch_of(node) or self._postgres_watch_of(node)
        await (watch or self._supervisor).restart(node.name, within_s)

    async def start_program(self, name: str, argv: Sequence[str], env: Mapping[str, str]) -> ChildProcess:
        """Runs a program as the node ``name`` (market or load), its log and end like any node's.

        ``env`` is added to this process's environment. Await ``wait()`` of what is returned for its exit code.
        """
        node = self._names.find(name)
        log = self.options.log_folder / f"{name}.log"
        launch = Launch(tuple(argv), {**python_env(), **env}, log, cwd=Path.cwd(), guarded=True)
        await self._supervisor.start(node, launch)
        process = self._supervisor.process(name)
        assert process is not None
        return process

    async def _prepare(self) -> None:
        if removed := sweep():
            self._event("stack_swept", removed=removed)
        self.folder.mkdir(mode=0o700)
        if os.getuid() == 0:
            self.folder.chmod(0o711)  # PostgreSQL runs as nobody: it may pass through, not look around
        self._register()
        self.options.log_folder.mkdir(parents=True, exist_ok=True)
        self._ports = PortReserve(ports_folder())
        self._wiring = wire(self.topology, self._ports.take, self.options.ports)
        self._session = aiohttp.ClientSession()
        engines = {n.name: self.base_url(n.name) for n in self.topology.nodes if n.role is Role.ENGINE}
        self._roles = self._names.engines = RoleWatch(self._session, engines, self._event)
        self._postgres = self._names.postgres = PostgresWatch(
            self._supervisor, self._cluster(self._wiring), self._event
        )
        if node := self.topology.small_disk:
            self.small_disk = SmallDisk.mounted(node, self.postgres.data(node))
        self._redis = RedisPair(self.topology, self._wiring, self.folder / "redis")
        self._redis_watch = self._names.redis = RedisWatch(self._supervisor, self._redis, self._event)
        self._startup = Startup(
            topology=self.topology,
            wiring=self._wiring,
            options=self.options,
            folder=self.folder,
            supervisor=self._supervisor,
            postgres=self._postgres,
            redis=self._redis,
            session=self._session,
        )
        self.control.handlers["status"] = self._answer_status
        self.control.handlers["down"] = self._answer_down
        self.control.handlers |= operations(self._postgres)
        self.control.handlers["db"] = self._answer_db
        self.control.handlers |= backup_host.operations(self.folder / BACKUP_SOCKET)
        await self.control.start()
        if Role.ENGINE in self.options.roles:
            self._role_task = asyncio.get_running_loop().create_task(self._roles.run())

    async def _shut_down(self) -> None:
        await end(*(task for task in (self._bringing_up, self._role_task, self._redis_task) if task))
        await self._supervisor.stop(_STOP_ORDER, _STOP_LIMIT_S)
        await self.control.stop()
        if self._postgres:
            await self._postgres.close()
        if self._redis:
            await self._redis.close()
        if self._session:
            await self._session.close()
        if self._ports:
            self._ports.release()
        if self.small_disk:
            self.small_disk.unmount()
        shutil.rmtree(self.folder, ignore_errors=True)
        remove_entry(self.stack_id)

    async def _answer_status(self) -> dict[str, Any]:
        return {"status": self.status().model_dump(mode="json", by_alias=True)}

    async def _answer_down(self) -> dict[str, Any]:
        self.down_requested.set()
        return {}

    async def _answer_db(self, operation: str, **fields: Any) -> dict[str, Any]:
        return {"status": await self.ask_supervisor(operation, **fields)}

    def _event(self, name: str, **fields: object) -> None:
        if name == "node_exited" and self._roles:
            self._roles.forget(str(fields["node"]))
        self._on_event(name, **fields)

    def _register(self) -> None:
        processes = self._supervisor.processes()
        entries = [ProcessEntry.of(name, process.identity) for name, process in processes.items()]
        entry = RegistryEntry(owner=self._owner, folder=self.folder, processes=entries, status=self.status())
        write_entry(entry)

    def _cluster(self, wiring: Wiring) -> Cluster:
        servers = {node.name: wiring.ports[node.name] for node in self.topology.nodes if node.role is Role.POSTGRES}
        links = {
            link.name: wiring.listen(link)
            for link in self.topology.links
            if link.proxied and link.client.role in (Role.POSTGRES, Role.WAL) and link.server.name in PAIR
        }
        return Cluster.prepare(self.folder / "pg", self.options.log_folder, servers, links)

    def _redis_watch_of(self, node: Node) -> RedisWatch | None:
        """Who knows in which role a Redis may run, when there are sentinels."""
        return self._redis_watch if self._redis_task and node.role is Role.REDIS else None

    def _postgres_watch_of(self, node: Node) -> PostgresWatch | None:
        """Who lets the cluster's supervisor start a server, when there is one."""
        supervised = Role.SUPERVISOR in self.options.roles and node.role in (Role.POSTGRES, Role.WAL)
        return self._postgres if supervised else None

    def _node_status(self, node: Node) -> NodeStatus:
        process, state = self._supervisor.process(node.name), self._supervisor.state(node.name)
        return NodeStatus(
            name=node.name,
            role=self._names.role(node),
            pid=process.pid if process and process.running else None,
            host=HOST,
            port=self._wiring.ports.get(node.name) if self._wiring else None,
            state=state.value,
        )

    def _endpoints(self, role: Role, scheme: str) -> list[str]:
        nodes = [node for node in self.topology.nodes if node.role is role and self._wiring]
        return [f"{scheme}://{self.wiring.address(node)}" for node in nodes]
