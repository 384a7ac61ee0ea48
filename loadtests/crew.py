"""A master and its workers: who offers which share, whether all of them are still there, how far apart clocks are."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from time import time_ns
from typing import Any, Final

import gevent
from locust.runners import STATE_MISSING, MasterRunner, WorkerRunner

from loadtests.command import WORKERS_FILE
from loadtests.shares import Share
from loadtests.workers import Worker

OVER: Final = "elson_over"
CLOCK: Final = "elson_clock"
_LOOK_EVERY_S: Final = 0.2


class Crew:
    """The master's side of one process; a test begins with ``muster`` and is over when every worker is, or is lost."""

    def __init__(self, runner: MasterRunner, on_over: Callable[[list[Worker]], None]) -> None:
        self._runner = runner
        self._on_over = on_over
        self._workers: dict[str, Worker] = {}
        self._folder: Path | None = None
        self._watch: gevent.Greenlet | None = None
        runner.register_message(OVER, self._hear_over)
        runner.register_message(CLOCK, self._hear_clock)

    def muster(self, folder: Path | None) -> list[str]:
        """The ids of all that are ready, in the order of their shares."""
        self._folder = folder
        ids = sorted(client.id for client in self._runner.clients.ready)
        self._workers = {one: Worker(number) for number, one in enumerate(ids, start=1)}
        self._watch = gevent.spawn(self._look)
        return ids

    def dismiss(self) -> None:
        """Nobody is waited for any more. Raises OSError when it cannot be written down how each one ended."""
        if self._watch is not None and self._watch is not gevent.getcurrent():
            self._watch.kill()
        self._watch = None
        if self._folder is not None:
            path, workers = self._folder / WORKERS_FILE, [asdict(worker) for worker in self._workers.values()]
            partial = path.with_name(f"{path.name}.partial")
            partial.write_text(json.dumps(workers))
            partial.replace(path)

    def _look(self) -> None:
        while any(worker.state == "offering" for worker in self._workers.values()):
            for one, worker in self._workers.items():
                client = self._runner.clients.get(one)
                if worker.state == "offering" and (client is None or client.state == STATE_MISSING):
                    worker.state, worker.at_ns = "lost", time_ns()
                elif client is not None:
                    self._runner.send_message(CLOCK, {"asked_ns": time_ns()}, one)
            gevent.sleep(_LOOK_EVERY_S)
        self._on_over(list(self._workers.values()))

    def _hear_over(self, msg: Any, **_: Any) -> None:
        worker = self._workers.get(msg.node_id)
        if worker is not None and worker.state == "offering":
            worker.state, worker.at_ns, worker.failure = "over", time_ns(), msg.data["failure"]

    def _hear_clock(self, msg: Any, **_: Any) -> None:
        if worker := self._workers.get(msg.node_id):
            worker.node = msg.data["node"]
            worker.tell(msg.data["asked_ns"], msg.data["told_ns"], time_ns())


class CrewMember:
    """The worker's side of one process."""

    def __init__(self, runner: WorkerRunner, node: str) -> None:
        self._runner, self._node = runner, node
        runner.register_message(CLOCK, self._tell_time)

    def share(self, roster: Sequence[str]) -> Share:
        """Raises ValueError for one that came too late to have a share."""
        return Share(list(roster).index(self._runner.client_id), len(roster))

    def is_over(self, failure: str | None) -> None:
        self._runner.send_message(OVER, {"failure": failure})

    def _tell_time(self, msg: Any, **_: Any) -> None:
        self._runner.send_message(CLOCK, {**msg.data, "told_ns": time_ns(), "node": self._node})
