"""What tests do to the Redis pair that the stack itself never would."""

from __future__ import annotations

import asyncio
import os
import signal

from redis.asyncio import Redis
from redis.exceptions import RedisError

from stack.embedded import EmbeddedStack


def hit(stack: EmbeddedStack, name: str, number: signal.Signals = signal.SIGKILL) -> str:
    """A signal from outside, of which the stack knows nothing; the node's own name."""
    node = stack.node(name)
    assert node.pid is not None
    os.kill(node.pid, number)
    return node.name


async def cut_replication(stack: EmbeddedStack) -> None:
    """The replica hears nothing more, as behind a cut link. It will be elected all the same: there is no other."""
    async with client_of(stack, "redis:replica") as client:
        await client.replicaof("127.0.0.1", 1)


def client_of(stack: EmbeddedStack, name: str) -> Redis:
    """Of one server, whatever its role."""
    return Redis.from_url(f"redis://{stack.wiring.address(stack.node(name).name)}", protocol=2, socket_timeout=6)


async def roles(stack: EmbeddedStack) -> list[str]:
    """``master`` and ``slave`` as the servers say themselves, sorted."""
    found = []
    for name in ("redis:1", "redis:2"):
        async with client_of(stack, name) as client:
            found.append((await client.role())[0].decode())
    return sorted(found)


async def whole_again(stack: EmbeddedStack, lost: str, within_s: float = 15) -> None:
    """Returns when ``lost`` follows another that leads."""
    async with asyncio.timeout(within_s):
        while True:
            states = {stack.node(name).state for name in ("redis:1", "redis:2")}
            if stack.node("redis:replica").name == lost and states == {"ready"} and await _replicates(stack):
                return
            await asyncio.sleep(0.05)


async def _replicates(stack: EmbeddedStack) -> bool:
    try:
        async with client_of(stack, "redis:replica") as client:
            role = await client.role()
    except RedisError:
        return False
    return role[0] == b"slave" and role[3] == b"connected"
