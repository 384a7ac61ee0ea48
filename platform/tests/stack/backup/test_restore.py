"""Backups of a real cluster: what a restore brings back, and what it refuses before it has written anything."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from drills.backup import ROWS, Row
from drills.writers import prepare
from stack.backup.alone import BackupProcess
from stack.backup.archive import Archive
from stack.backup.archiver import Archiver
from stack.backup.backups import Backups, list_all, verify
from stack.backup.errors import BackupError
from stack.backup.key import Key
from stack.backup.retention import Retention
from stack.backup.settings import Settings
from stack.backup.wal_records import Log
from stack.errors import ControlError
from stack.postgres.alone import PostgresCluster
from stack.postgres.report import Report
from stack.postgres.sessions import connection
from stack.postgres.settings import SEGMENT_BYTES
from tests.stack.backup.past import Past, current_position, live_through, reachable_folder

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def past() -> AsyncIterator[Past]:
    folder = reachable_folder()
    try:
        async with PostgresCluster() as cluster:
            await prepare(cluster.dsn())
            await cluster.redundant()
            async with BackupProcess(cluster) as backups:
                yield await live_through(cluster, backups, folder)
    finally:
        shutil.rmtree(folder)


async def test_a_backup_is_listed_with_what_is_known_of_it(past: Past) -> None:
    listed = await past.backups.ask("list")
    (backup,) = listed["backups"]
    assert backup["verified"]["how"].startswith("pg_verifybackup before it was stored; read back")
    assert backup["system_identifier"] == str(past.cluster.record.system_identifier)
    assert 0 < backup["stored_bytes"] < backup["plain_bytes"]
    assert backup["reaches"].endswith(".partial")
    assert backup["reaches_the_present"]
    assert [point["name"] for point in listed["points"]] == ["half-time"]
    assert (await past.backups.ask("verify"))["problems"] == []


async def test_every_row_is_restored_to_the_end_of_what_was_received(past: Past) -> None:
    assert await past.restored("latest") == 11


async def test_a_wrong_delete_is_undone_to_the_microsecond(past: Past) -> None:
    moment = past.deleted_at.isoformat()
    assert await past.restored(moment, exclusive=True) == 200
    assert await past.restored(moment) == 0


async def test_a_point_and_a_position_are_found(past: Past) -> None:
    assert await past.restored("half-time") == 100
    assert await past.restored(past.position) == 200


async def test_the_archive_alone_is_enough_up_to_its_last_segment(past: Past) -> None:
    await past.restore_from(past.copy())
    assert await past.count() == 10


REFUSED = [
    ("before-open", "there is no restore point 'before-open'; points: half-time"),
    ("last tuesday", "there is no time, position or point 'last tuesday'"),
    ("2026-01-01T12:00:00", "say the time zone"),
    ("2999-01-01T12:00:00Z", "is yet to come"),
    ("2001-01-01T12:00:00Z", "no verified backup precedes 2001-01-01T12:00:00"),
    ("0/100", "no verified backup precedes position 0/100"),
    ("F/0", "position F/0 lies outside the archive"),
]


@pytest.mark.parametrize(("to", "complaint"), REFUSED)
async def test_a_moment_that_is_not_in_the_archive_is_refused(past: Past, to: str, complaint: str) -> None:
    with pytest.raises(ControlError, match=complaint):
        await past.backups.ask("restore", to=to, into=str(past.into))
    assert past.left() == []


async def test_a_position_and_a_time_behind_the_end_are_refused(past: Past) -> None:
    lsn = await current_position(past)
    with pytest.raises(ControlError, match="lies outside the archive, which ends at"):
        await past.backups.ask("restore", to=f"0/{lsn + 64:X}", into=str(past.into))
    with pytest.raises(ControlError, match=r"its last transaction is of .*; `latest` restores that"):
        await past.backups.ask("restore", to=datetime.now(UTC).isoformat(), into=str(past.into))
    assert past.left() == []


async def test_a_folder_that_holds_something_is_left_alone(past: Past) -> None:
    past.into.mkdir()
    (past.into / "mine.txt").write_text("mine")
    with pytest.raises(ControlError, match=r"restored is not empty \(.*mine\.txt is there\)"):
        await past.backups.ask("restore", to="latest", into=str(past.into))
    assert _names(past.into) == ["mine.txt"]
    shutil.rmtree(past.into)


def _newest_segment(archive: Path) -> Path:
    return sorted((archive / "wal").glob("0*0*.sealed"))[-1]


def _base(archive: Path) -> Path:
    (path,) = (archive / "base").iterdir()
    return path


def _flip(path: Path) -> Path:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    return path


def _remove(path: Path) -> Path:
    path.unlink()
    return path


def _second_segment(archive: Path) -> Path:
    return sorted((archive / "wal").glob("0*0*.sealed"))[-2]


SPOILED: list[tuple[str, Callable[[Path], Path], str]] = [
    ("bit flipped in the backup", lambda archive: _flip(_base(archive)), "is damaged"),
    ("bit flipped in a segment", lambda archive: _flip(_newest_segment(archive)), "is damaged"),
    ("segment missing", lambda archive: _remove(_second_segment(archive)), "is missing"),
    ("backup missing", lambda archive: _remove(_base(archive)), "is missing"),
]


@pytest.mark.parametrize(("spoil", "complaint"), [each[1:] for each in SPOILED], ids=[each[0] for each in SPOILED])
async def test_what_is_damaged_or_missing_is_named_and_nothing_restored(
    past: Past, spoil: Callable[[Path], Path], complaint: str
) -> None:
    archive = past.copy()
    path = spoil(archive)
    with pytest.raises(BackupError, match=f"{path}.* {complaint}"):
        await past.restore_from(archive)
    assert past.left() == []
    opened = Archive.open(archive, past.backups.key)
    found = verify(opened)
    assert any(str(path) in problem or "goes on later" in problem for problem in found), found
    (backup,) = list_all(opened)["backups"]
    whole = backup["verified"] is not None and backup["damage"] is None
    assert whole == ("/wal/" in str(path))
    assert whole or str(path) in backup["damage"]


async def test_an_unverified_backup_is_listed_as_such_and_not_restored(past: Past) -> None:
    opened = Archive.open(past.copy(), past.backups.key)
    (backup,) = opened.catalogue.backups()
    opened.catalogue.put(backup.found_damaged("a bit flipped"))
    with pytest.raises(BackupError, match=r"no verified backup precedes latest .*not verified"):
        await past.restore_from(opened.folder)


async def test_a_wrong_key_and_another_clusters_archive_are_refused(past: Past, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match=f"sealed with key {past.backups.key.key_id}; the key given is"):
        await past.restore_from(past.copy(), key=Key.create(tmp_path / "key"))
    mine = Archive.open(past.copy(), past.backups.key)
    other = Archive.prepare(tmp_path / "other", past.backups.key, 4711)
    for name in ("base", "wal", "catalogue"):
        shutil.copytree(mine.folder / name, other.folder / name, dirs_exist_ok=True)
    with pytest.raises(BackupError, match="is damaged at or behind byte"):
        await past.restore_from(other.folder)


async def test_a_record_damaged_at_the_receiver_is_no_silent_end(past: Past) -> None:
    received = Path(shutil.copytree(past.cluster.cluster.received, past.folder / "received"))
    _spoil_the_open_segment(received)
    with pytest.raises(BackupError, match=r"recovery ended at .* is damaged|is damaged: the record at"):
        await past.restore_from(past.copy(), folders=[received])
    assert past.left() == []
    shutil.rmtree(received)


async def test_a_receiver_killed_while_it_wrote_leaves_an_end_and_no_damage(past: Past) -> None:
    whole = _open_segment(past.cluster.cluster.received)
    number = int(whole[0], 16)
    end = Log(number, [whole[1]]).end()
    assert abs(end - await current_position(past)) < 4096  # it may have grown meanwhile
    ends = []
    for block in range(1, (end % SEGMENT_BYTES) // 4096 + 1):
        torn = whole[1][: block * 4096].ljust(SEGMENT_BYTES, b"\0")
        ends.append(Log(number, [torn]).end() % SEGMENT_BYTES)
        assert ends[-1] <= block * 4096
    assert ends == sorted(ends)


def _open_segment(received: Path) -> tuple[str, bytes]:
    (path,) = received.glob("*.partial")
    return path.name[16:24], path.read_bytes()


def _spoil_the_open_segment(received: Path) -> None:
    (path,) = received.glob("*.partial")
    content = bytearray(path.read_bytes())
    content[content.rindex(b"open1")] ^= 1
    path.write_bytes(content)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def _small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    folder.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=711", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(argv, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system can only be mounted by root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


async def test_a_full_disk_is_told_leaves_nothing_half_and_is_got_over(past: Past) -> None:
    told: list[tuple[str, str]] = []
    with _small_disk(past.folder / "disk", 8) as disk:
        archive = Archive.prepare(disk / "archive", past.backups.key, past.cluster.record.system_identifier)
        host = past.cluster.host
        archiver = Archiver(past.cluster.cluster, archive, _Told(host, told), 64)
        filler = disk / "filler"
        filler.write_bytes(bytes(os.statvfs(disk).f_bavail * 4096))
        await archiver.turn()
        assert told
        assert {name for name, _ in told} == {"archive_failed"}
        assert all("the archive's disk is full" in problem for _, problem in told)
        assert archive.log_names() == set()
        assert _names(disk / "archive" / "wal") == []
        with pytest.raises(BackupError, match="No space left on device; nothing restored"):
            await past.restore_from(past.copy(), into=disk / "restored")
        filler.unlink()
        await archiver.turn()
        assert archiver.status()["problems"] == []
        assert archive.log_names() >= {
            path.name for path in past.cluster.cluster.received.glob("0" * 8 + "1" + "?" * 15)
        }
        assert sorted(path.name for path in disk.iterdir()) == ["archive"]


class _Told(Report):
    """Keeps what it says."""

    def __init__(self, host: Any, told: list[tuple[str, str]]) -> None:
        super().__init__(host)
        self._told = told

    def tell(self, name: str, **fields: object) -> None:
        self._told.append((name, str(fields.get("problem", ""))))


async def test_segments_leave_the_receiver_only_once_they_are_archived(past: Past, tmp_path: Path) -> None:
    received = Path(tmp_path / "wal")
    shutil.copytree(past.cluster.cluster.received, received)
    cluster = replace(past.cluster.cluster, folder=tmp_path)
    archive = Archive.prepare(tmp_path / "archive", past.backups.key, past.cluster.record.system_identifier)
    before = _names(received)
    closed = [name for name in before if len(name) == 24]
    archive.put_log(closed[0], bytes(SEGMENT_BYTES))
    told: list[tuple[str, str]] = []
    archiver = Archiver(cluster, archive, _Told(past.cluster.host, told), 1)
    await archiver.turn()
    assert [name for name, _ in told] == ["archive_failed"]
    assert str(archive.log_path(closed[0])) in told[0][1]
    assert "other bytes" in told[0][1]
    assert _names(received) == [closed[0], *before[-2:]]


async def test_an_expired_backup_goes_with_the_log_that_only_it_needed(past: Past) -> None:
    archive = Archive.open(past.copy(), past.backups.key)
    settings = Settings(archive=archive.folder, retention=Retention(1, timedelta(0)))
    (old,) = archive.catalogue.backups()
    assert any(segment.number == old.first_segment for segment in archive.segments())
    new = await Backups(past.cluster.cluster, settings, archive, Report(past.cluster.host)).now()
    assert archive.catalogue.backups() == [new]
    assert _names(archive.folder / "base") == list(new.digests)
    assert all(segment.number >= new.first_segment for segment in archive.segments())


async def test_a_backup_that_was_interrupted_is_no_backup(past: Past) -> None:
    before = await _ids(past)
    asked = asyncio.ensure_future(past.backups.ask("now"))
    async with asyncio.timeout(30):
        while not list(past.cluster.cluster.folder.glob(".backup-*/data/PG_VERSION")):
            await asyncio.sleep(0.005)
    await past.backups.kill()
    with pytest.raises(ControlError):
        await asked
    await past.backups.start()
    assert not list(past.cluster.cluster.folder.glob(".backup-*"))
    assert await _ids(past) == before
    assert len(_names(past.backups.settings.archive / "base")) == len(before)


async def test_after_an_orderly_end_the_archive_alone_has_everything(past: Past) -> None:
    async with connection(past.cluster.dsn()) as primary:
        await primary.execute("INSERT INTO drill VALUES ('last', 1)")
        rows = await primary.fetchval("SELECT count(*) FROM drill")
    await past.backups.end()
    await past.restore_from(past.copy())
    assert await past.count() == rows
    await past.backups.start()


async def _ids(past: Past) -> list[str]:
    return [backup["backup_id"] for backup in (await past.backups.ask("list"))["backups"]]


@pytest.mark.parametrize("name", list(ROWS))
async def test_restored_data_take_over_and_nothing_acknowledged_is_lost(past: Past, name: str) -> None:
    row = Row()
    await ROWS[name](past.cluster, past.backups, row)
    assert (row.lost, row.wrong) == (0, 0)
    assert row.acknowledged > 20


async def test_the_past_that_was_left_can_still_be_restored(past: Past) -> None:
    assert past.cluster.record.timeline == 3
    assert await past.restored("latest", timeline=1) > 11
