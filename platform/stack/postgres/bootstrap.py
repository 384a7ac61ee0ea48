"""A new cluster: the first server, one copy of it for the two others, the receiver, and the record of it all."""

from __future__ import annotations

import asyncio
import os
import shutil

import asyncpg

from stack.errors import StartError
from stack.postgres import schema, sessions, tools
from stack.postgres.control_data import ControlData
from stack.postgres.host import ProcessHost
from stack.postgres.nodes import DATABASE, PAIR, RECEIVER, REPLICA, application_name
from stack.postgres.record import Record, RecordFile
from stack.postgres.servers import Cluster
from stack.process import Launch

_POLL_S = 0.01
_FOLLOWERS = (PAIR[1], REPLICA, RECEIVER)
_STATES = "SELECT application_name, sync_state FROM pg_stat_replication WHERE state = 'streaming'"


class Bootstrap:
    """Three parts, so that the schema can be migrated while the others are copied. Set no time limits themselves.

    Without a ``receiver`` commits wait for the standby alone.
    """

    def __init__(self, cluster: Cluster, host: ProcessHost, *, receiver: bool = True) -> None:
        self._cluster = cluster
        self._host = host
        self._first = PAIR[0]
        self._partners = (PAIR[1], RECEIVER) if receiver else (PAIR[1],)

    async def initialise(self) -> None:
        """The first server's data. Raises StartError."""
        await tools.run(self._cluster.initdb(), f"initdb of {self._first}")
        self._cluster.configure()

    async def primary(self) -> None:
        """``postgres:1`` accepts connections, with database, roles, epoch table and its followers' slots.

        Raises StartError.
        """
        cluster = self._cluster
        await self._start(self._first)
        address = cluster.address(self._first)
        async with sessions.session(cluster.dsn(address, database="postgres")) as admin:
            await _until_accepted(admin, self._host, self._first)
            await admin.fetch(f"CREATE DATABASE {DATABASE}", limit_s=10)
            await admin.fetch(schema.CREATE_SLOTS, [application_name(node) for node in _FOLLOWERS], True)
        connection = await asyncpg.connect(cluster.dsn(address), timeout=5)
        try:
            await connection.execute(schema.create_roles(cluster.passwords) + schema.EPOCH_TABLE)
        finally:
            connection.terminate()

    async def others(self) -> Record:
        """All processes run, a commit waits for a second copy, and the record says so. Raises StartError."""
        cluster, standby = self._cluster, PAIR[1]
        cluster.write_upstream(self._first)
        if RECEIVER in self._partners:
            await self._start(RECEIVER)
        await tools.run(cluster.basebackup(standby, self._first), f"base backup of {self._first}")
        await self._copy(standby, REPLICA)
        await asyncio.gather(*(self._follow(node) for node in (standby, REPLICA)))
        cluster.write_identity(self._first, cluster.leader(self._partners))
        async with sessions.session(cluster.dsn(cluster.address(self._first))) as admin:
            await admin.fetch("SELECT pg_reload_conf()")
            while not await self._counted(admin):
                await asyncio.sleep(_POLL_S)
        identifier = ControlData.read(cluster.data(self._first)).system_identifier
        record = Record(system_identifier=identifier, epoch=1, timeline=1, primary=self._first, sync=self._partners)
        return RecordFile.create(cluster.record, record).record

    async def _start(self, node: str) -> None:
        await self._host.start(node)

    async def _counted(self, admin: sessions.Session) -> bool:
        """The first partner confirms commits, any other one would."""
        states = {row["application_name"]: row["sync_state"] for row in await admin.fetch(_STATES)}
        wanted = dict(zip(self._partners, ("sync", "potential"), strict=False))
        return all(states.get(application_name(node)) == state for node, state in wanted.items())

    async def _copy(self, source: str, target: str) -> None:
        cluster = self._cluster
        argv = (shutil.which("cp") or "/bin/cp", "-a", str(cluster.data(source)), str(cluster.data(target)))
        log = cluster.log_folder / f"{target}.log"
        launch = Launch(argv, {"PATH": os.defpath}, log, user=cluster.user, guarded=True)
        await tools.run(launch, f"the copy of {source} for {target}")

    async def _follow(self, node: str) -> None:
        cluster = self._cluster
        cluster.write_identity(node, cluster.follower(node, self._first))
        cluster.mark_standby(node)
        await self._start(node)
        async with sessions.session(cluster.dsn(cluster.address(node), database="postgres")) as admin:
            await _until_accepted(admin, self._host, node)


async def _until_accepted(admin: sessions.Session, host: ProcessHost, node: str) -> None:
    while True:
        try:
            await admin.fetch("SELECT 1")
            return
        except sessions.NOT_ANSWERING:
            if await host.pid(node) is None:
                raise StartError(f"{node} ended instead of starting") from None
        await asyncio.sleep(_POLL_S)
