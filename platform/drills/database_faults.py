"""What the database drills do to a cluster: one fault, or two in the worst moments for each other."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Final

import asyncpg
import psutil

from stack.errors import ControlError
from stack.postgres.alone import PostgresCluster
from stack.postgres.nodes import RECEIVER, REPLICA, other
from stack.postgres.proxies import Proxies
from stack.postgres.sessions import NOT_ANSWERING, within

LIMIT_S: Final = 30.0
_MOMENT_S: Final = 0.3
_AWAY_S: Final = 1.0
_FROZEN_S: Final = 3.0
_STARVED_S: Final = 4.0
_GAPS_MS: Final = (0, 10, 100, 400)

Fault = Callable[[PostgresCluster], Awaitable[None]]


class UnsoundError(Exception):
    """Something happened that must not, whatever was acknowledged."""


async def kill_primary(cluster: PostgresCluster) -> None:
    await cluster.host.kill(cluster.primary)


async def freeze_primary(cluster: PostgresCluster) -> None:
    await cluster.host.freeze(cluster.primary)


async def kill_standby(cluster: PostgresCluster) -> None:
    await cluster.host.kill(other(cluster.primary))


async def freeze_standby(cluster: PostgresCluster) -> None:
    await cluster.host.freeze(other(cluster.primary))


async def kill_receiver(cluster: PostgresCluster) -> None:
    await cluster.host.kill(RECEIVER)


async def kill_replica(cluster: PostgresCluster) -> None:
    await cluster.host.kill(REPLICA)


async def switch_over(cluster: PostgresCluster) -> None:
    await cluster.ask("switchover")


async def kill_both(cluster: PostgresCluster) -> None:
    """The standby, and the primary when only the receiver has what was acknowledged in between."""
    primary = cluster.primary
    cluster.host.refuse(other(primary))
    await cluster.host.kill(other(primary))
    await until(lambda: cluster.record.sync == (RECEIVER,))
    await asyncio.sleep(_MOMENT_S)
    cluster.host.allow()
    await cluster.host.kill(primary)


async def lose_standby(cluster: PostgresCluster) -> None:
    """Its data are gone with it."""
    node = other(cluster.primary)
    await cluster.host.kill(node)
    shutil.rmtree(cluster.cluster.forget(node), ignore_errors=True)


async def lose_standby_then_primary(cluster: PostgresCluster) -> None:
    """Nobody can take over, and the old primary is sound."""
    primary = cluster.primary
    await lose_standby(cluster)
    await cluster.host.kill(primary)


async def one_then_the_other(gap_ms: int, order: str, cluster: PostgresCluster) -> None:
    nodes = {"primary": cluster.primary, "standby": other(cluster.primary), "receiver": RECEIVER}
    first, second = (nodes[name] for name in order.split(", "))
    await cluster.host.kill(first)
    await asyncio.sleep(gap_ms / 1000)
    await cluster.host.kill(second)


async def freeze_standby_kill_primary(cluster: PostgresCluster) -> None:
    primary = cluster.primary
    await freeze_standby(cluster)
    await cluster.host.kill(primary)


async def standby_stops_reading(cluster: PostgresCluster) -> None:
    """It confirms what it receives and will never finish a promotion: only its recovery is frozen."""
    postmaster = psutil.Process(await cluster.host.pid(other(cluster.primary)))
    recovery = min(postmaster.children(), key=lambda child: _rank(child))
    recovery.suspend()
    await asyncio.sleep(_MOMENT_S)
    await kill_primary(cluster)


def _rank(process: psutil.Process) -> int:
    return 0 if "startup" in " ".join(process.cmdline()) else 1


async def partners_away(cluster: PostgresCluster) -> None:
    """Nothing may be acknowledged until one of the two copies is back."""
    nodes = (other(cluster.primary), RECEIVER)
    cluster.host.refuse(*nodes)
    await asyncio.gather(*(cluster.host.kill(node) for node in nodes))
    await asyncio.sleep(_AWAY_S)
    cluster.host.allow()


async def receiver_away_for_good(cluster: PostgresCluster) -> None:
    """The standby was away, so commits rest on the receiver; it goes, and only the standby comes back."""
    standby = other(cluster.primary)
    cluster.host.refuse(standby, RECEIVER)
    await cluster.host.kill(standby)
    await until(lambda: cluster.record.sync == (RECEIVER,))
    await cluster.host.kill(RECEIVER)
    cluster.host.allow()
    cluster.host.refuse(RECEIVER)
    await until(lambda: cluster.record.sync == (standby,))
    cluster.host.allow()


async def again_at_once(cluster: PostgresCluster) -> None:
    """The new primary dies while the old one is not back yet: it must come back itself."""
    first = cluster.primary
    await cluster.host.kill(first)
    await until(lambda: cluster.primary != first)
    await cluster.host.kill(cluster.primary)


async def replica_ahead(cluster: PostgresCluster) -> None:
    """The replica has what neither copy has that a commit rests on: it must not keep it."""
    primary = cluster.primary
    await asyncio.gather(freeze_standby(cluster), cluster.host.freeze(RECEIVER))
    await asyncio.sleep(0.1)
    await cluster.host.kill(primary)


async def postmaster_only(cluster: PostgresCluster) -> None:
    os.kill(await _pid(cluster, cluster.primary), signal.SIGKILL)


async def one_backend(cluster: PostgresCluster) -> None:
    """The server ends all the others itself and recovers in place."""
    connection = await asyncpg.connect(cluster.dsn(), timeout=5)
    try:
        pid = await connection.fetchval("SELECT pid FROM pg_stat_activity WHERE application_name = 'writer' LIMIT 1")
    finally:
        connection.terminate()
    os.kill(pid, signal.SIGKILL)


async def zombie(cluster: PostgresCluster) -> None:
    """Frozen, and resumed after another was promoted. Raises UnsoundError when it takes anything from anybody."""
    old = cluster.primary
    kept = await asyncpg.connect(cluster.dsn(), timeout=5)
    processes = [psutil.Process(await _pid(cluster, old))]
    processes += processes[0].children(recursive=True)
    await cluster.host.freeze(old)
    await until(lambda: cluster.primary != old)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()
    for statement in ("INSERT INTO drill VALUES ('zombie', 0)", "SELECT 1"):
        with contextlib.suppress(*NOT_ANSWERING):
            await within(kept, kept.execute(statement), _MOMENT_S)
            raise UnsoundError(f"{old} answered after {cluster.primary} was promoted: {statement}")


async def freeze_supervisor(cluster: PostgresCluster) -> None:
    """Nobody decides for three seconds, in which the primary dies."""
    await cluster.freeze_supervisor()
    await kill_primary(cluster)
    await asyncio.sleep(_FROZEN_S)
    cluster.resume_supervisor()


async def starve(cluster: PostgresCluster) -> None:
    """Two processes that compute for four seconds, on every core there is."""
    context = multiprocessing.get_context("spawn")
    until_s = time.time() + _STARVED_S
    busy = [context.Process(target=_compute, args=(until_s,)) for _ in range(os.cpu_count() or 2)]
    for process in busy:
        process.start()
    await asyncio.sleep(_STARVED_S)
    for process in busy:
        await asyncio.to_thread(process.join)


def _compute(until_s: float) -> None:
    while time.time() < until_s:
        pass


async def die_at(step: str, fault: Fault, cluster: PostgresCluster, *, then: str = "") -> None:
    """The supervisor kills itself right after it wrote ``step``, and is started again; ``then`` dies in between."""
    nodes = {"primary": cluster.primary, "standby": other(cluster.primary), "receiver": RECEIVER}
    await cluster.end_supervisor()
    doomed = await cluster.start_supervisor(die_at=step)
    with contextlib.suppress(ControlError):  # it does not live to answer
        await fault(cluster)
    await asyncio.wait_for(doomed.wait(), LIMIT_S)
    if then:
        await cluster.host.kill(nodes[then])
    await cluster.start_supervisor()


async def cut(clients: tuple[str, ...], cluster: PostgresCluster, *, silently: bool = False) -> None:
    """The links of these to the primary, for a second; ``standby`` is whoever is it now."""
    proxies = _proxies(cluster)
    names = (other(cluster.primary) if client == "standby" else client for client in clients)
    links = [f"{name}->{cluster.primary}" for name in names]
    await (proxies.swallow if silently else proxies.cut)(*links)
    await asyncio.sleep(_AWAY_S)
    await proxies.heal()


async def cut_then_kill(cluster: PostgresCluster) -> None:
    """The standby has not what was acknowledged since its link was cut."""
    await _proxies(cluster).cut(f"{other(cluster.primary)}->{cluster.primary}")
    await until(lambda: cluster.record.sync == (RECEIVER,))
    await asyncio.sleep(_MOMENT_S)
    await kill_primary(cluster)
    await _proxies(cluster).heal()


async def _pid(cluster: PostgresCluster, node: str) -> int:
    pid = await cluster.host.pid(node)
    assert pid is not None
    return pid


def _proxies(cluster: PostgresCluster) -> Proxies:
    assert cluster.proxies is not None
    return cluster.proxies


async def until(condition: Callable[[], bool], within_s: float = LIMIT_S) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)
