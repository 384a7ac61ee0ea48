"""Each check proves itself: bugs sown into an honest record that it, by name, must catch. Time, reads, states, updates.

Every bug is one a platform could have; the first of each check's would be missed by no other of its bugs.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reports.record import Record
from reports.records import FeedStream
from reports.results import CheckVerdict
from reports.tests.synthetic import read_rows
from scenarios.checks import referee
from scenarios.checks.check import CannotTellError
from scenarios.tests.checks.seeding import Row, assert_caught, first, result_of, spoil
from scenarios.tests.checks.sowing import ask, change_event, lookup, nth, placed, public_id, resting, shown

Bug = Callable[[Path], None]
MAKER = 6  # the maker's place in a Traded event


def spans(folder: Path) -> dict[int, tuple[int, int]]:
    """When each acknowledged order was sent and acknowledged."""
    return {
        int(row["order_id"][-12:], 16): (row["sent_ns"], row["done_ns"])
        for row in read_rows(folder, "operations")
        if row["kind"] == "place" and row["order_id"]
    }


# -- real time -------------------------------------------------------------------------------------


def matched_last_first(folder: Path) -> None:
    sent = spans(folder)
    number, later = next(
        (number, order_id)
        for number, trade, book in resting(folder)
        for order_id, where in book.items()
        if where == book[trade[5]] and {order_id, trade[5]} <= sent.keys()
        if sent[trade[5]][1] < sent[order_id][0]
    )
    change_event(folder, "Traded", lambda event: event.__setitem__(MAKER, later), number=number)


def matched_at_a_worse_price(folder: Path) -> None:
    number, worse = next(
        (number, order_id)
        for number, trade, book in resting(folder)
        for order_id, (symbol, side, price_micros) in book.items()
        if (symbol, side) == book[trade[5]][:2] and (price_micros < trade[2]) == (side == "buy") != trade[2]
        if price_micros != trade[2]
    )
    change_event(folder, "Traded", lambda event: event.__setitem__(MAKER, worse), number=number)


def journaled_after_what_came_later(folder: Path) -> None:
    def bug(rows: list[Row]) -> None:
        places = [row for row in rows if row["kind"] == "place" and row["outcome"] == "ok"]
        places[-1].update(sent_ns=places[0]["sent_ns"] - 20, done_ns=places[0]["sent_ns"] - 10)

    spoil(folder, "operations", bug)


# -- reads -----------------------------------------------------------------------------------------


def denied_after_its_acknowledgement(folder: Path) -> None:
    order = placed(folder)
    names = {"account_id": order["account_id"], "client_order_id": order["client_order_id"]}
    ask(folder, kind="lookup", **names, outcome="fail", http_status=404)


def open_after_its_cancel_was_acknowledged(folder: Path) -> None:
    canceled = {row["order_id"] for row in read_rows(folder, "operations") if row["kind"] == "cancel"}
    order = next(
        row
        for row in read_rows(folder, "orders")
        if public_id(row["order_id"]) in canceled and row["status"] == "canceled" and not row["filled_quantity"]
    )
    lookup(folder, order, status="new")


def listed_as_open_after_it_was_replaced(folder: Path) -> None:
    order = placed(folder, status="replaced", filled_quantity=0)
    ask(folder, kind="read", account_id=order["account_id"], answer=f"[{shown(order, status='new')}]")


def unfilled_after_a_fill_was_acknowledged(folder: Path) -> None:
    told = next(
        json.loads(row["answer"])
        for row in read_rows(folder, "operations")
        if row["kind"] == "place" and row["outcome"] == "ok" and json.loads(row["answer"])["status"] == "filled"
    )
    order = next(row for row in read_rows(folder, "orders") if public_id(row["order_id"]) == told["id"])
    lookup(folder, order, status="partially_filled", filled_qty="0")


# -- states ----------------------------------------------------------------------------------------


def canceled_once_it_was_filled(folder: Path) -> None:
    order = placed(folder, status="filled")

    def bug(rows: list[Row]) -> None:
        ended = [
            "OrderCanceled",
            order["order_id"],
            order["account_id"],
            order["symbol"],
            order["side"],
            None,
            1,
            "client",
        ]
        rows[-1]["events"] = json.dumps([*json.loads(rows[-1]["events"]), ended])

    spoil(folder, "journal", bug)


def a_trade_that_leaves_more_than_there_was(folder: Path) -> None:
    change_event(folder, "Traded", lambda event: event.__setitem__(8, event[8] + 7), number=3)


def accepted_twice(folder: Path) -> None:
    def bug(rows: list[Row]) -> None:
        accepted = next(e for row in rows for e in json.loads(row["events"]) if e[0] == "OrderAccepted")
        rows[-1]["events"] = json.dumps([*json.loads(rows[-1]["events"]), accepted])

    spoil(folder, "journal", bug)


def fewer_filled_than_a_client_had_seen(folder: Path) -> None:
    lookup(folder, placed(folder, status="partially_filled"), filled_qty="19.999999")


def shown_in_an_earlier_state_than_before(folder: Path) -> None:
    order = placed(folder, status="filled")
    lookup(folder, order)
    lookup(folder, order, status="new", filled_qty="0")


# -- order updates ---------------------------------------------------------------------------------


def updates(folder: Path, bug: Callable[[list[Row], list[int]], list[Row] | None]) -> None:
    """``bug`` gets the feed's rows, and which of them are order updates."""
    spoil(folder, "feed", lambda rows: bug(rows, [n for n, row in enumerate(rows) if row["kind"] == "trade_updates"]))


def one_left_out(folder: Path) -> None:
    updates(folder, lambda rows, told: rows[: told[10]] + rows[told[10] + 1 :])


def one_twice(folder: Path) -> None:
    updates(folder, lambda rows, told: [*rows[: told[10] + 1], rows[told[10]], *rows[told[10] + 1 :]])


def two_in_the_wrong_order(folder: Path) -> None:
    def bug(rows: list[Row], told: list[int]) -> None:
        rows[told[10]], rows[told[11]] = rows[told[11]], rows[told[10]]

    updates(folder, bug)


def the_last_never_sent(folder: Path) -> None:
    updates(folder, lambda rows, told: [row for number, row in enumerate(rows) if number not in told[-3:]])


def of_another_size(folder: Path) -> None:
    def bug(rows: list[Row], told: list[int]) -> None:
        number = next(n for n in told if '"qty": "' in rows[n]["message"] and "fill" in rows[n]["message"])
        message = json.loads(rows[number]["message"])
        message["data"]["order"]["filled_qty"] = "12345"
        rows[number]["message"] = json.dumps(message)

    updates(folder, bug)


def missed_between_two_connections_without_a_fault(folder: Path) -> None:
    def bug(rows: list[Row], told: list[int]) -> list[Row]:
        listening = rows[nth(rows, 0, kind="listening")]
        gone = set(told[8:12])
        again = {**listening, "received_ns": rows[told[12]]["received_ns"] - 1_000_000}
        kept = [row for number, row in enumerate(rows) if number not in gone]
        place = kept.index(rows[told[12]])
        return [*kept[:place], again, *kept[place:]]

    updates(folder, bug)


def silent(folder: Path, from_told: int, lost: FeedStream | None, lost_at: int) -> None:
    """No update any more from that one on; a stream (None: an old record does not say which) broke at that row."""

    def bug(rows: list[Row], told: list[int]) -> list[Row]:
        gone = {id(rows[number]) for number in told[from_told:]}
        why = json.dumps({"reason": "gone"} | ({"stream": lost} if lost else {}))
        broken = {**rows[lost_at], "kind": "disconnect", "symbol": None, "sequence": None, "message": why}
        return [row for row in [*rows[:lost_at], broken, *rows[lost_at:]] if id(row) not in gone]

    updates(folder, bug)


def silent_while_the_market_data_broke(folder: Path) -> None:
    silent(folder, 200, FeedStream.MARKET_DATA, -20)


def lost_for_good_without_a_fault(folder: Path) -> None:
    silent(folder, -3, FeedStream.ORDER_UPDATES, -1)


def lost_for_good_in_an_old_record_without_a_fault(folder: Path) -> None:
    silent(folder, -3, None, -1)


def none_at_all(folder: Path) -> None:
    updates(folder, lambda rows, told: [row for number, row in enumerate(rows) if number not in told])


# -- the referee -----------------------------------------------------------------------------------


def cash_that_is_not_there(folder: Path) -> None:
    cash = next(row for row in read_rows(folder, "balances") if row["asset"] == "USD" and row["account_id"] == 2)
    wrong = (cash["available"] + cash["reserved"]) / 10**6 + 1
    ask(folder, kind="read", account_id=2, answer=json.dumps({"cash": f"{wrong:.2f}"}))


def cash_of_an_earlier_moment(folder: Path) -> None:
    def bug(rows: list[Row]) -> None:
        reads = [row for row in rows if row["account_id"] == 3 and '"cash"' in (row["answer"] or "")]
        early, late = reads[0], reads[-1]
        assert early["answer"] != late["answer"]
        late["answer"] = early["answer"]

    spoil(folder, "operations", bug)


def two_answers_that_swap(folder: Path) -> None:
    """Each for itself is possible: who reads the order first sees it filled, who reads it later does not."""
    order = placed(folder, status="filled")
    lookup(folder, order, status="new", filled_qty="0")


def too_late_to_cancel_an_open_order(folder: Path) -> None:
    order = placed(folder, status="new")
    names = {"account_id": order["account_id"], "client_order_id": order["client_order_id"]}
    late = {"code": 42210000, "message": 'order is already in "filled" state'}
    ask(folder, kind="cancel", **names, outcome="fail", http_status=422, answer=json.dumps(late))


SEEDED: list[tuple[str, Bug, str]] = [
    ("real_time_order", matched_last_first, "traded before order"),
    ("real_time_order", matched_at_a_worse_price, "was to be had"),
    ("real_time_order", journaled_after_what_came_later, "was journaled before order"),
    ("read_your_writes", denied_after_its_acknowledgement, "does not exist"),
    ("read_your_writes", open_after_its_cancel_was_acknowledged, "withdrawal had been acknowledged"),
    ("read_your_writes", listed_as_open_after_it_was_replaced, "withdrawal had been acknowledged"),
    ("read_your_writes", unfilled_after_a_fill_was_acknowledged, "after filled had been acknowledged"),
    ("order_states", canceled_once_it_was_filled, "canceled while it is filled"),
    ("order_states", a_trade_that_leaves_more_than_there_was, "micro-shares and has"),
    ("order_states", accepted_twice, "accepted a second time"),
    ("order_states", fewer_filled_than_a_client_had_seen, "and ended as"),
    ("order_states", shown_in_an_earlier_state_than_before, "after it had been filled"),
    ("order_updates", one_left_out, "was left out"),
    ("order_updates", one_twice, "came late or again"),
    ("order_updates", two_in_the_wrong_order, "came late or again"),
    ("order_updates", the_last_never_sent, "never came"),
    ("order_updates", of_another_size, "was due"),
    ("order_updates", missed_between_two_connections_without_a_fault, "missed without a fault"),
    ("order_updates", none_at_all, "never came"),
    ("order_updates", silent_while_the_market_data_broke, "never came"),
    ("order_updates", lost_for_good_without_a_fault, "never came"),
    ("order_updates", lost_for_good_in_an_old_record_without_a_fault, "never came"),
    ("referee", cash_that_is_not_there, "micro-dollars"),
    ("referee", cash_of_an_earlier_moment, "micro-dollars"),
    ("referee", two_answers_that_swap, "0 micro-shares filled, open"),
    ("referee", too_late_to_cancel_an_open_order, "refused as too late"),
]


@pytest.mark.parametrize(("check", "bug", "problem"), SEEDED, ids=lambda value: getattr(value, "__name__", None))
def test_a_bug_of_orders_is_caught(folder: Path, check: str, bug: Bug, problem: str) -> None:
    bug(folder)
    evidence = assert_caught(folder, check).evidence
    assert any(problem in row["problem"] for row in evidence), evidence


def test_updates_missed_while_a_fault_kept_the_subscriber_away_are_told_of_and_no_bug(folder: Path) -> None:
    result = result_of(folder, "order_updates")
    assert result.verdict is CheckVerdict.HOLDS
    assert "in 2 connections" in result.summary
    assert " 0 missed" not in result.summary


@pytest.mark.parametrize("stream", [FeedStream.ORDER_UPDATES, None])
def test_updates_missed_since_a_fault_took_the_stream_for_good_are_told_of_and_no_bug(
    folder: Path, stream: FeedStream | None
) -> None:
    before = result_of(folder, "order_updates").summary
    silent(folder, 225, stream, 1_160)  # the engine is gone then
    result = result_of(folder, "order_updates")
    assert result.verdict is CheckVerdict.HOLDS
    assert missed(result.summary) == missed(before) + 75


def missed(summary: str) -> int:
    return int(summary.rpartition(" missed")[0].rpartition(" ")[2])


def test_a_referee_without_time_cannot_tell(folder: Path) -> None:
    with pytest.raises(CannotTellError, match="accounts were not decided within 0 s"):
        referee.examine(Record(folder), limit_s=0)


def test_a_referee_says_how_much_of_a_long_history_it_saw(folder: Path) -> None:
    cash_that_is_not_there(folder)
    whole = referee.examine(Record(folder))
    assert whole.violations
    assert whole.figures["refereed_calls"] == whole.figures["calls"]
    begun = referee.examine(Record(folder), max_calls=20)
    assert not begun.violations
    assert begun.figures["refereed_calls"] <= 20 * begun.figures["refereed_accounts"]
    assert begun.figures["calls"] == whole.figures["calls"]
    assert f"{begun.figures['refereed_calls']:,} of {begun.figures['calls']:,} calls" in begun.summary
    assert "of each the first 20 at most" in begun.summary
    assert "the first" not in whole.summary


def test_an_unknown_cancel_is_resolved_from_the_primary(folder: Path) -> None:
    def bug(rows: list[Row]) -> None:
        first(rows, kind="cancel", outcome="ok").update(outcome="unknown", done_ns=None, http_status=None)

    spoil(folder, "operations", bug)
    figures: dict[str, Any] = result_of(folder, "unknown_outcomes").figures
    assert (figures["unknown_cancels"], figures["unknown_cancels_executed"]) == (1, 1)
