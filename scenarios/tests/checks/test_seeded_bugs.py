"""Each check proves itself: bugs sown into an honest record that it, by name, must catch. Orders and fills."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reports.results import CheckVerdict
from reports.tests.synthetic import read_rows
from scenarios.tests.checks.seeding import Row, assert_caught, first, result_of, spoil
from scenarios.tests.checks.sowing import ask

# -- acknowledged orders ---------------------------------------------------------------------------


def test_an_engine_that_acknowledges_before_commit_loses_orders(folder: Path) -> None:
    spoil(folder, "orders", lambda rows: rows[:-3])
    assert assert_caught(folder, "acknowledged_orders").figures["lost"] >= 1


def test_an_order_stored_twice_is_doubled(folder: Path) -> None:
    spoil(folder, "orders", lambda rows: [*rows, {**rows[0], "order_id": 99_999}])
    assert assert_caught(folder, "acknowledged_orders").figures["doubled"] == 1


def test_an_order_journaled_twice_is_doubled_even_if_the_table_holds_one(folder: Path) -> None:
    def again(rows: list[Row]) -> list[Row]:
        placed = next(row for row in rows if '"PlaceOrder"' in row["command"])
        return [*rows, {**placed, "sequence": rows[-1]["sequence"] + 1}]

    spoil(folder, "journal", again)
    assert assert_caught(folder, "acknowledged_orders").figures["doubled"] == 1


@pytest.mark.parametrize(
    "change",
    [{"quantity": 777}, {"limit_price_micros": 1}, {"side": "sell"}, {"symbol": "BBB"}, {"time_in_force": "gtc"}],
    ids=lambda change: next(iter(change)),
)
def test_an_order_stored_with_other_values_than_acknowledged_differs(folder: Path, change: Row) -> None:
    def bug(rows: list[Row]) -> None:
        first(rows, side="buy", symbol="AAA", time_in_force="day", order_type="limit").update(change)

    spoil(folder, "orders", bug)
    assert assert_caught(folder, "acknowledged_orders").figures["differing"] == 1


def test_an_answer_with_the_id_of_another_order_differs(folder: Path) -> None:
    def bug(rows: list[Row]) -> None:
        places = [row for row in rows if row["kind"] == "place" and row["outcome"] == "ok"]
        places[0]["order_id"] = places[1]["order_id"]

    spoil(folder, "operations", bug)
    assert assert_caught(folder, "acknowledged_orders").figures["differing"] == 1


def test_an_answer_that_tells_another_quantity_differs(folder: Path) -> None:
    def bug(rows: list[Row]) -> None:
        row = first(rows, kind="place", outcome="ok")
        row["answer"] = json.dumps({**json.loads(row["answer"]), "qty": "5000"})

    spoil(folder, "operations", bug)
    assert assert_caught(folder, "acknowledged_orders").figures["differing"] == 1


def test_a_replacement_with_another_price_than_acknowledged_differs(folder: Path) -> None:
    replacement = next(
        row for row in read_rows(folder, "operations") if row["kind"] == "replace" and row["limit_price_micros"]
    )
    assert replacement["outcome"] == "ok"

    def bug(rows: list[Row]) -> None:
        first(rows, client_order_id=replacement["client_order_id"])["limit_price_micros"] += 10_000

    spoil(folder, "orders", bug)
    assert assert_caught(folder, "acknowledged_orders").figures["differing"] == 1


def test_a_quantity_stored_in_shares_instead_of_micro_shares_differs(folder: Path) -> None:
    def bug(rows: list[Row]) -> None:
        for row in rows:
            row["quantity"] //= 1_000_000

    spoil(folder, "orders", bug)
    caught = assert_caught(folder, "acknowledged_orders")
    assert caught.figures["differing"] == caught.figures["acknowledged"]


# -- no order that nobody sent ---------------------------------------------------------------------


def test_an_order_from_nowhere_was_sent_by_nobody(folder: Path) -> None:
    spoil(folder, "orders", lambda rows: [*rows, {**rows[0], "order_id": 99_999, "client_order_id": "ghost"}])
    assert assert_caught(folder, "intended_orders").evidence[0]["problem"] == "nobody sent it"


def test_an_order_of_the_right_name_in_the_wrong_account_was_sent_by_nobody(folder: Path) -> None:
    def bug(rows: list[Row]) -> None:
        rows[0]["account_id"] = rows[0]["account_id"] % 8 + 1

    spoil(folder, "orders", bug)
    assert_caught(folder, "intended_orders")


def test_an_order_that_was_refused_must_not_exist(folder: Path) -> None:
    spoil(folder, "operations", lambda rows: first(rows, kind="place", outcome="ok").update(outcome="fail"))
    assert "was refused" in assert_caught(folder, "intended_orders").evidence[0]["problem"]


def test_an_order_whose_operation_was_never_sent_must_not_exist(folder: Path) -> None:
    spoil(folder, "operations", lambda rows: first(rows, kind="place", outcome="ok").update(sent_ns=None))
    assert_caught(folder, "intended_orders")


def test_a_leg_without_its_entry_was_asked_for_by_nobody(folder: Path) -> None:
    leg = next(row for row in read_rows(folder, "orders") if row["parent_id"] and not row["client_order_id"])
    spoil(folder, "orders", lambda rows: [row for row in rows if row["order_id"] != leg["parent_id"]])
    problems = [row["problem"] for row in assert_caught(folder, "intended_orders").evidence]
    assert any(problem.startswith("is a leg of order") for problem in problems)


def test_a_replacement_nobody_asked_for_is_caught(folder: Path) -> None:
    spoil(folder, "operations", lambda rows: [row for row in rows if row["kind"] != "replace"])
    assert {row["problem"] for row in assert_caught(folder, "intended_orders").evidence} == {"nobody sent it"}


# -- unknown outcomes ------------------------------------------------------------------------------


def test_an_unknown_order_that_was_executed_with_another_quantity_is_caught(folder: Path) -> None:
    unknown = {row["client_order_id"] for row in read_rows(folder, "operations") if row["outcome"] == "unknown"}

    def bug(rows: list[Row]) -> None:
        next(row for row in rows if row["client_order_id"] in unknown)["quantity"] += 1

    spoil(folder, "orders", bug)
    assert "other values" in assert_caught(folder, "unknown_outcomes").evidence[0]["problem"]


def test_an_unknown_order_that_was_executed_twice_is_caught(folder: Path) -> None:
    unknown = {row["client_order_id"] for row in read_rows(folder, "operations") if row["outcome"] == "unknown"}

    def bug(rows: list[Row]) -> list[Row]:
        executed = next(row for row in rows if row["client_order_id"] in unknown)
        return [*rows, {**executed, "order_id": 99_999}]

    spoil(folder, "orders", bug)
    assert "exists 2 times" in assert_caught(folder, "unknown_outcomes").evidence[0]["problem"]


def test_an_order_a_client_was_told_to_exist_and_that_does_not_is_caught(folder: Path) -> None:
    def bug(rows: list[Row]) -> list[Row]:
        template = first(rows, kind="place", outcome="ok")
        return [*rows, {**template, "kind": "lookup", "operation_id": 99_999, "client_order_id": "gone"}]

    spoil(folder, "operations", bug)
    assert_caught(folder, "unknown_outcomes")


# -- cancels ---------------------------------------------------------------------------------------


def test_a_fill_after_a_cancel_in_the_journal_is_caught(folder: Path) -> None:
    def bug(rows: list[Row]) -> None:
        traded = next(row for row in reversed(rows) if '"Traded"' in row["events"])
        trade = next(event for event in json.loads(traded["events"]) if event[0] == "Traded")
        canceled = ["OrderCanceled", trade[6], trade[7], trade[2], "buy", 1, 1, "client"]
        earlier = next(row for row in rows if '"OrderAccepted"' in row["events"])
        earlier["events"] = json.dumps([*json.loads(earlier["events"]), canceled])

    spoil(folder, "journal", bug)
    assert "traded at" in assert_caught(folder, "canceled_orders").evidence[0]["problem"]


def test_a_fill_of_an_order_that_was_replaced_is_caught(folder: Path) -> None:
    replaced = first(read_rows(folder, "orders"), status="replaced")["order_id"]

    def bug(rows: list[Row]) -> None:
        traded = next(row for row in reversed(rows) if '"Traded"' in row["events"])
        events = json.loads(traded["events"])
        next(event for event in events if event[0] == "Traded")[6] = replaced
        traded["events"] = json.dumps(events)

    spoil(folder, "journal", bug)
    assert "withdrawn at sequence" in assert_caught(folder, "canceled_orders").evidence[0]["problem"]


def test_an_acknowledged_cancel_whose_order_stays_open_is_caught(folder: Path) -> None:
    canceled = first(read_rows(folder, "operations"), kind="cancel", outcome="ok")["client_order_id"]
    spoil(folder, "orders", lambda rows: first(rows, client_order_id=canceled).update(status="new"))
    assert_caught(folder, "canceled_orders")


@pytest.mark.parametrize("ended", ["filled", "replaced", "expired"])
def test_an_acknowledged_cancel_of_an_order_that_had_ended_otherwise_is_caught(folder: Path, ended: str) -> None:
    """Who is told that his order is canceled believes that he does not hold what it bought long ago."""
    orders = read_rows(folder, "orders")
    order = first(orders, status="filled" if ended == "expired" else ended)
    names = {"account_id": order["account_id"], "client_order_id": order["client_order_id"]}
    ask(folder, kind="cancel", **names, http_status=204)
    spoil(folder, "orders", lambda rows: first(rows, order_id=order["order_id"]).update(status=ended))
    (evidence,) = assert_caught(folder, "canceled_orders").evidence
    assert evidence["problem"] == f"its cancel was acknowledged, and it is {ended}"


def test_a_cancel_that_is_acknowledged_again_is_no_bug(folder: Path) -> None:
    canceled = first(read_rows(folder, "operations"), kind="cancel", outcome="ok")
    ask(folder, kind="cancel", account_id=canceled["account_id"], client_order_id=canceled["client_order_id"])
    assert result_of(folder, "canceled_orders").verdict is CheckVerdict.HOLDS


def test_a_fill_later_than_the_acknowledged_cancel_is_caught(folder: Path) -> None:
    operation = first(read_rows(folder, "operations"), kind="cancel", outcome="ok")
    order = first(read_rows(folder, "orders"), client_order_id=operation["client_order_id"])

    def bug(rows: list[Row]) -> None:
        rows[0].update(order_id=order["order_id"], at_ns=operation["done_ns"] + 1)

    spoil(folder, "fills", bug)
    assert_caught(folder, "canceled_orders")


# -- fills -----------------------------------------------------------------------------------------


def test_an_order_that_claims_more_than_its_fills_is_caught(folder: Path) -> None:
    def bug(rows: list[Row]) -> None:
        first(rows, status="filled")["filled_quantity"] += 1

    spoil(folder, "orders", bug)
    assert_caught(folder, "fills_add_up")


def test_an_order_with_the_wrong_filled_value_is_caught(folder: Path) -> None:
    def bug(rows: list[Row]) -> None:
        first(rows, status="filled")["filled_value_micros"] -= 1

    spoil(folder, "orders", bug)
    assert_caught(folder, "fills_add_up")


def test_a_filled_order_that_is_called_open_is_caught(folder: Path) -> None:
    spoil(folder, "orders", lambda rows: first(rows, status="filled").update(status="partially_filled"))
    assert_caught(folder, "fills_add_up")


def test_a_reduced_order_that_kept_its_leaves_is_caught(folder: Path) -> None:
    def bug(rows: list[Row]) -> None:
        next(row for row in rows if row["reduced_quantity"])["reduced_quantity"] = 0

    spoil(folder, "orders", bug)
    problems = [row["problem"] for row in assert_caught(folder, "fills_add_up").evidence]
    assert any(problem.startswith("reduced by 0 micro-shares, the journal took") for problem in problems)


def test_an_order_filled_beyond_what_it_was_reduced_to_is_caught(folder: Path) -> None:
    reduced = next(row for row in read_rows(folder, "orders") if row["reduced_quantity"])["order_id"]

    def bug(rows: list[Row]) -> list[Row]:
        order = first(read_rows(folder, "orders"), order_id=reduced)
        more = {**rows[0], "trade_id": 99_999, "order_id": reduced, "quantity": order["quantity"]}
        return [*rows, more]

    spoil(folder, "fills", bug)
    problems = [row["problem"] for row in assert_caught(folder, "fills_add_up").evidence]
    assert any("and reduced by" in problem for problem in problems)


def test_a_held_leg_that_claims_a_fill_is_caught(folder: Path) -> None:
    spoil(folder, "orders", lambda rows: first(rows, status="partially_filled").update(status="held"))
    problems = [row["problem"] for row in assert_caught(folder, "fills_add_up").evidence]
    assert any(problem.startswith("is held with") for problem in problems)


def test_a_trade_through_the_limit_is_caught(folder: Path) -> None:
    def bug(rows: list[Row]) -> None:
        order = first(rows, status="filled", side="buy", order_type="limit")
        order["limit_price_micros"] = 1

    spoil(folder, "orders", bug)
    assert any("beyond its limit" in row["problem"] for row in assert_caught(folder, "fills_add_up").evidence)


def test_a_trade_with_one_side_is_caught(folder: Path) -> None:
    spoil(folder, "fills", lambda rows: rows[1:])
    assert_caught(folder, "trades_agree")


@pytest.mark.parametrize("field", ["price_micros", "quantity"])
def test_a_trade_whose_sides_differ_is_caught(folder: Path, field: str) -> None:
    def bug(rows: list[Row]) -> None:
        rows[0][field] += 1

    spoil(folder, "fills", bug)
    assert_caught(folder, "trades_agree")


def test_a_trade_booked_on_somebody_elses_order_is_caught(folder: Path) -> None:
    def bug(rows: list[Row]) -> None:
        rows[0]["account_id"] = rows[0]["account_id"] % 8 + 1

    spoil(folder, "fills", bug)
    assert_caught(folder, "trades_agree")
