"""Each check proves itself: bugs sown into an honest record that it, by name, must catch. Money, margin and fees."""

from __future__ import annotations

from pathlib import Path

from reports.tests.synthetic import read_rows
from scenarios.tests.checks.seeding import Row, assert_caught, first, spoil


def test_money_from_nowhere_is_not_conserved(folder: Path) -> None:
    def bug(rows: list[Row]) -> None:
        first(rows, asset="USD")["available"] += 1

    spoil(folder, "balances", bug)
    assert_caught(folder, "conservation")
    assert_caught(folder, "ledger_balances")


def test_money_moved_between_accounts_without_a_fill_is_caught_though_the_sum_is_right(folder: Path) -> None:
    def bug(rows: list[Row]) -> None:
        first(rows, asset="USD", account_id=1)["available"] -= 1_000
        first(rows, asset="USD", account_id=2)["available"] += 1_000

    spoil(folder, "balances", bug)
    caught = assert_caught(folder, "conservation")
    assert {row["account_id"] for row in caught.evidence} == {1, 2}


def test_a_fill_that_was_lost_leaves_money_without_a_cause(folder: Path) -> None:
    spoil(folder, "fills", lambda rows: rows[2:])
    assert_caught(folder, "conservation")


def test_a_lost_ledger_row_unbalances_the_ledger(folder: Path) -> None:
    spoil(folder, "ledger", lambda rows: rows[:-1])
    assert_caught(folder, "ledger_balances")


def test_a_negative_balance_is_caught(folder: Path) -> None:
    def bug(rows: list[Row]) -> None:
        row = first(rows, asset="USD", account_id=1)
        row["reserved"] += row["available"] + 5
        row["available"] = -5

    spoil(folder, "balances", bug)
    assert any("is -5" in row["problem"] for row in assert_caught(folder, "ledger_balances").evidence)


def test_a_cash_account_that_owes_like_a_margin_account_is_caught(folder: Path) -> None:
    """The honest record's margin account owes; the same postings are a bug when its terms allow no debt."""
    owing = next(row for row in read_rows(folder, "balances") if row["available"] < 0)["account_id"]

    def bug(rows: list[Row]) -> None:
        opened = next(row for row in rows if f'["AccountOpened",{owing},[2,' in row["events"])
        opened["events"] = opened["events"].replace(f'["AccountOpened",{owing},[2,', f'["AccountOpened",{owing},[1,')

    spoil(folder, "journal", bug)
    evidence = assert_caught(folder, "ledger_balances").evidence
    assert {(row["account_id"], row["problem"].partition(" at ")[0]) for row in evidence} == {
        (owing, "available overdrawn")
    }


def test_shares_reserved_below_zero_are_caught_even_in_a_margin_account(folder: Path) -> None:
    owing = next(row for row in read_rows(folder, "balances") if row["available"] < 0)["account_id"]
    spoil(folder, "balances", lambda rows: first(rows, account_id=owing, asset="USD").update(reserved=-1))
    assert any("reserved is -1" in row["problem"] for row in assert_caught(folder, "ledger_balances").evidence)


def test_a_lost_fee_posting_is_caught(folder: Path) -> None:
    """The balances are those of the ledger without it: only the trade itself tells that a fee was due."""
    fee = first(read_rows(folder, "ledger"), credit_account_id=-1, debit_bucket="available")
    spoil(folder, "ledger", lambda rows: [row for row in rows if row != fee])

    def bug(rows: list[Row]) -> None:
        first(rows, account_id=-1)["available"] -= fee["amount"]
        first(rows, account_id=fee["debit_account_id"], asset="USD")["available"] += fee["amount"]

    spoil(folder, "balances", bug)
    caught = assert_caught(folder, "conservation")
    assert {row["account_id"] for row in caught.evidence} == {-1, fee["debit_account_id"]}
    assert_caught(folder, "tables_follow_journal")
    assert any(row["payee"] == -1 for row in assert_caught(folder, "fees").evidence)


def test_the_rounding_of_a_charge_that_went_to_the_fees_is_caught_though_the_sum_is_right(folder: Path) -> None:
    def bug(rows: list[Row]) -> None:
        rounding = first(rows, account_id=-2)
        first(rows, account_id=-1)["available"] += rounding["available"]
        rounding["available"] = 0

    spoil(folder, "balances", bug)
    assert {row["account_id"] for row in assert_caught(folder, "conservation").evidence} == {-1, -2}


def test_a_fee_taken_in_an_auction_is_caught(folder: Path) -> None:
    def bug(rows: list[Row]) -> None:
        for row in rows:
            row["events"] = row["events"].replace(',true],["LedgerPosted"', ',false],["LedgerPosted"')

    spoil(folder, "journal", bug)
    assert_caught(folder, "conservation")
    assert_caught(folder, "fees")


def test_a_fee_that_nobody_owed_is_caught(folder: Path) -> None:
    def bug(rows: list[Row]) -> list[Row]:
        fee = first(rows, credit_account_id=-1)
        return [*rows, {**fee, "line": 10_000}]

    spoil(folder, "ledger", bug)
    assert len(assert_caught(folder, "fees").evidence) == 1


def test_a_transfer_that_arrived_nowhere_is_not_conserved(folder: Path) -> None:
    def bug(rows: list[Row]) -> None:
        first(rows, account_id=2, asset="AAA")["available"] -= 7_000_000

    spoil(folder, "balances", bug)
    assert {row["account_id"] for row in assert_caught(folder, "conservation").evidence} == {"all", 2}


def test_a_bucket_overdrawn_on_the_way_is_caught_though_it_ends_right(folder: Path) -> None:
    def bug(rows: list[Row]) -> list[Row]:
        deposits = [row for row in rows if row["debit_account_id"] == 0 and row["asset"] == "USD"]
        late = [{**row, "sequence": rows[-1]["sequence"] + 1, "line": line} for line, row in enumerate(deposits)]
        return [*(row for row in rows if row not in deposits), *late]

    spoil(folder, "ledger", bug)
    assert any("overdrawn" in row["problem"] for row in assert_caught(folder, "ledger_balances").evidence)
