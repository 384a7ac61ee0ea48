"""What a day leaves behind: Parquet tables, streamed while it goes on, so that memory does not grow with its length.

Times are nanoseconds since midnight, prices and money micro-dollars, quantities micro-shares.

| table | a row per |
|---|---|
| traders | trader: its number, by which the other tables name it, kind, symbol, latency, what it brought |
| orders | request: when it was meant and when it arrived, what it asked for, and "ok" or why it was refused |
| trades | fill, both sides |
| quotes | change of the best prices, or of what is offered there |
| depth | level of the book, best first, at each sample |
| wealth | trader at each sample: cash, shares, and both at the market's price |
| worth | symbol at each sample: what it is worth, by the day's fundamental |
| happenings | phase, halt, news, outage, fat finger or why it was refused, trader that is out of money |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

_INT: Final = pa.int64()
_NUMBER: Final = pa.int32()
_WORD: Final = pa.dictionary(pa.int32(), pa.string())

_COLUMNS: Final[Mapping[str, Mapping[str, pa.DataType]]] = {
    "traders": {
        "trader": _NUMBER,
        "name": pa.string(),
        "kind": pa.string(),
        "symbol": pa.string(),
        "latency_ns": _INT,
        "cash_micros": _INT,
        "shares_micros": _INT,
    },
    "orders": {
        "at_ns": _INT,
        "arrived_ns": _INT,
        "trader": _NUMBER,
        "number": _INT,
        "symbol": _WORD,
        "action": _WORD,
        "side": _WORD,
        "order_type": _WORD,
        "time_in_force": _WORD,
        "quantity": _INT,
        "limit_price_micros": _INT,
        "stop_price_micros": _INT,
        "notional_micros": _INT,
        "outcome": _WORD,
    },
    "trades": {
        "at_ns": _INT,
        "symbol": _WORD,
        "price_micros": _INT,
        "quantity": _INT,
        "taker_side": _WORD,
        "taker": _NUMBER,
        "taker_number": _INT,
        "maker": _NUMBER,
        "maker_number": _INT,
        "auction": pa.bool_(),
    },
    "quotes": {
        "at_ns": _INT,
        "symbol": _WORD,
        "bid_micros": _INT,
        "bid_quantity": _INT,
        "ask_micros": _INT,
        "ask_quantity": _INT,
    },
    "depth": {
        "at_ns": _INT,
        "symbol": _WORD,
        "side": _WORD,
        "level": _NUMBER,
        "price_micros": _INT,
        "quantity": _INT,
    },
    "wealth": {
        "at_ns": _INT,
        "trader": _NUMBER,
        "cash_micros": _INT,
        "shares_micros": _INT,
        "equity_micros": _INT,
    },
    "worth": {"at_ns": _INT, "symbol": _WORD, "price_micros": pa.float64()},
    "happenings": {"at_ns": _INT, "symbol": _WORD, "what": _WORD, "detail": pa.string()},
}
TABLES: Final = {name: pa.schema(list(columns.items())) for name, columns in _COLUMNS.items()}
_ROWS_A_BATCH: Final = 50_000

Row = Sequence[Any]


class Recorder:
    """One list of rows for each table: ``rows["orders"].append((...))``, in the schema's order of columns.

    Without a folder it keeps nothing. ``relieve`` writes what has piled up, and must be called now and then.
    """

    def __init__(self, folder: Path | None) -> None:
        self.rows: dict[str, list[Row]] = {name: [] for name in TABLES}
        self.counts = dict.fromkeys(TABLES, 0)
        self._folder = folder
        self._writers: dict[str, pq.ParquetWriter] = {}
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def relieve(self, *, at_least: int = _ROWS_A_BATCH) -> None:
        for name, rows in self.rows.items():
            if len(rows) >= at_least:
                self.counts[name] += len(rows)
                if self._folder is not None:
                    self._writer(name).write_batch(_batch(rows, TABLES[name]))
                rows.clear()

    def close(self) -> None:
        self.relieve(at_least=1)
        if self._folder is not None:
            for name in TABLES:
                self._writer(name).close()

    def _writer(self, name: str) -> pq.ParquetWriter:
        if name not in self._writers:
            assert self._folder is not None
            path = self._folder / f"{name}.parquet"
            # Numbers hardly repeat; looking for those that do takes most of the time that writing takes.
            words = [field.name for field in TABLES[name] if pa.types.is_dictionary(field.type)]
            self._writers[name] = pq.ParquetWriter(path, TABLES[name], compression="lz4", use_dictionary=words)
        return self._writers[name]


def _batch(rows: Sequence[Row], schema: pa.Schema) -> pa.RecordBatch:
    columns = [_column(column, field.type) for column, field in zip(zip(*rows, strict=True), schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return pa.array(values, pa.string()).dictionary_encode()
    return pa.array(values, kind)
