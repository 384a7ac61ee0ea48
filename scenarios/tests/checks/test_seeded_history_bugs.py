"""Each check proves itself: bugs sown into an honest record that it, by name, must catch. Journal, state and feed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reports.outage import windows
from reports.record import Record
from reports.records import FeedStream
from reports.results import CheckVerdict
from reports.tests.synthetic import read_rows
from scenarios.tests.checks.seeding import Row, assert_caught, change_engine, first, result_of, spoil
from scenarios.tests.checks.sowing import nth
from trading.wire.feed import FeedChecksumError


def book_messages(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["kind"] == "o"]


def left_and_back(rows: list[Row], at: int, kind: str, reason: str, symbol: str = "AAA") -> list[Row]:
    """The subscriber left its connection before that row, and went on in another one where it was."""
    left = {**rows[at - 1], "kind": kind, "symbol": symbol, "sequence": None, "message": json.dumps({"reason": reason})}
    greeting = {**left, "kind": "success", "symbol": None, "message": '{"T": "success", "msg": "connected"}'}
    return [*rows[:at], left, greeting, *rows[at:]]


def during_a_fault(folder: Path, rows: list[Row]) -> int:
    start_ns, _ = windows(Record(folder))[0]
    return next(index for index, row in enumerate(rows) if row["kind"] == "o" and row["received_ns"] > start_ns)


# -- journal ---------------------------------------------------------------------------------------


def test_a_journal_with_a_gap_is_caught(folder: Path) -> None:
    spoil(folder, "journal", lambda rows: rows[:500] + rows[501:])
    assert_caught(folder, "journal_sequence")


def test_a_deposed_leader_that_wrote_again_is_caught(folder: Path) -> None:
    def bug(rows: list[Row]) -> None:
        rows[-1]["epoch"] = 1

    spoil(folder, "journal", bug)
    assert "epoch 1 after epoch 2" in assert_caught(folder, "journal_sequence").evidence[0]["problem"]


def test_a_symbol_number_given_twice_is_caught(folder: Path) -> None:
    def bug(rows: list[Row]) -> None:
        rows[-1]["symbol_sequence"] -= 1

    spoil(folder, "journal", bug)
    assert_caught(folder, "journal_sequence")


@pytest.mark.parametrize("table", ["orders", "fills", "ledger"])
def test_a_row_the_journal_knows_and_the_table_lost_is_caught(folder: Path, table: str) -> None:
    spoil(folder, table, lambda rows: rows[:-1])
    assert {row["table"] for row in assert_caught(folder, "tables_follow_journal").evidence} == {table}


def test_an_order_whose_state_was_not_updated_is_caught(folder: Path) -> None:
    spoil(folder, "orders", lambda rows: first(rows, status="filled").update(status="new", filled_quantity=0))
    assert_caught(folder, "tables_follow_journal")


def test_a_trade_out_of_price_time_priority_does_not_replay(folder: Path) -> None:
    def bug(rows: list[Row]) -> None:
        row = next(row for row in rows if '"Traded"' in row["events"])
        events = json.loads(row["events"])
        trade = next(event for event in events if event[0] == "Traded")
        trade[6] += 1  # another maker than the one whose turn it was
        row["events"] = json.dumps(events)

    spoil(folder, "journal", bug)
    assert assert_caught(folder, "one_state").evidence[0]["what"] == "replay"


def test_a_database_that_holds_another_balance_than_the_replay_is_caught(folder: Path) -> None:
    def bug(rows: list[Row]) -> None:
        row = first(rows, asset="USD", account_id=1)
        row["available"] -= 1
        row["reserved"] += 1

    spoil(folder, "balances", bug)
    (evidence,) = assert_caught(folder, "one_state").evidence
    assert (evidence["table"], evidence["key"]) == ("balances", "(1, 'USD')")


def test_a_position_with_another_cost_is_caught(folder: Path) -> None:
    def bug(rows: list[Row]) -> None:
        next(row for row in rows if row["cost_micros"])["cost_micros"] += 1

    spoil(folder, "balances", bug)
    (evidence,) = assert_caught(folder, "one_state").evidence
    assert "cost_micros" in evidence["problem"]


def test_a_balance_the_database_lost_is_caught(folder: Path) -> None:
    spoil(folder, "balances", lambda rows: rows[:-1])
    assert any("missing in the table" in row["problem"] for row in assert_caught(folder, "one_state").evidence)


@pytest.mark.parametrize(
    "change",
    [
        {"status": "canceled"},
        {"price_micros": 1},
        {"place": 10**6},
        {"reduced_quantity": 1},
        {"filled_quantity": 1},
        {"account_id": 3_000},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_open_order_the_database_holds_otherwise_is_caught(folder: Path, change: Row) -> None:
    spoil(folder, "orders", lambda rows: next(row for row in rows if row["place"]).update(change))
    assert {row["table"] for row in assert_caught(folder, "one_state").evidence} == {"open orders"}


def test_an_order_left_open_in_the_database_is_caught(folder: Path) -> None:
    spoil(folder, "orders", lambda rows: first(rows, status="canceled").update(status="held"))
    assert any("not in the journal" in row["problem"] for row in assert_caught(folder, "one_state").evidence)


def test_a_trade_the_database_lost_is_caught_by_its_number(folder: Path) -> None:
    last = max(row["trade_id"] for row in read_rows(folder, "fills"))
    spoil(folder, "fills", lambda rows: [row for row in rows if row["trade_id"] != last])
    (evidence,) = assert_caught(folder, "one_state").evidence
    assert (evidence["table"], evidence["key"]) == ("last numbers", "trade_id")


def test_a_live_engine_that_diverged_has_another_hash(folder: Path) -> None:
    change_engine(folder, state_hash="0" * 64)
    assert_caught(folder, "one_state")


def test_a_live_engine_behind_its_journal_is_caught(folder: Path) -> None:
    change_engine(folder, sequence=7)
    assert_caught(folder, "one_state")


# -- feed ------------------------------------------------------------------------------------------


def test_a_message_the_feed_lost_is_a_gap(folder: Path) -> None:
    spoil(folder, "feed", lambda rows: rows[: (at := nth(rows, 200, kind="o"))] + rows[at + 1 :])
    assert_caught(folder, "feed_gaps")


def test_a_message_the_feed_sent_twice_is_a_gap(folder: Path) -> None:
    spoil(folder, "feed", lambda rows: rows[: (at := nth(rows, 200, kind="o")) + 1] + rows[at:])
    assert_caught(folder, "feed_gaps")


def test_a_connection_that_begins_without_a_snapshot_is_a_gap(folder: Path) -> None:
    def bug(rows: list[Row]) -> None:
        greeting = next(index for index, row in enumerate(rows) if row["kind"] == "success")
        row = next(row for row in rows[greeting:] if row["kind"] == "o")
        row["message"] = json.dumps({**json.loads(row["message"]), "r": False})

    spoil(folder, "feed", bug)
    assert "instead of a snapshot" in assert_caught(folder, "feed_gaps").evidence[0]["problem"]


def test_a_gap_the_subscriber_healed_by_itself_is_still_a_gap(folder: Path) -> None:
    def bug(rows: list[Row]) -> list[Row]:
        greeting = next(index for index, row in enumerate(rows) if row["kind"] == "success")
        *earlier, last = [row for row in rows[:greeting] if row["kind"] == "o"]
        lost = [row for row in earlier if row["symbol"] == last["symbol"]][-1]
        left = {**last, "kind": "gap", "sequence": None, "message": "{}"}
        return [row for row in [*rows[:greeting], left, *rows[greeting:]] if row is not lost]

    spoil(folder, "feed", bug)
    assert_caught(folder, "feed_gaps")


def test_a_jump_that_no_disconnection_explains_is_a_gap(folder: Path) -> None:
    spoil(folder, "feed", lambda rows: [row for row in rows if row["kind"] != "success"])
    assert_caught(folder, "feed_gaps")


def test_numbers_missed_between_connections_without_a_fault_are_a_gap(folder: Path) -> None:
    """A snapshot after every break would otherwise make a feed of nothing but breaks look whole."""

    def bug(rows: list[Row]) -> list[Row]:
        start = next(index for index, row in enumerate(rows) if row["kind"] == "o") + 20
        left = {**rows[start], "kind": "disconnect", "sequence": None, "message": "{}"}
        rest = rows[start + 30 :]
        for symbol in {row["symbol"] for row in rest if row["kind"] == "o"}:
            again = next(row for row in rest if row["kind"] == "o" and row["symbol"] == symbol)
            again["message"] = json.dumps({**json.loads(again["message"]), "r": True})
        return [*rows[:start], left, *rest]

    spoil(folder, "feed", bug)
    problems = [evidence["problem"] for evidence in assert_caught(folder, "feed_gaps").evidence]
    assert any("missed between two connections" in problem for problem in problems)


def test_a_gap_that_only_a_heartbeat_shows_is_caught_even_while_a_fault_is_at_work(folder: Path) -> None:
    """What a heartbeat is ahead of comes after the client has asked again: the numbers go on as if nothing had been."""
    spoil(
        folder, "feed", lambda rows: left_and_back(rows, during_a_fault(folder, rows), "gap", "expected 8, received 9")
    )
    (evidence,) = assert_caught(folder, "feed_gaps").evidence
    assert evidence["problem"] == "expected 8, received 9"


def test_a_gap_that_a_message_and_the_subscriber_show_counts_once(folder: Path) -> None:
    def bug(rows: list[Row]) -> list[Row]:
        lost, next_one = [n for n, row in enumerate(rows) if row["kind"] == "o" and row["symbol"] == "AAA"][200:202]
        rows = left_and_back(rows, next_one + 1, "gap", "expected 8, received 9")
        return rows[:lost] + rows[lost + 1 :]

    spoil(folder, "feed", bug)
    assert len(assert_caught(folder, "feed_gaps").evidence) == 1


@pytest.mark.parametrize("kind", ["disconnect", "checksum"])
def test_a_break_after_which_nothing_is_missing_is_no_gap(folder: Path, kind: str) -> None:
    spoil(folder, "feed", lambda rows: left_and_back(rows, nth(rows, 200, kind="o"), kind, "gone"))
    assert result_of(folder, "feed_gaps").verdict is CheckVerdict.HOLDS


def test_a_lag_that_the_feed_tells_of_is_no_gap(folder: Path) -> None:
    def slow(rows: list[Row]) -> list[Row]:
        skipped, whole = [n for n, row in enumerate(rows) if row["kind"] == "o" and row["symbol"] == "AAA"][200:202]
        rows[whole]["message"] = json.dumps({**json.loads(rows[whole]["message"]), "r": True, "w": "lag"})
        return rows[:skipped] + rows[skipped + 1 :]

    spoil(folder, "feed", slow)
    assert result_of(folder, "feed_gaps").verdict is CheckVerdict.HOLDS


def test_a_break_of_the_order_updates_excuses_no_jump_of_the_market_even_while_a_fault_is_at_work(folder: Path) -> None:
    def bug(rows: list[Row]) -> list[Row]:
        at = during_a_fault(folder, rows)
        skipped, whole = [n for n, row in enumerate(rows) if n > at and row["symbol"] == "AAA" and row["kind"] == "o"][
            :2
        ]
        rows[whole]["message"] = json.dumps({**json.loads(rows[whole]["message"]), "r": True})
        why = json.dumps({"stream": FeedStream.ORDER_UPDATES, "reason": "gone"})
        broken = {**rows[at], "kind": "disconnect", "symbol": None, "sequence": None, "message": why}
        return [*rows[:at], broken, *rows[at:skipped], *rows[skipped + 1 :]]

    spoil(folder, "feed", bug)
    assert_caught(folder, "feed_gaps")


def test_a_book_with_a_wrong_checksum_is_caught_though_a_whole_one_followed(folder: Path) -> None:
    def bug(rows: list[Row]) -> list[Row]:
        greeting = next(index for index, row in enumerate(rows) if row["kind"] == "success")
        at = [index for index, row in enumerate(rows[:greeting]) if row["kind"] == "o"][-1]
        wrong = rows[at]
        wrong["message"] = json.dumps({**json.loads(wrong["message"]), "c": 1})
        reason = str(FeedChecksumError(wrong["symbol"], wrong["sequence"]))
        return left_and_back(rows, at + 1, "checksum", reason, symbol=wrong["symbol"])

    spoil(folder, "feed", bug)
    (evidence,) = assert_caught(folder, "feed_book").evidence
    assert "has another checksum than the feed's" in evidence["problem"]


def test_a_checksum_that_the_subscriber_alone_found_wrong_is_caught(folder: Path) -> None:
    spoil(folder, "feed", lambda rows: left_and_back(rows, nth(rows, 200, kind="o"), "checksum", "another checksum"))
    (evidence,) = assert_caught(folder, "feed_book").evidence
    assert evidence["problem"] == "another checksum"


def test_a_feed_that_ends_early_has_not_the_engines_book(folder: Path) -> None:
    spoil(folder, "feed", lambda rows: rows[: nth(rows, -3, kind="o")])
    assert_caught(folder, "feed_book")


def test_a_wrong_size_in_one_message_gives_another_book(folder: Path) -> None:
    def bug(rows: list[Row]) -> None:
        row = next(row for row in reversed(book_messages(rows)) if len(row["message"]) > 60)
        body = json.loads(row["message"])
        body["b"] = [*body["b"], {"p": 1.23, "s": 4}]
        row["message"] = json.dumps(body)

    spoil(folder, "feed", bug)
    assert any("bids at 1.23" in row["problem"] for row in assert_caught(folder, "feed_book").evidence)


def test_a_symbol_the_feed_never_carried_is_caught(folder: Path) -> None:
    spoil(folder, "feed", lambda rows: [row for row in rows if row["symbol"] != "BBB"])
    assert_caught(folder, "feed_book")
