"""What the receiver has beyond a server, and how the server gets it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from stack.postgres.receiver_log import GapError, beyond, feed
from stack.postgres.servers import Cluster
from stack.postgres.settings import SEGMENT_BYTES

STREAM = bytes(range(1, 249)) * 8


def cluster_in(folder: Path) -> Cluster:
    return Cluster(binaries=folder, folder=folder, log_folder=folder, user=None, ports={}, passwords={})


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    """A stopped ``postgres:2`` whose recovery begins in the segment 2."""
    cluster = cluster_in(tmp_path)
    data = cluster.data("postgres:2")
    (data / "pg_wal").mkdir(parents=True)
    (data / "global").mkdir()
    head = struct.pack("<QIIi4xqQQI", 7, 1300, 202307071, 5, 0, 0, 2 * SEGMENT_BYTES + 40, 1)
    (data / "global" / "pg_control").write_bytes(head)
    cluster.received.mkdir()
    return cluster


def write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.truncate(SEGMENT_BYTES)


def receive(cluster: Cluster, number: int, content: bytes, *, timeline: int = 1, suffix: str = "") -> None:
    write(cluster.received / f"{timeline:08X}{0:08X}{number:08X}{suffix}", content)


def own(cluster: Cluster, number: int, *, timeline: int = 1) -> Path:
    return cluster.data("postgres:2") / "pg_wal" / f"{timeline:08X}{0:08X}{number:08X}"


def test_what_lies_behind_the_end_of_a_server_is_seen(cluster: Cluster) -> None:
    receive(cluster, 2, STREAM[:1000], suffix=".partial")
    assert beyond(cluster.received, 1, 2 * SEGMENT_BYTES + 992)
    assert not beyond(cluster.received, 1, 2 * SEGMENT_BYTES + 1000)
    assert not beyond(cluster.received, 1, 3 * SEGMENT_BYTES)
    assert not beyond(cluster.received, 2, 0)
    receive(cluster, 3, STREAM[:8], suffix=".partial")
    assert beyond(cluster.received, 1, 3 * SEGMENT_BYTES)
    assert not beyond(cluster.received, 1, 3 * SEGMENT_BYTES + 8)


def test_a_server_is_given_what_it_lacks_and_no_more(cluster: Cluster) -> None:
    receive(cluster, 2, STREAM)
    receive(cluster, 3, STREAM[:500], suffix=".partial")
    write(own(cluster, 2), STREAM)
    assert feed(cluster, "postgres:2", 1) == 1
    assert own(cluster, 3).read_bytes().rstrip(b"\0") == STREAM[:500]
    assert own(cluster, 3).stat().st_size == SEGMENT_BYTES
    assert feed(cluster, "postgres:2", 1) == 0


def test_a_server_that_is_ahead_of_the_receiver_keeps_what_it_has(cluster: Cluster) -> None:
    receive(cluster, 2, STREAM[:500], suffix=".partial")
    write(own(cluster, 2), STREAM[:900])
    assert feed(cluster, "postgres:2", 1) == 0
    assert own(cluster, 2).read_bytes().rstrip(b"\0") == STREAM[:900]


def test_a_segment_just_opened_takes_nothing_away(cluster: Cluster) -> None:
    receive(cluster, 2, STREAM)
    receive(cluster, 3, b"", suffix=".partial")
    write(own(cluster, 2), STREAM)
    write(own(cluster, 3), STREAM[:100])
    assert feed(cluster, "postgres:2", 1) == 0
    assert own(cluster, 3).read_bytes().rstrip(b"\0") == STREAM[:100]


def test_a_gap_is_refused_and_nothing_is_written(cluster: Cluster) -> None:
    receive(cluster, 4, STREAM)
    receive(cluster, 5, STREAM[:500], suffix=".partial")
    write(own(cluster, 2), STREAM[:100])
    with pytest.raises(GapError, match="postgres:2: it ends before 000000010000000000000004"):
        feed(cluster, "postgres:2", 1)
    assert not own(cluster, 4).exists()


def test_a_feed_that_was_broken_off_is_continued(cluster: Cluster) -> None:
    for number in (2, 3, 4):
        receive(cluster, number, STREAM)
    write(own(cluster, 2), STREAM[:500])
    in_the_way = own(cluster, 3).with_name(f"{own(cluster, 3).name}.fed")
    in_the_way.mkdir()
    with pytest.raises(IsADirectoryError):
        feed(cluster, "postgres:2", 1)
    in_the_way.rmdir()
    feed(cluster, "postgres:2", 1)
    assert [own(cluster, number).read_bytes().rstrip(b"\0") == STREAM for number in (2, 3, 4)] == [True, True, True]


def test_a_hole_in_what_was_received_is_refused(cluster: Cluster) -> None:
    for number in (2, 4, 5):
        receive(cluster, number, STREAM)
    write(own(cluster, 2), STREAM)
    with pytest.raises(GapError, match="postgres:2: it ends before 000000010000000000000004"):
        feed(cluster, "postgres:2", 1)
    assert not own(cluster, 5).exists()


def test_a_receiver_that_began_in_a_segment_the_server_has_begun_leaves_no_gap(cluster: Cluster) -> None:
    page = struct.pack("<HHIQ", 0xD113, 2, 1, 4 * SEGMENT_BYTES) + STREAM
    receive(cluster, 4, page, suffix=".partial")
    write(own(cluster, 4), struct.pack("<HHIQ", 0xD113, 2, 1, 2 * SEGMENT_BYTES))  # one that is used again
    with pytest.raises(GapError):
        feed(cluster, "postgres:2", 1)
    write(own(cluster, 4), page[:100])
    assert feed(cluster, "postgres:2", 1) == 1
    assert own(cluster, 4).read_bytes().rstrip(b"\0") == page


def test_a_log_that_is_gone_is_not_taken_for_an_empty_one(cluster: Cluster) -> None:
    cluster.received.rmdir()
    with pytest.raises(GapError, match="wal is gone"):
        feed(cluster, "postgres:2", 1)


def test_a_timeline_begins_where_its_history_says(cluster: Cluster) -> None:
    (own(cluster, 0).parent / "00000002.history").write_text("1\t0/4000028\tno recovery target specified\n")
    receive(cluster, 4, STREAM, timeline=2, suffix=".partial")
    assert feed(cluster, "postgres:2", 2) == 1
    assert own(cluster, 4, timeline=2).read_bytes().rstrip(b"\0") == STREAM
