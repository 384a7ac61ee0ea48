"""A recorded market as a schedule, from the folder a simulated day leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from loadtests.arrivals import Replay
from loadtests.intended import IntendedOperation, Kind, ScheduleOptions
from loadtests.replay import RecordingError, extent_of, read_day
from loadtests.schedule import operations
from simulator.days.recorder import Recorder
from trading.core.orders import NS_PER_S, OrderType, Side, TimeInForce

#        at, trader, number, symbol, action, side, type, time in force, shares, price
ROWS = [
    (0.0, 5, 1, "XXX", "place", "buy", "limit", "day", 300, 99_980_000),
    (1.0, 5, 2, "XXX", "place", "sell", "limit", "opg", 100, 100_010_000),
    (1.5, 6, 1, "YYY", "place", "sell", "market", "day", 7, None),
    (2.0, 5, 1, "XXX", "cancel", "buy", "limit", "day", 300, 99_980_000),
    (2.5, 6, 2, "YYY", "place", "buy", "stop", "day", 7, None),
    (4.0, 6, 3, "YYY", "place", "buy", "limit", "ioc", 9, 50_000_000),
]


def test_orders_and_cancels_come_in_the_recordings_rhythm_at_the_rate_asked_for(tmp_path: Path) -> None:
    options = _options(tmp_path)  # five orders in four seconds, asked for at one a second
    got = list(islice(operations(options), 5))
    assert [operation.offset_ns / NS_PER_S for operation in got] == pytest.approx([0, 1, 1.5, 2, 4])
    assert [operation.kind for operation in got] == [Kind.PLACE] * 3 + [Kind.CANCEL, Kind.PLACE]
    assert got[3].client_order_id == got[0].client_order_id == "load-7-0"
    assert [operation.symbol for operation in got] == ["AAA", "AAA", "BBB", "AAA", "BBB"]
    assert [operation.account for operation in got] == [1, 1, 2, 1, 2]
    assert _terms(got[1]) == (Side.SELL, OrderType.LIMIT, TimeInForce.DAY, 100, 3)
    assert _terms(got[2]) == (Side.SELL, OrderType.MARKET, TimeInForce.DAY, 7, None)
    faster = [operation.offset_ns for operation in islice(operations(replace(options, rate_per_s=2.0)), 5)]
    assert faster == [operation.offset_ns // 2 for operation in got]


def test_after_its_end_a_recording_begins_again_with_orders_of_new_names(tmp_path: Path) -> None:
    got = list(operations(replace(_options(tmp_path), duration_s=100.0)))
    assert len(got) == 100
    assert [operation.offset_ns for operation in got] == sorted(operation.offset_ns for operation in got)
    again = msgspec.structs.replace(got[5], operation_id=0, offset_ns=0, client_order_id="load-7-0")
    assert again == got[0]
    names = [operation.client_order_id for operation in got if operation.kind is Kind.PLACE]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("rows", [None, [], ROWS[:1]])
def test_what_holds_no_market_is_refused(tmp_path: Path, rows: Sequence[tuple[object, ...]] | None) -> None:
    if rows is not None:
        _record(tmp_path, rows)
    with pytest.raises(RecordingError, match=r"not a recorded day|a recording needs orders"):
        extent_of(read_day(tmp_path))


def _terms(operation: IntendedOperation) -> tuple[object, ...]:
    return msgspec.structs.astuple(operation)[6:11]


def _options(folder: Path) -> ScheduleOptions:
    _record(folder, ROWS)
    return ScheduleOptions(
        seed=7, accounts=4, symbols=("AAA", "BBB"), rate_per_s=1.0, arrivals=Replay(recording=str(folder))
    )


def _record(folder: Path, rows: Sequence[tuple[object, ...]]) -> None:
    recorder = Recorder(folder)
    for at_s, trader, number, symbol, action, side, order_type, time_in_force, shares, price in rows:
        assert isinstance(at_s, float)
        assert isinstance(shares, int)
        at_ns = round(at_s * NS_PER_S)
        terms = (side, order_type, time_in_force, shares * 1_000_000, price, None, None, "ok")
        recorder.rows["orders"].append((at_ns, at_ns, trader, number, symbol, action, *terms))
    recorder.close()
