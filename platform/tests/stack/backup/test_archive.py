"""The archive's files are there wholly, once, and for one cluster; its catalogue is read as it was written."""

from __future__ import annotations

import errno
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stack.backup.archive import Archive
from stack.backup.catalogue import Backup, Point, Verification
from stack.backup.errors import BackupError, ConflictError, DamagedError, MissingError, WrongKeyError
from stack.backup.files import placed
from stack.backup.key import Key
from stack.backup.retention import Retention, expired, unneeded
from stack.backup.wal_names import SegmentName, Timeline, lsn_text, parse_lsn
from stack.postgres.settings import SEGMENT_BYTES

KEY = Key(bytes(range(32)))
NAME = "000000010000000000000003"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def backup(number: int, *, verified: bool = True, age: timedelta = timedelta(0)) -> Backup:
    return Backup(
        backup_id=f"b{number}",
        started=NOW - age - timedelta(seconds=1),
        finished=NOW - age,
        start=number * SEGMENT_BYTES + 40,
        stop=number * SEGMENT_BYTES + 248,
        timeline=1,
        system_identifier=2**63 + 7,
        major_version=16,
        source="postgres:1",
        plain_bytes=100,
        stored_bytes=10,
        digests={f"b{number}.tar.sealed": "00"},
        verified=Verification(at=NOW, how="read back") if verified else None,
    )


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive.prepare(tmp_path / "archive", KEY, 4711)


def test_a_file_of_the_log_is_stored_once_and_read_again(archive: Archive) -> None:
    assert archive.put_log(NAME, b"records" * 1000)
    assert not archive.put_log(NAME, b"records" * 1000)
    assert archive.read_log(NAME) == b"records" * 1000
    assert archive.log_names() == {NAME}
    assert archive.log_path(NAME).stat().st_mode & 0o777 == 0o600


def test_nothing_is_overwritten_with_other_bytes(archive: Archive) -> None:
    archive.put_log(NAME, b"first")
    before = archive.log_path(NAME).read_bytes()
    with pytest.raises(ConflictError, match=str(archive.log_path(NAME))):
        archive.put_log(NAME, b"second")
    assert archive.log_path(NAME).read_bytes() == before


def test_a_file_that_was_not_finished_is_not_there(archive: Archive, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space"):
        _write_half(tmp_path / "new")
    assert not list(tmp_path.glob("*new*"))
    (archive.folder / "wal" / f".{NAME}.sealed.new").write_bytes(b"half, of a killed writer")
    assert archive.log_names() == set()
    with archive.writing() as left:
        assert [path.name for path in left] == [f".{NAME}.sealed.new"]
        assert not list((archive.folder / "wal").iterdir())
        with pytest.raises(BackupError, match="another process is writing"), archive.writing():
            pass


def _write_half(path: Path) -> None:
    with placed(path) as file:
        file.write(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_what_is_missing_or_swapped_is_named(archive: Archive) -> None:
    with pytest.raises(MissingError, match=f"{archive.log_path(NAME)} is missing"):
        archive.read_log(NAME)
    other = "000000010000000000000004"
    archive.put_log(NAME, b"third")
    archive.log_path(NAME).rename(archive.log_path(other))
    with pytest.raises(DamagedError, match=f"{archive.log_path(other)} is damaged"):
        archive.read_log(other)
    with pytest.raises(BackupError, match="passwd is no file of a log"):
        archive.put_log("passwd", b"")


def test_an_archive_is_of_one_cluster_one_key_and_one_version(archive: Archive, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="is the archive of cluster 4711, this one is 42"):
        Archive.prepare(archive.folder, KEY, 42)
    with pytest.raises(WrongKeyError, match=rf"archive\.json: the archive is sealed with key {KEY.key_id}"):
        Archive.open(archive.folder, Key(bytes(32)))
    with pytest.raises(BackupError, match="is no archive: there is no"):
        Archive.open(tmp_path, KEY)
    with pytest.raises(BackupError, match="holds something, but is no archive"):
        Archive.prepare(tmp_path, KEY, 4711)
    about = archive.folder / "archive.json"
    sound = json.loads(about.read_text())
    for change, complaint in (
        ({"major_version": 15}, "is of PostgreSQL 15, this one is 16"),
        ({"version": 1}, "is of version 1, expected 2"),
        ({"system_identifier": "x"}, "is damaged: invalid literal"),
    ):
        about.write_text(json.dumps(sound | change))
        with pytest.raises(BackupError, match=rf"archive\.json.*{complaint}"):
            Archive.open(archive.folder, KEY)


def test_entries_are_read_as_they_were_written(archive: Archive) -> None:
    entries = [backup(1), backup(2, verified=False), backup(3).found_damaged("a bit flipped")]
    point = Point(name="before-open", at=NOW, lsn=2**40 + 8, timeline=3)
    for entry in (*reversed(entries), point):
        archive.catalogue.put(entry)
    assert archive.catalogue.backups() == entries
    assert archive.catalogue.points() == [point]
    assert archive.catalogue.backup("b2") == entries[1]
    archive.catalogue.put(entries[1].checked("read back"))
    assert archive.catalogue.backup("b2").verified
    with pytest.raises(BackupError, match="has no backup 'b9'"):
        archive.catalogue.backup("b9")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2}', '{"version": 1}'])
def test_half_an_entry_is_refused_by_name(archive: Archive, text: str) -> None:
    (archive.folder / "catalogue" / "b1.backup.json").write_text(text)
    with pytest.raises(DamagedError, match=r"b1\.backup\.json: the entry is damaged"):
        archive.catalogue.backups()


BACKUPS = st.lists(
    st.builds(
        backup, st.integers(1, 9), verified=st.booleans(), age=st.integers(0, 20).map(lambda days: timedelta(days=days))
    ),
    max_size=8,
    unique_by=lambda each: each.backup_id,
)


@given(BACKUPS, st.integers(1, 4), st.integers(0, 20))
def test_retention_keeps_the_newest_verified_and_whatever_is_young(
    backups: list[Backup], count: int, days: int
) -> None:
    gone = expired(backups, NOW, Retention(count, timedelta(days=days)))
    kept = [each for each in backups if each not in gone]
    good = sum(1 for each in backups if each.verified)
    assert sum(1 for each in kept if each.verified) >= min(count, good)
    assert all(NOW - each.finished > timedelta(days=days) for each in gone)
    newest = max((each.finished for each in backups if each.verified), default=None)
    assert all(newest is not None and each.finished <= newest for each in gone)
    assert sum(1 for each in kept if each.verified and NOW - each.finished > timedelta(days=days)) <= count


@given(BACKUPS, st.lists(st.builds(SegmentName, st.integers(0, 12), st.integers(1, 3))))
def test_no_segment_goes_that_a_kept_backup_needs(kept: list[Backup], segments: list[SegmentName]) -> None:
    gone = unneeded(segments, kept)
    assert all(segment.number < each.first_segment for segment in gone for each in kept)
    assert kept or not gone
    if kept:
        first = min(each.first_segment for each in kept)
        assert {segment for segment in segments if segment.number < first} == set(gone)


def test_a_retention_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one must be kept"):
        Retention(0)


@given(st.integers(0, 2**64 - 1))
def test_positions_and_segments_are_read_as_they_are_written(lsn: int) -> None:
    assert parse_lsn(lsn_text(lsn)) == lsn
    name = SegmentName(lsn % 2**40, 1 + lsn % 2**31)
    assert SegmentName.parse(str(name)) == name


def test_a_segment_in_which_timelines_meet_is_the_newer_ones() -> None:
    met = 3 * SEGMENT_BYTES + 0x100
    history = f"1\t{lsn_text(met)}\tno recovery target specified\n\n2\t{lsn_text(5 * SEGMENT_BYTES)}\twhy\n"
    line = Timeline.parse(3, history)
    names = [str(line.segment(number))[:8] for number in range(2, 7)]
    assert names == ["00000001", "00000002", "00000002", "00000003", "00000003"]
    assert line.holds(1, met)
    assert not line.holds(1, met + 1)
    assert line.holds(3, 2**50)
    with pytest.raises(ValueError, match="no history of a timeline"):
        Timeline.parse(2, "1 nonsense")
