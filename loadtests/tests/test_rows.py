"""What the record says of an operation that ended, column by column."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from loadtests.intended import IntendedOperation, Kind
from loadtests.rows import EndedOperation, columns_of, limit_price_micros
from loadtests.target import target_of
from loadtests.tests.runs import status_of
from reports.records import OPERATIONS, OutcomeKind, TableWriter, read_table
from trading.core.orders import OrderType, Side, TimeInForce

ORDER = IntendedOperation(
    3, 40, Kind.PLACE, 1, "load-7-3", "BBB", Side.SELL, OrderType.LIMIT, TimeInForce.IOC, 5, -2, None
)
READING = IntendedOperation(4, 60, Kind.READ, 0)


def test_a_row_tells_in_its_own_words_what_was_intended_and_what_became_of_it(tmp_path: Path) -> None:
    answered, never_sent = _rows(
        tmp_path,
        EndedOperation(ORDER, 1_040, OutcomeKind.OK, b'{"id": "\xff"}', 1_050, 1_070, 200, "order-9", "http://api"),
        EndedOperation(READING, 1_060, OutcomeKind.FAIL, b"generator full"),
    )
    assert answered == {
        "source": "load",
        "operation_id": 3,
        "kind": "place",
        "account_id": 2,
        "client_order_id": "load-7-3",
        "symbol": "BBB",
        "side": "sell",
        "order_type": "limit",
        "time_in_force": "ioc",
        "quantity": 5_000_000,
        "limit_price_micros": 99_980_000,
        "intended_ns": 1_040,
        "sent_ns": 1_050,
        "done_ns": 1_070,
        "outcome": "ok",
        "http_status": 200,
        "order_id": "order-9",
        "endpoint": "http://api",
        "answer": '{"id": "\N{REPLACEMENT CHARACTER}"}',
    }
    told = {name: value for name, value in never_sent.items() if value is not None}
    assert told == {
        "source": "load",
        "operation_id": 4,
        "kind": "read",
        "account_id": 1,
        "intended_ns": 1_060,
        "outcome": "fail",
        "answer": "generator full",
    }


@pytest.mark.parametrize("ticks", [-9_999, -10_000, -20_000])
def test_a_limit_price_is_at_least_a_tick_however_far_below_the_reference(ticks: int) -> None:
    instruments = target_of(status_of(["http://api"])).instruments
    order = msgspec.structs.replace(ORDER, price_offset_ticks=ticks)
    assert limit_price_micros(order, instruments) == instruments["BBB"].tick_micros == 10_000


def _rows(folder: Path, *ended: EndedOperation) -> list[dict[str, object]]:
    writer = TableWriter(folder / "operations-load", OPERATIONS)
    writer.write_columns(columns_of(ended, target_of(status_of(["http://api"]))))
    writer.close()
    rows: list[dict[str, object]] = read_table(folder, "operations-load").to_pylist()
    return rows
