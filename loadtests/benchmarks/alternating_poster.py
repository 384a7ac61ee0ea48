"""A locustfile for ``generator.py``: bare FastHttpUsers that by turns take their operations from the schedule and
record them, and do not; what either takes of the processor goes to turns.json when the process is ended.

The turns are short, so that whatever else changes the speed of a core meets both alike.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from math import inf
from pathlib import Path
from time import process_time, time_ns
from typing import Any, ClassVar, Final

import gevent
import locust
from locust import FastHttpUser, task

from loadtests.intended import ScheduleOptions
from loadtests.recorder import Recorder
from loadtests.rows import EndedOperation
from loadtests.schedule import operations
from loadtests.shares import Share, Turns
from loadtests.target import read_target
from reports.records import OutcomeKind

ORDER: Final = {
    "symbol": "AAA",
    "qty": "7",
    "side": "buy",
    "type": "limit",
    "time_in_force": "day",
    "client_order_id": "load-7-12345",
    "limit_price": "99.93",
}
HEADERS: Final = {"APCA-API-KEY-ID": "key-1", "APCA-API-SECRET-KEY": "s"}
ORDER_ID: Final = "80000000-0000-8000-8000-000000000001"
TURN_S: Final = 0.2
FOLDER: Final = Path(os.environ["ELSON_BENCHMARK_FOLDER"])
TARGET: Final = read_target(FOLDER / "status.json")


@dataclass(slots=True)
class _Now:
    """What all users do. No attributes of their class: writing one would make Python forget every lookup on it, which
    the turns that look up more would pay for."""

    recording: bool = False
    posted: int = 0


NOW: Final = _Now()


class Poster(FastHttpUser):
    """Posts the same order again as soon as it is answered."""

    turns: ClassVar[Turns]
    recorder: ClassVar[Recorder]

    @task
    def post(self) -> None:
        NOW.posted += 1
        if not NOW.recording:
            self.client.post("/v2/orders", json=ORDER, headers=HEADERS)
            return
        operation = self.turns.take()
        assert operation is not None
        self.turns.begun()
        sent_ns = time_ns()
        answer = self.client.post("/v2/orders", json=ORDER, headers=HEADERS)
        ended = EndedOperation(
            operation,
            operation.offset_ns,
            OutcomeKind.OK,
            answer.content or b"",
            sent_ns,
            time_ns(),
            answer.status_code,
            ORDER_ID,
            self.host,
        )
        self.recorder.add(ended)


def take_turns() -> None:
    """Writes [recording, operations, processor seconds] of every turn so far, after each."""
    turns: list[tuple[bool, int, float]] = []
    while True:
        posted, spent_s = NOW.posted, process_time()
        gevent.sleep(TURN_S)
        turns.append((NOW.recording, NOW.posted - posted, process_time() - spent_s))
        NOW.recording = not NOW.recording
        partial = FOLDER / "turns.partial"
        partial.write_text(json.dumps(turns))
        partial.replace(FOLDER / "turns.json")


def begin(**_: Any) -> None:
    schedule = ScheduleOptions(7, len(TARGET.accounts), tuple(TARGET.instruments), rate_per_s=5_000, duration_s=inf)
    Poster.turns = Turns(operations(schedule))
    Poster.recorder = Recorder(FOLDER / "recorded", Share(), TARGET)
    gevent.spawn(take_turns)


hooks: Any = locust.events
hooks.test_start.add_listener(begin)
