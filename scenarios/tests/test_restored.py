"""Restored tables that their journal does not explain are caught, and an archive is used from the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from reports.record import Record
from reports.results import CheckVerdict
from reports.tests.synthetic import write_record
from scenarios.restored import checks
from scenarios.tests.checks.seeding import Row, first, spoil
from stack.backup.archive import Archive
from stack.backup.key import Key
from trading.core.replay import replay
from trading.core.state import state_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_record(tmp_path / "restored")


def _hashes(folder: Path) -> dict[int, str]:
    journal = Record(folder).journal[: len(Record(folder).journal) // 2]
    state = state_of(replay((entry.command, entry.events) for entry in journal))
    return {journal[-1].sequence: state.hash()}


def _violated(folder: Path, hashes: dict[int, str]) -> set[str]:
    results = [check(Record(folder)) for check in checks(hashes)]
    assert all(result.verdict in (CheckVerdict.HOLDS, CheckVerdict.VIOLATED) for result in results), results
    return {result.name for result in results if result.verdict is CheckVerdict.VIOLATED}


def test_sound_tables_pass_every_check(folder: Path) -> None:
    assert _violated(folder, _hashes(folder)) == set()


def _drop_last(rows: list[Row]) -> list[Row]:
    return rows[:-1]


def _richer(rows: list[Row]) -> None:
    first(rows)["available"] += 1


@pytest.mark.parametrize(
    ("table", "bug", "name"),
    [
        ("orders", _drop_last, "tables_follow_journal"),
        ("journal", lambda rows: rows[:5] + rows[6:], "journal_sequence"),
        ("balances", _richer, "stored_state"),
        ("ledger", _drop_last, "tables_follow_journal"),
        ("balances", _richer, "ledger_balances"),
    ],
)
def test_what_a_wrong_restore_would_leave_is_caught(
    folder: Path, table: str, bug: Callable[[list[Row]], list[Row] | None], name: str
) -> None:
    hashes = _hashes(folder)
    spoil(folder, table, bug)
    assert name in _violated(folder, hashes)


def test_another_hash_than_the_engines_is_caught(folder: Path) -> None:
    hashes = dict.fromkeys(_hashes(folder), "0" * 32)
    assert _violated(folder, hashes) == {"stored_state"}
    assert _violated(folder, {10**9: "0" * 32}) == {"stored_state"}


def elson(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scenarios.cli", "backup", *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "ELSON_BACKUP_KEY"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_an_archive_without_a_platform_is_listed_and_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    key = Key.create(tmp_path / "key")
    archive = str(Archive.prepare(tmp_path / "archive", key, 4711).folder)
    with_key = ("--archive", archive, "--key-file", str(tmp_path / "key"))
    listed = elson("list", *with_key)
    assert (listed.returncode, listed.stderr) == (0, "")
    assert listed.stdout == f"archive {archive}\nno backup\n"
    into = ("--into", str(tmp_path / "restored"))
    for arguments, code, complaint in (
        (("list", "--archive", archive), 1, "no key: name a key file"),
        (("list", "--archive", str(tmp_path), "--key-file", str(tmp_path / "key")), 1, "is no archive"),
        (("verify", "b1", *with_key), 1, "has no backup 'b1'"),
        (("restore", "--to", "latest", *with_key), 2, "name a folder with --into"),
        (("restore", "--to", "latest", "--take-over", *into, *with_key), 2, "only a running platform"),
        (("restore", "--to", "nowhen", *into, *with_key), 1, "there is no restore point 'nowhen'; points: none yet"),
        (("restore", *into, *with_key), 2, "missing option '--to'"),
    ):
        done = elson(*arguments)
        assert done.returncode == code, done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert complaint.lower() in done.stderr.lower()
    assert not (tmp_path / "restored").exists()
