"""The Redis pair and its three Sentinels: their configuration files, and what they answer."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from stack.binaries import require
from stack.topology import Node, Role, Topology
from stack.wiring import HOST, Wiring

MASTER: Final = "elson"  # what the sentinels call the pair
_QUORUM: Final = 2
_ANSWER_LIMIT_S: Final = 0.25

# Nothing is kept on disk: what is in Redis can be made again. Replicas are fed at once and a dead peer noticed in 5 s.
_SERVER: Final = """\
port {port}
bind {host}
dir {folder}
save ""
appendonly no
repl-timeout 5
repl-ping-replica-period 1
repl-diskless-sync yes
repl-diskless-sync-delay 0
"""
_SENTINEL: Final = """\
port {port}
bind {host}
dir {folder}
sentinel myid {id}
sentinel monitor {master} {host} {primary} {quorum}
sentinel down-after-milliseconds {master} 500
sentinel failover-timeout {master} 3000
sentinel parallel-syncs {master} 1
"""


@dataclass(frozen=True, slots=True)
class RedisFiles:
    """A folder for each Redis and each sentinel below ``folder``. Sentinels keep what they learn in their files."""

    folder: Path
    wiring: Wiring
    servers: Sequence[Node]
    sentinels: Sequence[Node]

    @property
    def _ports(self) -> Mapping[str, int]:
        return self.wiring.ports

    def first(self, node: Node) -> tuple[str, ...]:
        """A server's or sentinel's command line for the start of the stack."""
        if node in self.sentinels:
            return self._sentinel(node)
        return self.server(node, primary=None if node == self.servers[0] else self.servers[0].name)

    def server(self, node: Node, *, primary: str | None) -> tuple[str, ...]:
        """Writes a server's file anew, as a replica of the node ``primary`` unless that is None; its command line."""
        text = _SERVER.format(port=self._ports[node.name], host=HOST, folder=self._folder(node))
        if primary is not None:
            text += f"replicaof {HOST} {self._ports[primary]}\n"
        return (str(require("redis-server")), str(self._write(node, text)))

    def _sentinel(self, node: Node) -> tuple[str, ...]:
        """It knows the others and the replicas from the start: a primary may die in the stack's first second."""
        primary, *replicas = self.servers
        text = _SENTINEL.format(
            port=self._ports[node.name],
            host=HOST,
            folder=self._folder(node),
            id=_id(node),
            master=MASTER,
            primary=self._ports[primary.name],
            quorum=_QUORUM,
        )
        for replica in replicas:
            text += f"sentinel known-replica {MASTER} {HOST} {self._ports[replica.name]}\n"
        for other in self.sentinels:
            if other != node:
                text += f"sentinel known-sentinel {MASTER} {HOST} {self._ports[other.name]} {_id(other)}\n"
        return (str(require("redis-server")), str(self._write(node, text)), "--sentinel")

    def _folder(self, node: Node) -> Path:
        return self.folder / node.name.replace(":", "-")

    def _write(self, node: Node, text: str) -> Path:
        folder = self._folder(node)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "redis.conf"
        path.write_text(text)
        return path


def _id(sentinel: Node) -> str:
    return hashlib.sha1(sentinel.name.encode(), usedforsecurity=False).hexdigest()


def redis_url(topology: Topology, wiring: Wiring) -> str:
    """For clients that find the primary themselves."""
    sentinels = ",".join(wiring.address(node) for node in topology.nodes if node.role is Role.SENTINEL)
    return f"redis+sentinel://{sentinels}/{MASTER}/0"


@dataclass(frozen=True, slots=True)
class Primary:
    """Who leads the pair since which election (``epoch``), by the sentinels."""

    node: str
    epoch: int


class RedisPair:
    """Asks servers and sentinels, each within a quarter of a second: a frozen one answers nothing."""

    def __init__(self, topology: Topology, wiring: Wiring, folder: Path) -> None:
        """``folder`` gets their files."""
        self.servers = tuple(node for node in topology.nodes if node.role is Role.REDIS)
        sentinels = tuple(node for node in topology.nodes if node.role is Role.SENTINEL)
        self.files = RedisFiles(folder, wiring, self.servers, sentinels)
        self._nodes = {wiring.ports[node.name]: node.name for node in self.servers}
        self._servers = {node.name: _client(wiring.ports[node.name]) for node in self.servers}
        self._sentinels = {node.name: _client(wiring.ports[node.name]) for node in sentinels}

    async def close(self) -> None:
        for client in (*self._servers.values(), *self._sentinels.values()):
            await client.aclose()

    async def primary(self) -> Primary | None:
        """The latest that a sentinel tells: an election takes a majority, so the highest epoch holds. None: silence."""
        answers = await asyncio.gather(*map(_told_by, self._sentinels.values()))
        found = [Primary(self._nodes[port], epoch) for epoch, port in filter(None, answers) if port in self._nodes]
        return max(found, key=lambda primary: primary.epoch, default=None)

    async def role(self, server: str) -> str | None:
        """``master`` or ``slave``, as it says itself; ``busy`` if it says no more; None when it does not answer."""
        try:
            answer = await self._servers[server].role()
        except ResponseError:
            return "busy"
        except (RedisError, OSError):
            return None
        return bytes(answer[0]).decode()

    async def ready(self, node: str) -> bool:
        if node in self._sentinels:
            return await self._can_elect(node)
        return await self.role(node) in ("master", "slave")

    async def _can_elect(self, sentinel: str) -> bool:
        """Whether it knows a majority of its like, so that they could elect."""
        try:
            await self._sentinels[sentinel].sentinel_ckquorum(MASTER)
        except RedisError:
            return False
        return True


async def _told_by(sentinel: Redis) -> tuple[int, int] | None:
    """The epoch, and the primary's port: of one that was elected as soon as it is, before the others have heard."""
    try:
        async with sentinel.pipeline(transaction=False) as pipeline:
            pipeline.sentinel_master(MASTER)
            pipeline.sentinel_get_master_addr_by_name(MASTER)
            state, (_, port) = await pipeline.execute()
    except (RedisError, OSError):
        return None
    return state["config-epoch"], port


def _client(port: int) -> Redis:
    return Redis(
        host=HOST,
        port=port,
        socket_timeout=_ANSWER_LIMIT_S,
        socket_connect_timeout=_ANSWER_LIMIT_S,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
