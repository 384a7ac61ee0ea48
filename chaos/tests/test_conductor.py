"""The conductor always undoes: against a real Toxiproxy, whatever ends the run."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from chaos.conductor import Conductor, PlannedFault
from chaos.fault import FaultError
from chaos.fault_log import FaultLog, FaultState
from chaos.probe import round_trip_ms
from chaos.tests.conftest import IDLE, USED, pinging
from stack.embedded import EmbeddedStack
from stack.topology import Role

pytestmark = pytest.mark.stack

LONG_S = 300.0


def latency(*, for_s: float = LONG_S, at_s: float = 0.0) -> PlannedFault:
    return PlannedFault("1-latency", "latency", "feed->redis", "300 ms", at_s, for_s)


async def is_slow(stack: EmbeddedStack, link: str = USED) -> bool:
    listen = next(status.listen for status in stack.status().links if status.name == link)
    found_ms = await round_trip_ms(listen, Role.REDIS)
    return found_ms is None or found_ms >= 300


class Events(list[dict[str, Any]]):
    def states(self) -> list[str]:
        return [line["state"] for line in self]

    async def wait_for(self, state: str) -> None:
        while state not in self.states():
            await asyncio.sleep(0.01)


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def log(tmp_path: Path) -> FaultLog:
    return FaultLog(tmp_path / "faults.jsonl")


async def test_a_fault_is_undone_when_its_time_is_over(stack: EmbeddedStack, log: FaultLog, events: Events) -> None:
    async with Conductor(stack, log, events.append) as conductor, pinging(stack, USED):
        await conductor.follow([latency(for_s=0.8)])
        assert not await is_slow(stack)
    assert events.states() == ["planned", "injected", "undone"]
    assert events[-1]["evidence"]["bit"]


@pytest.mark.parametrize("problem", [None, RuntimeError, KeyboardInterrupt, asyncio.CancelledError])
async def test_leaving_the_conductor_undoes_what_is_on(
    stack: EmbeddedStack, log: FaultLog, events: Events, problem: type[BaseException] | None
) -> None:
    async def run() -> None:
        async with Conductor(stack, log, events.append) as conductor:
            await conductor.add("latency", "feed->redis", "300 ms", LONG_S)
            assert await is_slow(stack)
            if problem is not None:
                raise problem

    if problem is None:
        await run()
    else:
        with pytest.raises(problem):
            await run()
    assert not await is_slow(stack)
    assert events.states()[-1] == "undone"


async def test_a_fault_that_comes_after_the_conductor_is_left_is_refused(
    stack: EmbeddedStack, log: FaultLog, events: Events
) -> None:
    async with Conductor(stack, log, events.append) as conductor:
        pass
    with pytest.raises(FaultError, match="no faults now: the run is being judged"):
        await conductor.add("latency", "feed->redis", "300 ms", LONG_S)
    assert not await is_slow(stack)
    assert events == []


async def test_a_cancelled_run_undoes_its_faults_even_when_cancelled_again_meanwhile(
    stack: EmbeddedStack, log: FaultLog, events: Events
) -> None:
    async def run() -> None:
        async with Conductor(stack, log, events.append) as conductor:
            await conductor.follow([latency()])

    running = asyncio.create_task(run())
    await events.wait_for("injected")
    assert await is_slow(stack)
    running.cancel()
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait({running})
    assert running.cancelled()
    assert not await is_slow(stack)
    assert events.states() == ["planned", "injected", "undone"]


async def test_a_fault_that_is_not_due_when_the_run_ends_is_never_injected(
    stack: EmbeddedStack, log: FaultLog, events: Events
) -> None:
    async with Conductor(stack, log, events.append) as conductor:
        following = asyncio.create_task(conductor.follow([latency(at_s=LONG_S)]))
        await asyncio.sleep(0.05)
        following.cancel()
        await asyncio.wait({following})
    assert events == []


async def test_clear_undoes_everything_that_is_on(stack: EmbeddedStack, log: FaultLog, events: Events) -> None:
    async with Conductor(stack, log, events.append) as conductor:
        await conductor.add("latency", "feed->redis", "300 ms", LONG_S)
        await conductor.add("cut", "api:1->redis", None, LONG_S)
        assert [fault["kind"] for fault in conductor.list_active()] == ["latency", "cut"]
        assert await conductor.clear() == ["manual-1", "manual-2"]
        assert conductor.list_active() == []
        assert not await is_slow(stack)
        assert not await is_slow(stack, IDLE)


async def test_a_fault_is_on_disk_with_its_aim_before_it_is_applied(
    stack: EmbeddedStack, log: FaultLog, events: Events
) -> None:
    slow_when_planned = []

    def on_event(line: dict[str, Any]) -> None:
        written = [json.loads(text) for text in log.path.read_text().splitlines()]
        assert written[-1]["state"] == line["state"]
        assert USED in written[-1]["aim"]
        if line["state"] == "planned":
            slow_when_planned.append(asyncio.ensure_future(is_slow(stack)))
        events.append(line)

    async with Conductor(stack, log, on_event) as conductor:
        await conductor.add("latency", "feed->redis", "300 ms", LONG_S)
    assert events.states() == ["planned", "injected", "undone"]
    await asyncio.gather(*slow_when_planned)


def test_a_line_that_a_full_disk_cut_short_spoils_only_itself(log: FaultLog) -> None:
    log.write(FaultState.PLANNED, {"fault_id": "1"})
    with log.path.open("a") as file:
        file.write('{"at_ns": 1, "state": "inj')
    log.write(FaultState.UNDONE, {"fault_id": "1"})
    first, _, last = log.path.read_text().splitlines()
    assert [json.loads(line)["state"] for line in (first, last)] == ["planned", "undone"]


async def test_a_fault_that_cannot_be_injected_is_recorded_as_failed_and_the_others_go_on(
    stack: EmbeddedStack, log: FaultLog, events: Events
) -> None:
    dead = PlannedFault("1-kill", "kill", "feed:1", None, at_s=0.0, for_s=None)  # this stack never started its feed
    nobody = PlannedFault("2-kill", "kill", "engine:active", None, at_s=0.0, for_s=None)
    async with Conductor(stack, log, events.append) as conductor:
        await conductor.follow([dead, nobody, latency(for_s=0.1)])
    last = {line["fault_id"]: line for line in events}
    assert {fault_id: line["state"] for fault_id, line in last.items()} == {
        "1-kill": "failed",
        "2-kill": "failed",
        "1-latency": "undone",
    }
    assert last["1-kill"]["error"] == "feed:1 is not running"
    assert last["2-kill"]["error"] == "no engine is active at this moment"


async def test_a_log_that_can_no_longer_be_written_does_not_stop_the_undoing(
    stack: EmbeddedStack, log: FaultLog, events: Events
) -> None:
    async with Conductor(stack, log, events.append) as conductor:
        await conductor.add("latency", "feed->redis", "300 ms", LONG_S)
        log.path.unlink()
        log.path.mkdir()
    assert not await is_slow(stack)
    assert conductor.list_active() == []


async def test_a_fault_that_cannot_be_written_down_is_not_applied(
    stack: EmbeddedStack, log: FaultLog, events: Events
) -> None:
    log.path.mkdir()
    conductor = Conductor(stack, log, events.append)
    with pytest.raises(OSError, match="Is a directory"):
        await conductor.add("latency", "feed->redis", "300 ms", LONG_S)
    assert conductor.list_active() == []
    assert not await is_slow(stack)


async def test_the_same_kind_of_fault_on_the_same_link_waits_for_the_first_one_to_end(
    stack: EmbeddedStack, log: FaultLog, events: Events
) -> None:
    async with Conductor(stack, log, events.append) as conductor:
        await conductor.add("latency", "feed->redis", "300 ms", LONG_S)
        with pytest.raises(FaultError, match="feed:1->redis has a latency already \\(manual-1\\): clear it first"):
            await conductor.add("latency", "feed:1->redis", "5 ms", LONG_S)
        assert await is_slow(stack)


async def test_a_node_killed_for_good_stays_dead_and_has_its_evidence_at_once(
    stack: EmbeddedStack, log: FaultLog, events: Events
) -> None:
    async with Conductor(stack, log, events.append) as conductor:
        await conductor.add("kill", "redis", None, None)
        await conductor.clear()
        assert stack.node("redis:1").state == "exited"
    assert events.states() == ["planned", "injected"]
    assert events[-1]["permanent"]
    assert events[-1]["evidence"]["bit"]


@pytest.mark.parametrize(
    ("kind", "value", "for_s", "message"),
    [
        ("latency", "5 ms", None, "cannot be for good"),
        ("latency", "5 ms", 601.0, "at most 600 s"),
        ("latency", "5 ms", 0.0, "more than 0 s"),
        ("latency", None, 5.0, "latency needs a delay"),
        ("flood", None, 5.0, "unknown fault 'flood'; there are latency, cut, kill, freeze"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(kind: str, value: str | None, for_s: float | None, message: str) -> None:
    with pytest.raises(FaultError, match=message):
        PlannedFault("1", kind, "feed->redis", value, 0.0, for_s).make()
