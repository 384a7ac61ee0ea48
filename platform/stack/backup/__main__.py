"""The backup process (``python -m stack.backup``), its configuration in the file the environment names."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import Final

from stack import tending
from stack.backup.archive import Archive
from stack.backup.backups import Backups
from stack.backup.host import offered
from stack.backup.key import Key
from stack.backup.settings import CONFIG, Config
from stack.control import ControlServer
from stack.postgres.host import OwnerHost
from stack.postgres.record import Record
from stack.postgres.report import Report

_NICENESS: Final = 5  # sealing can wait, orders cannot


async def serve(config: Config) -> None:
    """Archives and backs up until SIGTERM or SIGINT. Raises StackError when key, archive or cluster do not fit."""
    key = Key.find(config.settings.key_file, os.environ)
    record = Record.load(config.cluster.record)
    archive = Archive.prepare(config.settings.archive, key, record.system_identifier)
    report = Report(OwnerHost(config.owner))
    backups = Backups(config.cluster, config.settings, archive, report)
    with archive.writing() as left:
        left += backups.clean()
        told = {**config.settings.to_json(), "key_id": key.key_id}
        report.log("started", commit=tending.commit(), settings=told, removed=[str(path) for path in left])
        config.control.unlink(missing_ok=True)  # a killed predecessor's
        control = ControlServer(config.control)
        control.handlers.update(offered(backups))
        await control.start()
        running = asyncio.gather(backups.archiver.run(), backups.run())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, running.cancel)
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await running
            await backups.finish()
        finally:
            await control.stop()


async def _serve(path: Path) -> None:
    await serve(Config.read(path))


def main() -> None:
    tending.run(_serve, config=CONFIG, niceness=_NICENESS)


if __name__ == "__main__":
    main()
