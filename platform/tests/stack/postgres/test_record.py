"""The supervisor's record: what is written is read again, and what is not sound is refused by name."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from stack.postgres.record import Record, RecordError, RecordFile, Stage, Step

RECORD = Record(
    system_identifier=2**63 + 12345,
    epoch=3,
    timeline=3,
    primary="postgres:2",
    sync=("postgres:1", "wal:1"),
    stale={"postgres:3": Stage.COPYING},
)


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    file = RecordFile.create(path, RECORD)
    file.write(replace(RECORD, step=Step.FENCED, candidate="postgres:1"))
    assert Record.load(path) == replace(RECORD, step=Step.FENCED, candidate="postgres:1")
    assert path.stat().st_mode & 0o777 == 0o600
    assert not list(tmp_path.glob(".*"))


def test_steps_and_stages_are_told_after_they_are_on_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    RecordFile.create(path, RECORD)
    told: list[tuple[str, Record]] = []
    file = RecordFile.open(path, on_step=lambda step: told.append((step, Record.load(path))))
    fenced = replace(RECORD, step=Step.FENCED)
    rewinding = replace(fenced, stale={"postgres:3": Stage.REWINDING})
    file.write(fenced)
    file.write(rewinding)
    file.write(rewinding)
    assert told == [("fenced", fenced), ("rewinding", rewinding)]


def test_a_record_is_never_overwritten_by_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    RecordFile.create(path, RECORD)
    with pytest.raises(RecordError, match=r"record\.json: there is a record already"):
        RecordFile.create(path, replace(RECORD, epoch=1))
    assert Record.load(path) == RECORD


def test_only_one_may_have_a_record_open(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    RecordFile.create(path, RECORD)
    first = RecordFile.open(path)
    with pytest.raises(RecordError, match=rf"another supervisor \(process {os.getpid()}\) decides"):
        RecordFile.open(path)
    first.write(replace(RECORD, epoch=9))
    first.close()
    assert RecordFile.open(path).record.epoch == 9


def test_without_a_record_there_is_nothing_to_go_by(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"record\.json: there is no record of this cluster"):
        Record.load(tmp_path / "record.json")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"version": 2}, "version 2, expected 1"),
        ({"epoch": 0}, "epoch 0 is no positive number"),
        ({"epoch": "3"}, "epoch '3' is no positive number"),
        ({"timeline": True}, "timeline True is no positive number"),
        ({"primary": "postgres:3"}, "primary 'postgres:3' is none of postgres:1, postgres:2"),
        ({"sync": []}, "sync .* is no set of the primary's partners"),
        ({"sync": ["postgres:2"]}, "sync .* is no set of the primary's partners"),
        ({"step": "asleep"}, "'asleep' is not a valid Step"),
        ({"stale": {"postgres:9": "copying"}}, "unknown nodes"),
        ({"system_identifier": "x"}, "invalid literal"),
        ({"leader": "me"}, "unknown fields: leader"),
    ],
)
def test_a_damaged_record_is_refused_with_the_file_and_the_reason(
    tmp_path: Path, change: dict[str, object], complaint: str
) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps(json.loads(RECORD.dump()) | change))
    with pytest.raises(RecordError, match=rf"record\.json: the record is damaged: .*{complaint}"):
        Record.load(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", RECORD.dump()[:-20], '{"version": 1}'])
def test_half_a_record_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(RecordError, match=r"record\.json: the record is damaged"):
        Record.load(path)
