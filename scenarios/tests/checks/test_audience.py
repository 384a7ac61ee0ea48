"""How the feed served the load's own subscribers: bugs sown into what their processes told, found by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loadtests.watching import Watch, quality
from reports.results import CheckResult, CheckVerdict
from scenarios.tests.checks.seeding import assert_caught, result_of

NAME = "feed_audience"


@pytest.fixture
def calm(folder: Path) -> Path:
    """Without the faults."""
    path = folder / "events.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if json.loads(line)["event"] != "fault"))
    return folder


def judged(folder: Path, *processes: dict[str, Any]) -> CheckResult:
    sow(folder, *processes)
    return result_of(folder, NAME)


def sow(folder: Path, *processes: dict[str, Any]) -> None:
    for number, bug in enumerate(processes, start=1):
        served = quality([Watch(first={"AAA": 0}, last={"AAA": 5}, received=5) for _ in range(10)])
        (folder / f"feed_quality-{number}.json").write_text(json.dumps(served | bug))


def test_a_load_without_subscribers_has_nothing_to_complain_of(folder: Path) -> None:
    assert judged(folder).verdict is CheckVerdict.HOLDS
    assert judged(folder).figures["feed_subscribers"] == 0


def test_subscribers_who_heard_everything_are_counted(calm: Path) -> None:
    result = judged(calm, {}, {})
    assert (result.verdict, result.figures) == (
        CheckVerdict.HOLDS,
        {"feed_subscribers": 20, "missed": 0, "breaks": 0},
    )


@pytest.mark.parametrize(
    ("bug", "problem"),
    [
        ({"gaps": 1, "missed": 4}, {"process": 2, "count": 4, "problem": "messages were left out"}),
        ({"breaks": 3}, {"process": 2, "count": 3, "problem": "connections were lost"}),
        ({"unserved": 2}, {"process": 2, "count": 2, "problem": "subscribers never got a book"}),
    ],
)
def test_what_one_process_lacked_is_found(calm: Path, bug: dict[str, int], problem: dict[str, Any]) -> None:
    sow(calm, {}, bug)
    assert assert_caught(calm, NAME).evidence == [problem]


def test_faults_may_cost_messages_and_connections_but_nobody_its_first_book(folder: Path) -> None:
    result = judged(folder, {"missed": 4, "breaks": 3})
    assert (result.verdict, result.figures["missed"]) == (CheckVerdict.HOLDS, 4)
    sow(folder, {"unserved": 1})
    assert_caught(folder, NAME)


def test_slow_ones_who_are_not_let_go_of_leave_it_open(calm: Path) -> None:
    slow = {"subscribers": 3, "received": 9, "let_go": 4}
    assert judged(calm, {"slow": {**slow, "kept": 0}}).verdict is CheckVerdict.HOLDS
    result = judged(calm, {"slow": {**slow, "kept": 1}})
    assert result.verdict is CheckVerdict.CANNOT_TELL
    assert result.summary == "1 of 3 subscribers that read too slowly were not let go of"


def test_a_load_that_tells_nothing_of_its_subscribers_leaves_it_open(folder: Path) -> None:
    path = folder / "run.json"
    run = json.loads(path.read_text())
    run["configuration"] = {**run.get("configuration", {}), "load": {"profile": "feed_fanout"}}
    path.write_text(json.dumps(run))
    assert judged(folder).verdict is CheckVerdict.CANNOT_TELL
