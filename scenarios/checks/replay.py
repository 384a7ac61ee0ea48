"""The journal is whole, and the tables of orders, fills and ledger are what its events make of them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import msgspec

from reports.record import Record
from scenarios.checks.check import Check, Evidence, Findings, differences, present
from trading.core.events import LedgerPosted, Traded
from trading.core.orders import OrderId, Side
from trading.wire.journal import JournalRecord
from trading.wire.orders import OrderView, fold


def examine_sequence(record: Record) -> Findings:
    """Sequence numbers, over all and per symbol, count from 1 without a gap; epochs never go back."""
    journal = present(record.journal, "journal record")
    violations: list[Evidence] = []
    epoch = 0
    symbols: dict[str, int] = defaultdict(int)
    for expected, entry in enumerate(journal, start=1):
        if entry.sequence != expected:
            violations.append(_row(entry, f"sequence {entry.sequence} where {expected} was due"))
        if entry.epoch < epoch:
            violations.append(_row(entry, f"epoch {entry.epoch} after epoch {epoch}"))
        if entry.symbol is not None:
            symbols[entry.symbol] += 1
            if entry.symbol_sequence != symbols[entry.symbol]:
                due = symbols[entry.symbol]
                violations.append(_row(entry, f"{entry.symbol} has {entry.symbol_sequence} where {due} was due"))
        epoch = max(epoch, entry.epoch)
    epochs = len({entry.epoch for entry in journal})
    summary = f"{len(journal):,} records, {len(symbols)} symbols, {epochs} epochs: {len(violations):,} breaks in order"
    return Findings(summary, violations, {"journal_records": len(journal), "epochs": epochs})


def examine_tables(record: Record) -> Findings:
    """Orders, fills and ledger are what the journal's events make of them, row by row."""
    journal = present(record.journal, "journal record")
    orders, violations = _folded_orders(journal)
    violations += compare(
        "orders", {key: msgspec.to_builtins(order) for key, order in orders.items()}, _keyed_orders(record)
    )
    violations += compare("fills", _expected_fills(journal), _keyed_fills(record))
    violations += compare("ledger", _expected_ledger(journal), _keyed_ledger(record))
    rows = len(record.orders) + len(record.fills) + len(record.ledger)
    return Findings(f"{rows:,} rows against {len(journal):,} records: {len(violations):,} differ", violations)


def _folded_orders(journal: Any) -> tuple[dict[OrderId, OrderView], list[Evidence]]:
    orders: dict[OrderId, OrderView] = {}
    for entry in journal:
        try:
            fold(orders, entry.events, sequence=entry.sequence, at_ns=entry.at_ns)
        except KeyError as error:
            return orders, [_row(entry, f"touches order {error} that was never accepted")]
    return orders, []


def _expected_fills(journal: Any) -> dict[Any, Evidence]:
    return {
        (event.trade_id, side): {
            "order_id": order_id,
            "account_id": account_id,
            "symbol": event.symbol,
            "price_micros": event.price_micros,
            "quantity": event.quantity,
            "liquidity": liquidity,
            "sequence": entry.sequence,
        }
        for entry in journal
        for event in entry.events
        if isinstance(event, Traded)
        for side, order_id, account_id, liquidity in _sides(event)
    }


def _sides(trade: Traded) -> list[tuple[str, int, int, str]]:
    maker_side = Side.SELL if trade.taker_side is Side.BUY else Side.BUY
    maker, taker = ("auction", "auction") if trade.auction else ("maker", "taker")
    return [
        (maker_side.value, trade.maker_order_id, trade.maker_account_id, maker),
        (trade.taker_side.value, trade.taker_order_id, trade.taker_account_id, taker),
    ]


def _expected_ledger(journal: Any) -> dict[Any, Evidence]:
    return {
        (entry.sequence, line): {"posting": list(posting)}
        for entry in journal
        for line, posting in enumerate(event for event in entry.events if isinstance(event, LedgerPosted))
    }


def _keyed_orders(record: Record) -> dict[Any, Evidence]:
    return {order.order_id: msgspec.to_builtins(order) for order in record.orders}


def _keyed_fills(record: Record) -> dict[Any, Evidence]:
    return {(fill.trade_id, fill.side): msgspec.to_builtins(fill) for fill in record.fills}


def _keyed_ledger(record: Record) -> dict[Any, Evidence]:
    """Postings by sequence and place within it; the stored line numbers only order them."""
    places: dict[int, int] = defaultdict(int)
    keyed = {}
    for row in sorted(record.ledger, key=lambda row: (row.sequence, row.line)):
        keyed[row.sequence, places[row.sequence]] = {"posting": list(msgspec.structs.astuple(row)[2:])}
        places[row.sequence] += 1
    return keyed


def compare(table: str, expected: dict[Any, Evidence], found: dict[Any, Evidence]) -> list[Evidence]:
    """Row by row and field by field; what ``found`` has beyond the fields that are expected is left alone."""
    violations: list[Evidence] = []
    for key in sorted(expected.keys() | found.keys()):
        if key not in found:
            violations.append({"table": table, "key": str(key), "problem": "in the journal, missing in the table"})
        elif key not in expected:
            violations.append({"table": table, "key": str(key), "problem": "in the table, not in the journal"})
        elif wrong := differences(expected[key], found[key]):
            violations.append({"table": table, "key": str(key), "problem": f"journal -> table: {wrong}"})
    return violations


def _row(entry: JournalRecord, problem: str) -> Evidence:
    return {"sequence": entry.sequence, "problem": problem}


SEQUENCE_CHECK = Check("journal_sequence", "The journal has no gap and its epochs never go back", examine_sequence)
TABLES_CHECK = Check("tables_follow_journal", "Orders, fills and ledger are what the journal says", examine_tables)
