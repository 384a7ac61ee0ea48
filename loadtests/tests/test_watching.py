"""How well a feed served its subscribers, from the messages that reached each of them."""

from __future__ import annotations

import json

import pytest

from loadtests.watching import Watch, messages, quality

AT_NS = 1_800_000_000 * 10**9  # 2027-01-15T08:00:00Z


def test_who_got_every_message_has_the_whole_reach_and_its_age_to_a_per_cent() -> None:
    watch = watched(1, 2, 3, 4, age_ms=20.0)
    found = quality([watch])
    assert (found["received"], found["reach"], found["gaps"], found["missed"]) == (4, 1.0, 0, 0)
    assert found["staleness_ms"]["p50"] == pytest.approx(20.0, rel=0.01)
    assert found["staleness_ms"]["max"] == pytest.approx(20.0, rel=0.01)


def test_what_one_missed_lowers_its_reach_and_counts_as_a_gap() -> None:
    found = quality([watched(1, 2, 3, 4, 5), watched(1, 2, 5)])
    assert (found["gaps"], found["missed"], found["received"]) == (1, 2, 8)
    assert found["reach"] == pytest.approx(8 / 10)


def test_who_hears_nothing_any_more_has_less_reach_without_a_gap() -> None:
    found = quality([watched(1, 2, 3, 4), watched(1, 2)])
    assert (found["gaps"], found["reach"]) == (0, 6 / 8)


def test_who_never_got_a_book_is_told_of() -> None:
    assert quality([watched(1, 2), Watch(), Watch(slow=True)])["unserved"] == 1
    assert quality([watched(1, 2), Watch(slow=True)])["slow"]["kept"] == 1


def test_what_is_repeated_after_a_break_counts_once() -> None:
    assert watched(4, 5, 5, 4, 6).received == 3


def test_heartbeats_and_answers_are_no_news() -> None:
    watch = Watch()
    for frame in ('[{"T": "h", "q": {"AAA": 7}}]', '{"T": "success", "msg": "connected"}', '[{"T": "t", "q": 3}]'):
        for message in messages(frame):
            watch.take(message, AT_NS)
    assert watch.received == 0


def test_slow_ones_lower_nobodys_reach_and_are_told_apart() -> None:
    slow = Watch(slow=True, breaks=2)
    slow.take(next(iter(messages('[{"T": "o", "S": "AAA", "q": 1}]'))), AT_NS)
    found = quality([watched(1, 2, 3, 4), slow])
    assert (found["subscribers"], found["reach"], found["breaks"]) == (1, 1.0, 0)
    assert found["slow"] == {"subscribers": 1, "received": 1, "let_go": 2, "kept": 0}


def watched(*numbers: int, age_ms: float = 5.0) -> Watch:
    watch = Watch()
    for number in numbers:
        frame = json.dumps(
            [{"T": "o", "S": "AAA", "q": number, "t": "2027-01-15T08:00:00.000000000Z", "b": [], "a": []}]
        )
        for message in messages(frame):
            watch.take(message, AT_NS + round(age_ms * 1e6))
    return watch
