"""The supervisor as a process (``python -m stack.postgres``), its configuration in the file the environment names."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stack import tending
from stack.control import ControlServer
from stack.errors import StackError
from stack.postgres.host import OwnerHost
from stack.postgres.record import RecordFile
from stack.postgres.report import Report
from stack.postgres.servers import Cluster
from stack.postgres.supervisor import Supervisor
from stack.tasks import end

CONFIG: Final = "ELSON_SUPERVISOR_CONFIG"
DIE_AT: Final = "ELSON_SUPERVISOR_DIE_AT"  # for tests: a step or stage after whose record the process kills itself
_NICENESS: Final = -5  # a supervisor that does not get to run takes healthy servers for dead ones


@dataclass(frozen=True, slots=True)
class Config:
    """``owner`` is the control socket of the processes' owner, ``control`` this process's own."""

    cluster: Cluster
    owner: Path
    control: Path

    @classmethod
    def read(cls, path: Path) -> Config:
        """Raises StackError when it is not there or not as written by ``write``."""
        try:
            data = json.loads(path.read_text())
            return cls(Cluster.from_json(data["cluster"]), Path(data["owner"]), Path(data["control"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StackError(f"{path}: no configuration of a supervisor: {error}") from error

    def write(self, path: Path) -> None:
        """Readable for this user only: it holds passwords."""
        data = {"cluster": self.cluster.to_json(), "owner": str(self.owner), "control": str(self.control)}
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(data, file)


async def serve(config: Config) -> None:
    """Supervises until SIGTERM or SIGINT. Raises StackError when the record does not fit."""
    host = OwnerHost(config.owner)
    report = Report(host)
    file = RecordFile.open(config.cluster.record, on_step=_die_at)
    supervisor = Supervisor(config.cluster, host, file, report)
    report.log("started", commit=tending.commit(), settings={"record": str(file.path), "ports": config.cluster.ports})
    config.control.unlink(missing_ok=True)  # a killed predecessor's
    control = ControlServer(config.control)
    control.handlers.update(_operations(supervisor))
    await control.start()
    running = asyncio.ensure_future(supervisor.run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await running
    finally:
        await end(running)
        await control.stop()
        file.close()


def _operations(supervisor: Supervisor) -> dict[str, Any]:
    async def status() -> dict[str, Any]:
        return {"status": supervisor.status()}

    async def failover() -> dict[str, Any]:
        await supervisor.fail_over()
        return {"status": supervisor.status()}

    async def switchover() -> dict[str, Any]:
        await supervisor.switch_over()
        return {"status": supervisor.status()}

    async def rejoin(node: str) -> dict[str, Any]:
        await supervisor.rejoin(node)
        return {"status": supervisor.status()}

    async def adopt(folder: str) -> dict[str, Any]:
        await supervisor.adopt(Path(folder))
        return {"status": supervisor.status()}

    return {handler.__name__: handler for handler in (status, failover, switchover, rejoin, adopt)}


def _die_at(step: str) -> None:
    if os.environ.get(DIE_AT) == step:
        os.kill(os.getpid(), signal.SIGKILL)


async def _serve(path: Path) -> None:
    await serve(Config.read(path))


def main() -> None:
    tending.run(_serve, config=CONFIG, niceness=_NICENESS)


if __name__ == "__main__":
    main()
