"""A restored folder takes the primary's place; everything else is copied from it anew."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Final

from stack.errors import StackError
from stack.postgres.control_data import CONTROL_VERSION, SHUT_DOWN, ControlData
from stack.postgres.ensemble import Ensemble
from stack.postgres.failover import TIMELINE
from stack.postgres.nodes import NODES, RECEIVER, REPLICA, other
from stack.postgres.receiver_log import set_aside
from stack.postgres.record import Stage, Step
from stack.postgres.servers import Cluster

_START_LIMIT_S: Final = 60.0
_LEFT_OVER: Final = ("standby.signal", "recovery.signal", "postmaster.pid")


def check_adoptable(cluster: Cluster, folder: Path, system_identifier: int) -> None:
    """Raises StackError unless ``folder`` holds this cluster's data, of this major version, from a clean shutdown."""
    found = ControlData.read(folder)
    if found.system_identifier != system_identifier:
        raise StackError(f"{folder} belongs to cluster {found.system_identifier}, this one is {system_identifier}")
    if found.control_version != CONTROL_VERSION:
        raise StackError(f"{folder} is of another major version (control version {found.control_version})")
    if found.state != SHUT_DOWN:
        raise StackError(f"{folder} was not shut down in order: start it as a side server, check it and stop it first")
    if folder.resolve().is_relative_to(cluster.folder.resolve()) and folder.name in {
        n.replace(":", "_") for n in NODES
    }:
        raise StackError(f"{folder} is the cluster's own")


class Adoption:
    """Acts on the ensemble; may be repeated from any point after ``begin``."""

    def __init__(self, ensemble: Ensemble) -> None:
        self._all = ensemble

    def begin(self, folder: Path) -> None:
        """Raises StackError, with nothing changed, when the folder is not one that can be adopted."""
        check_adoptable(self._all.cluster, folder, self._all.record.system_identifier)
        self._all.change(step=Step.ADOPTING, candidate=None, folder=str(folder.resolve()))

    async def run(self) -> None:
        """Returns when the restored data are the primary's, closed until the epoch is written."""
        node = self._all.primary
        await asyncio.gather(*(self._all.kill(each) for each in NODES))
        await asyncio.to_thread(self._move_in)
        self._all.cluster.write_identity(node, self._all.cluster.leader((RECEIVER,), closed=True))
        await self._all.start(node)
        await self._all.accepted(node, _START_LIMIT_S)
        await self._all.prepare_slots(node)
        self._all.change(
            step=Step.ADOPTED,
            folder=None,
            epoch=self._all.record.epoch + 1,
            timeline=await self._all.session(node).value(TIMELINE),
            sync=(RECEIVER,),
            stale=dict.fromkeys((REPLICA, other(node)), Stage.COPYING),
        )

    def _move_in(self) -> None:
        """What was in its place, and what was received of it, stays beside it until the stack's folder is removed."""
        cluster, record = self._all.cluster, self._all.record
        target = cluster.data(record.primary)
        staging = target.with_name(f"{target.name}.adopted")
        assert record.folder is not None
        if Path(record.folder) != staging:
            shutil.rmtree(staging, ignore_errors=True)
            _bring(Path(record.folder), staging)
            self._all.change(folder=str(staging))
        if staging.exists():
            _prepare(cluster, staging)
            set_aside(cluster, record.epoch)  # first: what was received would not continue the restored data
            if target.exists():
                target.rename(_free(target.with_name(f"{target.name}.before-{record.epoch + 1}")))
            staging.rename(target)


def _bring(folder: Path, staging: Path) -> None:
    if folder.stat().st_dev == staging.parent.stat().st_dev:
        folder.rename(staging)
    else:
        shutil.copytree(folder, staging, symlinks=True)


def _prepare(cluster: Cluster, data: Path) -> None:
    for name in _LEFT_OVER:
        (data / name).unlink(missing_ok=True)
    cluster.write(data / "postgresql.auto.conf", "")  # where a restore puts its target
    for parent, _, files in os.walk(data):
        for path in (Path(parent), *(Path(parent, name) for name in files)):
            cluster.give_away(path)
    data.chmod(0o700)


def _free(path: Path) -> Path:
    number = 1
    while path.exists():
        number += 1
        path = path.with_name(f"{path.name}-{number}")
    return path
