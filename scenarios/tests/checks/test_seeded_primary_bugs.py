"""Each check proves itself: bugs sown into an honest record that it, by name, must catch. The database's primaries."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reports.results import CheckVerdict
from scenarios.tests.checks.seeding import assert_caught, result_of

Line = dict[str, Any]


def change_events(folder: Path, bug: Callable[[Line], Line | None]) -> None:
    """``bug`` returns what is left of an event."""
    path = folder / "events.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(line) + "\n" for line in map(bug, lines) if line is not None))


def servers(**changes: dict[str, Any]) -> Callable[[Line], Line]:
    """What a server says otherwise in the end, by the number of its node."""

    def bug(line: Line) -> Line:
        if line["event"] == "database_servers":
            for number, change in changes.items():
                line["servers"][int(number[1:]) - 1] |= change
        return line

    return bug


def problems(folder: Path) -> list[str]:
    return [row["problem"] for row in assert_caught(folder, "one_primary").evidence]


def test_a_supervisor_that_does_not_fence_is_caught(folder: Path) -> None:
    change_events(folder, lambda line: None if line.get("node") == "postgres:1" and "exited" in line["event"] else line)
    assert problems(folder) == ["became primary although postgres:1 had not ended"]


def test_a_primary_that_ended_only_after_its_successor_was_promoted_is_caught(folder: Path) -> None:
    def late(line: Line) -> Line:
        return {**line, "at_ns": line["at_ns"] + 10**9} if line.get("node") == "postgres:1" else line

    change_events(folder, lambda line: late(line) if line["event"] == "node_exited" else line)
    assert problems(folder) == ["became primary although postgres:1 had not ended"]


def test_a_second_server_that_takes_writes_in_the_end_is_caught(folder: Path) -> None:
    change_events(folder, servers(_1={"writable": True}))
    assert problems(folder) == ["takes writes although it is not primary"]


def test_a_cluster_that_nobody_writes_to_in_the_end_is_caught(folder: Path) -> None:
    change_events(folder, servers(_2={"writable": False}))
    assert problems(folder) == ["takes no writes"]


def test_a_primary_that_never_wrote_its_epoch_is_caught(folder: Path) -> None:
    change_events(folder, servers(_2={"epoch": 1}))
    assert problems(folder) == ["knows of epoch 1, the last primary told of 2"]


def test_an_epoch_that_two_primaries_held_is_caught(folder: Path) -> None:
    def same(line: Line) -> Line:
        return {**line, "epoch": 1} if line.get("node") == "postgres:2" and line["event"] == "role_changed" else line

    change_events(folder, same)
    assert "became primary of epoch 1 after epoch 1" in problems(folder)


def test_a_server_that_is_down_for_good_says_nothing_and_contradicts_nothing(folder: Path) -> None:
    def down(line: Line) -> Line:
        if line["event"] == "database_servers":
            line["servers"][0] = {"node": "postgres:1", "error": "connection refused"}
        return line

    change_events(folder, down)
    assert result_of(folder, "one_primary").verdict is CheckVerdict.HOLDS


@pytest.mark.parametrize("event", ["database_servers", "supervisor_started"])
def test_a_record_in_which_nobody_tells_who_was_primary_cannot_tell(folder: Path, event: str) -> None:
    change_events(folder, lambda line: None if line["event"] in (event, "role_changed") else line)
    assert result_of(folder, "one_primary").verdict is CheckVerdict.CANNOT_TELL
