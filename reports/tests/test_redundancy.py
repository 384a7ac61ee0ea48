from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reports.gate import judge
from reports.record import MissingPartError, Record
from reports.redundancy import Shortage, shortages
from reports.results import ObjectiveResult, VerdictKind
from reports.run_folder import EventLog

S = 1_000_000_000
STARTED: tuple[float, str, dict[str, Any]] = (0, "supervisor_started", {"primary": "postgres:1"})
SHRUNK: dict[str, Any] = {"sync": ["wal:1"], "was": ["postgres:2", "wal:1"]}
GROWN: dict[str, Any] = {"sync": ["postgres:2", "wal:1"], "was": ["wal:1"]}


def fault(number: int, begun_s: float) -> tuple[tuple[float, str, dict[str, Any]], ...]:
    details = {"fault_id": f"{number}-kill", "kind": "kill", "target": "postgres:standby"}
    planned = (begun_s, "fault", {**details, "state": "planned"})
    return planned, (begun_s + 0.1, "fault", {**details, "state": "injected"})


def found(folder: Path, *happenings: tuple[float, str, dict[str, Any]]) -> list[Shortage]:
    with EventLog(folder) as log:
        for at_s, event, details in happenings:
            log.add(event, at_ns=int(at_s * S), **details)
    return shortages(Record(folder))


def test_redundancy_is_missed_from_the_fault_until_every_copy_counts_again(tmp_path: Path) -> None:
    events = ((5.5, "sync_set_shrunk", SHRUNK), (6, "sync_set_grown", SHRUNK), (9, "sync_set_grown", GROWN))
    (shortage,) = found(tmp_path, STARTED, *fault(1, 5), *events)
    assert (shortage.seconds, shortage.restored) == (4, True)


def test_a_new_primary_begins_with_too_few_copies(tmp_path: Path) -> None:
    role = {"node": "postgres:2", "role": "primary", "epoch": 2}
    (shortage,) = found(tmp_path, STARTED, *fault(1, 5), (6, "role_changed", role), (8, "sync_set_grown", GROWN))
    assert shortage.seconds == 3


def test_a_fault_that_cost_no_copy_missed_none(tmp_path: Path) -> None:
    role = {"node": "redis:2", "role": "primary", "epoch": 0}
    events = ((1, "sync_set_shrunk", SHRUNK), (2, "sync_set_grown", GROWN), (7, "role_changed", role))
    (shortage,) = found(tmp_path, STARTED, *fault(1, 5), *events)
    assert (shortage.seconds, shortage.restored) == (0, True)


def test_a_second_fault_before_the_copies_are_back_counts_from_itself(tmp_path: Path) -> None:
    events = ((5.5, "sync_set_shrunk", SHRUNK), *fault(2, 6), (7, "sync_set_shrunk", SHRUNK))
    first, second = found(tmp_path, STARTED, *fault(1, 5), *events, (9, "sync_set_grown", GROWN))
    assert (first.seconds, second.seconds) == (4, 3)


def test_a_copy_is_lost_by_the_fault_that_began_last(tmp_path: Path) -> None:
    events = (*fault(2, 6), (7, "sync_set_shrunk", SHRUNK), (9, "sync_set_grown", GROWN))
    first, second = found(tmp_path, STARTED, *fault(1, 5), *events)
    assert (first.seconds, second.seconds) == (0, 3)


def test_copies_that_never_come_back_are_missed_to_the_end_of_the_record(tmp_path: Path) -> None:
    (shortage,) = found(tmp_path, STARTED, *fault(1, 5), (6, "sync_set_shrunk", SHRUNK), (25, "phase", {}))
    assert (shortage.seconds, shortage.restored) == (20, False)


def test_without_a_supervisor_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingPartError, match="nothing of the database's supervisor"):
        found(tmp_path, *fault(1, 5))


def judged(folder: Path, bound: float, scope: str | None = None) -> tuple[VerdictKind, ObjectiveResult]:
    path = folder / "run.json"
    objective = {"objective": "redundancy_s", "max": bound, "scope": scope}
    path.write_text(json.dumps({**json.loads(path.read_text()), "objectives": [objective]}))
    verdict = judge(Record(folder))
    return verdict.verdict, verdict.objectives[0]


def test_an_objective_bounds_the_redundancy_of_every_fault_or_of_one(folder: Path) -> None:
    assert judged(folder, 1)[0] is VerdictKind.PASS
    kind, objective = judged(folder, 0.1)
    assert (kind, objective.unit) == (VerdictKind.FAIL, "s")
    assert objective.summary == "every copy of the database counted again 0.5 s after kill engine:active began"
    assert judged(folder, 0.1, "freeze")[0] is VerdictKind.INCONCLUSIVE


def test_copies_that_are_not_back_miss_any_bound(folder: Path) -> None:
    path = folder / "events.jsonl"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if "sync_set_grown" not in line))
    kind, objective = judged(folder, 10_000)
    assert kind is VerdictKind.FAIL
    assert "not every copy of the database counted again" in objective.summary
