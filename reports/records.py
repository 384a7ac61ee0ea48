"""The record of a run: its files, their schemas, and how they are written so that a killed run stays readable.

Everything a run proves is in its folder. Times are nanoseconds since the Unix epoch from this machine's
clock, money and prices are micro-dollars, quantities are micro-shares; answers and feed messages are as they came.

| file | one row or value per |
|---|---|
| run.json | run: scenario, seed, command line, versions, machine, topology |
| operations.parquet | operation a client intended (OPERATIONS) |
| events.jsonl | happening of the run: phase, fault, role change (a JSON object a line: at_ns, event, ...) |
| metrics.parquet | sample of one metric of one node (METRICS) |
| feed.parquet | message a feed subscriber received (FEED) |
| feed_quality.json | load process with feed subscribers (worker N: feed_quality-N.json; reports.rows.FeedQuality) |
| control.parquet | probe of a no-op endpoint beside the platform, the positive control (CONTROL) |
| baseline.parquet | sample of a run that this one is compared with, where it is (reports.baseline) |
| journal, orders, fills, ledger, balances .parquet | row of the primary database's table, read after the drain |
| engine.json | the live engine after the drain: sequence, state hash, books (its ``GET /state/full``) |
| feed_books.json | books a feed subscriber had after the drain: {symbol: {"sequence", "bids", "asks"}} |
| checks.json, verdict.json | result of a check; the judgement |
| repeats.json, series.json | in a folder of several runs: what was planned (reports.repeats, reports.side_by_side) |

Metrics of metrics.parquet, once a second; ``_per_s``, ``_percent`` and ``_ratio`` are since the sample before:

| node | metric | is |
|---|---|---|
| every node, program | cpu_percent | processor time of its process and all that it forked, per cent of one core |
| | run_queue_wait_percent | time in which its threads were ready and others had the processor, per cent of one core |
| | voluntary_switches_per_s, involuntary_switches_per_s | context switches: it had nothing to do, it was made to stop |
| | rss_bytes, threads, open_files | memory (what processes share counts for each), threads, file descriptors |
| postgres:N | postgres_commits_per_s, postgres_rollbacks_per_s | transactions, those that only read among them |
| | postgres_sessions, postgres_active_sessions | connections, and those at work (one of them asks this) |
| | postgres_buffer_hit_ratio | pages found in its buffers, of those wanted; no sample when none was |
| | postgres_replication_behind_bytes {standby} | of the log, not replayed there (the third copy: not on disk) |
| redis:N | redis_operations_per_s, redis_clients, redis_used_memory_bytes | as INFO tells them |
| engine, api, feed | engine_*, api_*, feed_* | their own, from /metrics |
| machine | busy_percent, steal_percent | of all cores together, in per cent of one core: at work, taken by the host |
| | load_average, clock_drift_ms | over a minute; of the clock against the steady one since the run began |

Keys of run.json that judging reads: ``record_version``, ``scenario``, ``seed``, ``started_ns``, ``command_line``,
``commit``, ``dirty``, ``versions``, ``machine`` (its ``cores``), ``topology``, ``configuration`` (the scenario with
``overrides`` in it: what the command line, or being one ``variant`` of several, replaced of its file, a ``path=value``
each);
``objectives`` (see reports.objectives); ``warm_up_rule`` (how the warm-up is taken away, in words);
``scheduled_operations`` (how many the load's schedule holds, when known beforehand).

Events judging reads: ``phase`` {"phase": prepare|warm_up|measure|heal|drain|check|report, "state": started|ended};
``fault`` {"fault_id", "kind", "target", "state": planned|injected|undone|failed, "permanent": bool,
"evidence": {"bit": bool, ...}}; ``role_changed`` {"node", "role", "epoch"}; ``node_started``, ``node_exited`` {"node"};
``load_links`` {"nodes": {address the load asked: node behind it}};
``database_servers`` {"servers": [{"node", "writable", "epoch"} or {"node", "error"}]}, asked after the drain;
the database supervisor's ``supervisor_started`` {"primary"}, ``sync_set_shrunk``, ``sync_set_grown`` {"sync"};
``load_worker`` {"worker", "node", "state", "clock_offset_ns", "clock_error_ns"}, how a distributed load's ended, and
``load_worker_lost`` {"worker", "node", "recorded", "unclear", "not_offered", "accepted": bool};
``ended_early`` {"why"}: the run was interrupted, or something broke it off;
``not_recovered`` {"why"}: the platform did not come back once its faults were undone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq

# How the answer begins of an operation whose load worker was lost before it recorded one.
WORKER_LOST: Final = "the load's worker was lost"
# The answer of an operation never sent, because as many as the generator holds were still waiting for theirs.
GENERATOR_FULL: Final = "generator full"

RECORD_VERSION: Final = 2  # 1 counted whole shares


class FeedStream(StrEnum):
    """Which of the feed's two streams a subscriber lost (FEED)."""

    MARKET_DATA = "market_data"
    ORDER_UPDATES = "order_updates"


class OutcomeKind(StrEnum):
    """What a client knows about its operation. ``unknown``: no answer, or one that does not tell (504, cut off)."""

    OK = "ok"
    FAIL = "fail"
    UNKNOWN = "unknown"


def outcome_of(http_status: int | None) -> OutcomeKind:
    """What an answer's status tells: refusals were not executed; anything else that is no success is unknown."""
    match http_status:
        case int() if 200 <= http_status < 300:
            return OutcomeKind.OK
        case int() if (400 <= http_status < 500 and http_status != 408) or http_status == 503:
            return OutcomeKind.FAIL
        case _:
            return OutcomeKind.UNKNOWN


OPERATIONS: Final = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),  # load | market
        pa.field("operation_id", pa.int64(), nullable=False),  # unique within a source, in intended order
        pa.field(
            "kind", pa.string(), nullable=False
        ),  # place | replace | cancel | read | positions | orders | lookup | login
        pa.field("account_id", pa.int64(), nullable=False),
        pa.field("client_order_id", pa.string()),  # of the order placed (as a replacement, too), canceled or looked up
        pa.field("symbol", pa.string()),
        pa.field("side", pa.string()),
        pa.field("order_type", pa.string()),
        pa.field("time_in_force", pa.string()),
        pa.field("quantity", pa.int64()),  # asked for; a replacement's counts what the old order has filled
        pa.field("limit_price_micros", pa.int64()),
        pa.field("intended_ns", pa.int64(), nullable=False),
        pa.field("sent_ns", pa.int64()),  # null: never sent
        pa.field("done_ns", pa.int64()),  # null: never answered
        pa.field("outcome", pa.string(), nullable=False),  # OutcomeKind
        pa.field("http_status", pa.int32()),  # null: no answer
        pa.field("order_id", pa.string()),  # public id from the answer
        pa.field("endpoint", pa.string()),
        pa.field("answer", pa.string()),  # body of the answer (JSON), or the transport's error
    ]
)

METRICS: Final = pa.schema(
    [
        pa.field("at_ns", pa.int64(), nullable=False),
        pa.field("node", pa.string(), nullable=False),
        pa.field("metric", pa.string(), nullable=False),
        pa.field("labels", pa.string(), nullable=False),  # Prometheus label text, "" when none
        pa.field("value", pa.float64(), nullable=False),
    ]
)

FEED: Final = pa.schema(
    [
        pa.field("received_ns", pa.int64(), nullable=False),
        # The message's T: o (book), t (trade), h (heartbeat), ..., or the order updates' stream; of the subscriber's
        # own rows why it left a connection: disconnect, gap, checksum.
        pa.field("kind", pa.string(), nullable=False),
        pa.field("symbol", pa.string()),
        pa.field("sequence", pa.int64()),
        # JSON as received; of its own rows {"feed", "stream" (a FeedStream; not in old records), "reason"}.
        pa.field("message", pa.string(), nullable=False),
    ]
)

CONTROL: Final = pa.schema(
    [
        pa.field("due_ns", pa.int64(), nullable=False),  # when the probe was to be sent
        pa.field("done_ns", pa.int64(), nullable=False),  # when its answer was there
        pa.field("every_ns", pa.int64(), nullable=False),  # how far the probes are apart
    ]
)

JOURNAL: Final = pa.schema(
    [
        pa.field("sequence", pa.int64(), nullable=False),
        pa.field("epoch", pa.int64(), nullable=False),
        pa.field("at_ns", pa.int64(), nullable=False),
        pa.field("symbol", pa.string()),
        pa.field("symbol_sequence", pa.int64()),
        pa.field("command", pa.string(), nullable=False),  # JSON text (wire.journal)
        pa.field("events", pa.string(), nullable=False),
    ]
)

ORDERS: Final = pa.schema(
    [
        pa.field("order_id", pa.int64(), nullable=False),
        pa.field("account_id", pa.int64(), nullable=False),
        pa.field("client_order_id", pa.string()),  # null: a leg, which has a parent instead
        pa.field("symbol", pa.string(), nullable=False),
        pa.field("side", pa.string(), nullable=False),
        pa.field("order_type", pa.string(), nullable=False),
        pa.field("time_in_force", pa.string(), nullable=False),
        pa.field("quantity", pa.int64(), nullable=False),
        pa.field("limit_price_micros", pa.int64()),
        pa.field("special", pa.string()),  # core.orders.SpecialTerms as a JSON array; null: a plain order
        pa.field("parent_id", pa.int64()),  # the order whose leg it is
        pa.field("replaces", pa.int64()),  # the order it was put in the place of
        pa.field("status", pa.string(), nullable=False),
        pa.field("filled_quantity", pa.int64(), nullable=False),
        pa.field("filled_value_micros", pa.int64(), nullable=False),  # each fill's rounded down
        pa.field("reduced_quantity", pa.int64(), nullable=False),  # taken away without trading
        pa.field("stop_price_micros", pa.int64()),  # where its stop stands now
        pa.field("high_water_mark_micros", pa.int64()),  # of a trailing stop that has moved
        pa.field("price_micros", pa.int64()),  # where it rests in the book, and its place in the queue
        pa.field("place", pa.int64()),
        pa.field("replaced_by", pa.int64()),
        pa.field("submitted_at_ns", pa.int64(), nullable=False),
        pa.field("updated_at_ns", pa.int64(), nullable=False),
        pa.field("sequence", pa.int64(), nullable=False),
    ]
)

FILLS: Final = pa.schema(
    [
        pa.field("trade_id", pa.int64(), nullable=False),
        pa.field("side", pa.string(), nullable=False),
        pa.field("order_id", pa.int64(), nullable=False),
        pa.field("account_id", pa.int64(), nullable=False),
        pa.field("symbol", pa.string(), nullable=False),
        pa.field("price_micros", pa.int64(), nullable=False),
        pa.field("quantity", pa.int64(), nullable=False),
        pa.field("liquidity", pa.string(), nullable=False),  # maker | taker; both sides of an auction's: auction
        pa.field("sequence", pa.int64(), nullable=False),
        pa.field("at_ns", pa.int64(), nullable=False),
    ]
)

LEDGER: Final = pa.schema(
    [
        pa.field("sequence", pa.int64(), nullable=False),
        pa.field("line", pa.int64(), nullable=False),
        pa.field("debit_account_id", pa.int64(), nullable=False),  # 0: outside, -1: fees, -2: rounding
        pa.field("debit_bucket", pa.string(), nullable=False),
        pa.field("credit_account_id", pa.int64(), nullable=False),
        pa.field("credit_bucket", pa.string(), nullable=False),
        pa.field("asset", pa.string(), nullable=False),  # USD, or a symbol
        pa.field("amount", pa.int64(), nullable=False),
    ]
)

BALANCES: Final = pa.schema(
    [
        pa.field("account_id", pa.int64(), nullable=False),
        pa.field("asset", pa.string(), nullable=False),
        pa.field("available", pa.int64(), nullable=False),  # below zero: a margin account owes it
        pa.field("reserved", pa.int64(), nullable=False),  # for open orders
        pa.field("cost_micros", pa.int64(), nullable=False),  # of the position; below zero for a short one, 0 for cash
    ]
)

# The primary database's tables that a record keeps, as they are named there.
DATABASE_TABLES: Final = {"journal": JOURNAL, "orders": ORDERS, "fills": FILLS, "ledger": LEDGER, "balances": BALANCES}


_ROWS_PER_GROUP: Final = 50_000


class TableWriter:
    """Streams rows of one schema to an Arrow IPC file; ``close`` turns it into Parquet.

    After a kill the ``.arrows`` file is still there and ``read_table`` reads every flushed batch of it.
    A full disk surfaces as OSError from each method; what was flushed before stays readable.
    """

    def __init__(self, path: Path, schema: pa.Schema, *, rows_per_batch: int = 2_000) -> None:
        self._path = path.with_suffix(".parquet")
        self._stream_path = path.with_suffix(".arrows")
        self._schema = schema
        self._rows_per_batch = rows_per_batch
        self._names: list[str] = schema.names
        self._rows: list[tuple[Any, ...]] = []
        self._written = 0
        partial = path.with_suffix(".arrows.partial")
        self._file = partial.open("wb")
        self._stream = ipc.new_stream(self._file, schema)
        # An empty batch puts the schema on disk, so that a kill at any time leaves a readable table or none. It is also
        # a process's first conversion, at which pyarrow imports pandas: a second's stop, better now than mid-run.
        self._stream.write_batch(pa.RecordBatch.from_pylist([], schema=schema))
        self._file.flush()
        partial.replace(self._stream_path)

    def add(self, row: Mapping[str, Any]) -> None:
        """A column that ``row`` leaves out is null."""
        self._rows.append(tuple(map(row.get, self._names)))
        if len(self._rows) >= self._rows_per_batch:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            self._write(list(zip(*self._rows, strict=True)))
            self._rows = []
        self._file.flush()

    def write_columns(self, columns: Sequence[Sequence[Any]]) -> None:
        """Rows as columns, in the order of the schema: a batch of their own, flushed at once."""
        self.flush()
        self._write(columns)
        self._file.flush()

    def _write(self, columns: Sequence[Sequence[Any]]) -> None:
        arrays = [pa.array(column, field.type) for column, field in zip(columns, self._schema, strict=True)]
        self._stream.write_batch(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        self._written += len(columns[0])

    def close(self) -> None:
        self.flush()
        self._stream.close()
        self._file.close()
        partial = self._path.with_suffix(".parquet.partial")
        rows = _stream_to_parquet(self._stream_path, partial)
        if rows != self._written:  # a batch was torn by a disk that was full for a while
            partial.unlink()
            raise OSError(f"{self._stream_path} holds {rows:,} of {self._written:,} rows")
        partial.replace(self._path)
        self._stream_path.unlink()


def read_table(folder: Path, name: str) -> pa.Table:
    """The table ``name`` of a record: the finished Parquet file, else what a killed writer had flushed.

    Raises FileNotFoundError when the record has neither.
    """
    finished = folder / f"{name}.parquet"
    if finished.exists():
        return pq.read_table(finished)
    return _read_stream(folder / f"{name}.arrows")


def _stream_to_parquet(source: Path, target: Path) -> int:
    """Rows written. One row group after another, so that memory does not grow with the table."""
    rows = 0
    with source.open("rb") as file:
        reader = ipc.open_stream(file)
        with pq.ParquetWriter(target, reader.schema, compression="zstd") as writer:
            waiting: list[pa.RecordBatch] = []
            group_from = 0
            for batch in _batches(reader):
                rows += batch.num_rows
                waiting.append(batch)
                if rows - group_from >= _ROWS_PER_GROUP:
                    writer.write_table(pa.Table.from_batches(waiting))
                    waiting, group_from = [], rows
            if waiting:
                writer.write_table(pa.Table.from_batches(waiting))
    return rows


def _read_stream(path: Path) -> pa.Table:
    with path.open("rb") as file:
        reader = ipc.open_stream(file)
        return pa.Table.from_batches(list(_batches(reader)), schema=reader.schema)


def _batches(reader: ipc.RecordBatchStreamReader) -> Iterator[pa.RecordBatch]:
    """Up to the end, or to the torn batch that a kill left behind."""
    while True:
        try:
            yield reader.read_next_batch()
        except (StopIteration, pa.ArrowInvalid, OSError):
            return
