"""Where in an honest record a bug of matching, of reading or of the feed can be sown."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from reports.tests.synthetic import read_rows
from scenarios.tests.checks.seeding import Row, spoil

Choose = Callable[[Row], bool]


def nth(rows: list[Row], number: int, **wanted: Any) -> int:
    """The index of the row of that number among those that are so."""
    found = [index for index, row in enumerate(rows) if all(row[key] == value for key, value in wanted.items())]
    return found[number]


def ask(folder: Path, **question: Any) -> None:
    """Adds an answered operation: a question sent after everything else, where nothing else is said."""

    def added(rows: list[Row]) -> list[Row]:
        end_ns = max(row["done_ns"] or 0 for row in rows)
        nothing = dict.fromkeys(rows[0])
        asked = {"source": "market", "operation_id": 90_000 + len(rows), "outcome": "ok", "http_status": 200}
        times = {"intended_ns": end_ns + 10, "sent_ns": end_ns + 10, "done_ns": end_ns + 20}
        return [*rows, {**nothing, **asked, **times, **question}]

    spoil(folder, "operations", added)


def placed(folder: Path, **wanted: Any) -> Row:
    """An acknowledged order's row in the orders table, of the first that ended so and was not replaced or a leg."""
    acknowledged = {row["order_id"] for row in read_rows(folder, "operations") if row["kind"] == "place"}
    return next(
        row
        for row in read_rows(folder, "orders")
        if public_id(row["order_id"]) in acknowledged and all(row[key] == value for key, value in wanted.items())
    )


def public_id(order_id: int) -> str:
    return f"00000000-0000-8000-8000-{order_id:012x}"


def shown(order: Row, **changes: Any) -> str:
    """An answer that shows the order as it is stored, but for the changes."""
    filled = order["filled_quantity"] / 10**6
    body = {"id": public_id(order["order_id"]), "status": order["status"], "filled_qty": f"{filled:.6f}"}
    return json.dumps({**body, **changes})


def lookup(folder: Path, order: Row, **changes: Any) -> None:
    names = {"account_id": order["account_id"], "client_order_id": order["client_order_id"]}
    ask(folder, kind="lookup", **names, answer=shown(order, **changes))


def change_event(folder: Path, kind: str, bug: Callable[[list[Any]], Any], *, number: int = 0) -> None:
    """Changes the event of that number among those of a kind, in place."""

    def changed(rows: list[Row]) -> None:
        left = number
        for row in rows:
            events = json.loads(row["events"])
            for event in events:
                if event[0] == kind:
                    if left == 0:
                        bug(event)
                        row["events"] = json.dumps(events)
                        return
                    left -= 1

    spoil(folder, "journal", changed)


def resting(folder: Path) -> Iterator[tuple[int, Any, dict[int, tuple[str, str, int]]]]:
    """Every trade outside auctions by its number, with what rests: order -> (symbol, side, price)."""
    book: dict[int, tuple[str, str, int]] = {}
    number = -1
    for row in read_rows(folder, "journal"):
        for event in json.loads(row["events"]):
            match event:
                case ["OrderRested", order_id, symbol, side, price_micros, *_]:
                    book[order_id] = (symbol, side, price_micros)
                case ["OrderCanceled" | "OrderReplaced", order_id, *_]:
                    book.pop(order_id, None)
                case ["Traded", *trade]:
                    number += 1
                    if not trade[-1]:
                        yield number, trade, dict(book)
                    for order_id, leaves in ((trade[5], trade[7]), (trade[8], trade[10])):
                        if not leaves:
                            book.pop(order_id, None)
                case _:
                    pass
