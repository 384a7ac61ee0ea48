"""The record for analysts: a function per table, each a pandas DataFrame; and SQL on all of them.

``run`` is a run's folder, its name in the folder of runs, or "latest". Times (``_ns``) are nanoseconds since the Unix
epoch from the run's machine, money (``_micros``) micro-dollars, quantities micro-shares: a million is one. Integers
stay integers (Int64, with <NA> where the record has none): as floating point, nanoseconds would lose their last digits.
Raises FileNotFoundError when there is no such run, MissingPartError when its record lacks the table.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import duckdb
import msgspec
import pandas as pd

from reports import queries
from reports.record import MissingPartError, Record, as_frame
from reports.run_folder import find_run, runs_root

Run = str | Path


def operations(run: Run) -> pd.DataFrame:
    """A row per operation a client intended, in that order.

    | column | |
    |---|---|
    | source, operation_id | load or market, and a number of its own within that |
    | kind | place, replace, cancel, read, positions, orders, lookup, login |
    | account_id | whose |
    | client_order_id | of the order placed (as a replacement, too), canceled or looked up |
    | symbol, side, order_type, time_in_force | as asked for, in the API's words |
    | quantity | micro-shares asked for; a replacement's counts what the old order has filled |
    | limit_price_micros | micro-dollars a share |
    | intended_ns, sent_ns, done_ns | when it was meant to start, was sent (NA: never), was answered (NA: never) |
    | outcome | ok, fail or unknown |
    | http_status | NA: no answer |
    | order_id | public id, from the answer |
    | endpoint | address that was asked |
    | answer | its body (JSON), or the transport's error |
    """
    return _frame(run, "operations")


def metrics(run: Run) -> pd.DataFrame:
    """A row per sample of one metric of one node.

    | column | |
    |---|---|
    | at_ns | when it was taken |
    | node | as engine:1; machine for the whole of it |
    | metric, labels | name, and Prometheus' text of the labels ("" for none) |
    | value | in the unit at the end of the metric's name; cpu_percent is of one core |
    """
    return _frame(run, "metrics")


def feed(run: Run) -> pd.DataFrame:
    """A row per message that a subscriber of the feed received.

    | column | |
    |---|---|
    | received_ns | when |
    | kind | the message's T: o (book), t (trade), h (heartbeat), ..., or the stream of order updates; of the |
    | | subscriber's own rows why it left a connection: disconnect, gap, checksum |
    | symbol, sequence | what it is of, and its number within that |
    | message | JSON as received; of the subscriber's own rows which feed and stream it left, and the reason |
    """
    return _frame(run, "feed")


def control(run: Run) -> pd.DataFrame:
    """A row per probe of a no-op endpoint beside the platform, the positive control.

    | column | |
    |---|---|
    | due_ns, done_ns | when it was to be sent, and when its answer was there |
    | every_ns | how far the probes are apart, nanoseconds |
    """
    return _frame(run, "control")


def baseline(run: Run) -> pd.DataFrame:
    """A row per sample of a run that this one's objectives compare with; few records have it.

    | column | |
    |---|---|
    | objective, run | which objective compares, and with which run |
    | at_ns | the sample's moment |
    | value | milliseconds, or good answers a second |
    """
    return _frame(run, "baseline")


def journal(run: Run) -> pd.DataFrame:
    """A row per command the engine took, with what came of it: the database's table after the drain.

    | column | |
    |---|---|
    | sequence, epoch | its place in the journal, and the leader's epoch |
    | at_ns | when it was applied |
    | symbol, symbol_sequence | NA: of no symbol |
    | command, events | JSON text (trading.wire.journal) |
    """
    return _frame(run, "journal")


def orders(run: Run) -> pd.DataFrame:
    """A row per order as it stood after the drain.

    | column | |
    |---|---|
    | order_id, account_id | whose |
    | client_order_id | NA: a leg, which has a parent instead |
    | symbol, side, order_type, time_in_force | in the API's words |
    | quantity, filled_quantity, reduced_quantity | micro-shares: asked for, traded, taken away without trading |
    | filled_value_micros | micro-dollars, each fill's rounded down |
    | limit_price_micros, stop_price_micros | micro-dollars a share; the stop where it stands now |
    | high_water_mark_micros | micro-dollars, of a trailing stop that has moved |
    | price_micros, place | where it rests in the book, and its place in the queue |
    | special | trading.core.orders.SpecialTerms as a JSON array; NA: a plain order |
    | parent_id | the order whose leg it is |
    | replaces, replaced_by | the order it was put in the place of, and the one put in its |
    | status | in the API's words |
    | submitted_at_ns, updated_at_ns | when |
    | sequence | of the journal's record that changed it last |
    """
    return _frame(run, "orders")


def fills(run: Run) -> pd.DataFrame:
    """A row per side of a trade.

    | column | |
    |---|---|
    | trade_id, side | two rows a trade: buy and sell |
    | order_id, account_id, symbol | whose, of what |
    | price_micros, quantity | micro-dollars a share, micro-shares |
    | liquidity | maker or taker; both sides of an auction's: auction |
    | sequence, at_ns | of the journal's record |
    """
    return _frame(run, "fills")


def ledger(run: Run) -> pd.DataFrame:
    """A row per posting of the double-entry ledger.

    | column | |
    |---|---|
    | sequence, line | of the journal's record, and its place in there |
    | debit_account_id, debit_bucket | from where; account 0: outside, -1: fees, -2: rounding |
    | credit_account_id, credit_bucket | to where |
    | asset, amount | USD in micro-dollars, or a symbol in micro-shares |
    """
    return _frame(run, "ledger")


def balances(run: Run) -> pd.DataFrame:
    """A row per account and asset, after the drain.

    | column | |
    |---|---|
    | account_id, asset | USD, or a symbol |
    | available | micro-dollars or micro-shares; below zero: a margin account owes it |
    | reserved | the same, for open orders |
    | cost_micros | micro-dollars, of the position; below zero for a short one, 0 for cash |
    """
    return _frame(run, "balances")


def events(run: Run) -> pd.DataFrame:
    """A row per happening in order of time: at_ns, event, and a column for each detail any of them has."""
    rows = [{"at_ns": each.at_ns, "event": each.event, **each.details} for each in _record(run).events]
    return pd.DataFrame(rows, dtype=object).convert_dtypes()


def checks(run: Run) -> pd.DataFrame:
    """A row per check: name, title, verdict (holds, violated, cannot_tell), summary, evidence and figures."""
    return pd.DataFrame([msgspec.to_builtins(check) for check in _record(run).checks()])


def objectives(run: Run) -> pd.DataFrame:
    """A row per objective of the verdict, as reports.results.ObjectiveResult; numbers are in the column ``unit``."""
    return pd.DataFrame([msgspec.to_builtins(each) for each in _record(run).verdict().objectives])


def sql(run: Run, query: str) -> pd.DataFrame:
    """A query in DuckDB's SQL, on the files of the record by their names and on the views of reports/queries.sql.

    As ``sql("latest", "SELECT kind, count(*) FROM 'fills.parquet' JOIN 'orders.parquet' USING (order_id) ...")``.
    Raises duckdb.Error for a query that is none.
    """
    folder = _record(run).folder
    try:
        connection = queries.connect(folder)
    except duckdb.IOException as error:
        raise MissingPartError(f"{folder} cannot be asked: {error}") from error
    with connection:
        return as_frame(connection.sql(query).to_arrow_table())


TABLES: Final = (operations, metrics, feed, control, baseline, journal, orders, fills, ledger, balances)


def _record(run: Run) -> Record:
    return Record(find_run(runs_root(os.environ), str(run)))


def _frame(run: Run, name: str) -> pd.DataFrame:
    return _record(run).frame(name)
