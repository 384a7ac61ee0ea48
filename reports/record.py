"""An opened record: typed, lazily read access to everything in a run's folder."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import pandas as pd
import pyarrow as pa

from reports.records import RECORD_VERSION, read_table
from reports.results import CheckResult, Verdict
from reports.rows import (
    Balance,
    Book,
    EngineState,
    FeedMessage,
    FeedQuality,
    Fill,
    Happening,
    LedgerLine,
    Operation,
)
from trading.wire.journal import JournalFormatError, JournalRecord, decode_command, decode_events
from trading.wire.orders import OrderView

TABLES: Final = ("operations", "metrics", "feed", "journal", "orders", "fills", "ledger", "balances")
_TOLD_OF_A_RUN: Final = frozenset({"scenario", "seed", "objectives"})
_FEED_QUALITY: Final = "feed_quality"
FILES: Final = ("run.json", "events.jsonl", "engine.json")

Row = TypeVar("Row")


class MissingPartError(Exception):
    """The record has no such part, or one that cannot be read; says which and why."""


class Record:
    """A run's folder. Parts are read when first asked for; a missing one raises MissingPartError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def missing(self) -> list[str]:
        """What a complete record has and this one lacks, a sentence each; empty when it is complete."""
        gaps = [f"{name} is missing" for name in FILES if not (self.folder / name).exists()]
        for name in TABLES:
            if (self.folder / f"{name}.arrows").exists() and not (self.folder / f"{name}.parquet").exists():
                gaps.append(f"{name} was cut off: its writer was killed before it closed the table")
            elif not (self.folder / f"{name}.parquet").exists():
                gaps.append(f"{name}.parquet is missing")
        gaps += [
            f"{name} was cut off: its writer was killed before it closed the table"
            for name in sorted({path.name.partition(".")[0] for path in self.folder.glob("operations-*.*")})
            if not (self.folder / f"{name}.parquet").exists()
        ]
        return gaps

    def damaged(self) -> list[str]:
        """Which of the parts that are there cannot be read, and why, a sentence each."""
        return [gap for name in (*FILES, *TABLES, _FEED_QUALITY) if (gap := self._damage(name)) is not None]

    def _damage(self, name: str) -> str | None:
        if name != _FEED_QUALITY and not (self.folder / (name if name in FILES else f"{name}.parquet")).exists():
            return None  # missing, which is told already
        try:
            getattr(self, name.partition(".")[0])
        except MissingPartError as error:
            return str(error)
        return None

    # -- files -------------------------------------------------------------------------------------

    @cached_property
    def run(self) -> dict[str, Any]:
        value = self._json("run.json")
        if not isinstance(value, dict):
            raise MissingPartError("run.json holds no JSON object")
        if lacking := sorted(_TOLD_OF_A_RUN - value.keys()):
            raise MissingPartError(f"run.json lacks {', '.join(lacking)}")
        if (version := value.get("record_version", 1)) != RECORD_VERSION:
            raise MissingPartError(f"run.json: the record is of version {version}, this build reads {RECORD_VERSION}")
        return value

    @cached_property
    def events(self) -> list[Happening]:
        """In order of time. A torn last line, as a kill leaves it, is dropped."""
        lines = self._text("events.jsonl").splitlines()
        happenings = []
        for number, line in enumerate(lines, start=1):
            try:
                details = json.loads(line)
                happenings.append(Happening(at_ns=details.pop("at_ns"), event=details.pop("event"), details=details))
            except (ValueError, KeyError, AttributeError) as error:
                if number < len(lines):
                    raise MissingPartError(f"events.jsonl line {number} cannot be read: {error}") from error
        return sorted(happenings, key=lambda happening: happening.at_ns)

    @cached_property
    def engine(self) -> EngineState:
        return self._convert(self._json("engine.json"), EngineState, "engine.json")

    @cached_property
    def feed_books(self) -> dict[str, Book] | None:
        """Books the run's own feed subscriber ended with; None when it left none (they follow from ``feed`` too)."""
        if not (self.folder / "feed_books.json").exists():
            return None
        return self._convert(self._json("feed_books.json"), dict[str, Book], "feed_books.json")

    @cached_property
    def feed_quality(self) -> list[FeedQuality]:
        """One for each process of the load that had subscribers; most loads have none."""
        names = sorted(path.name for path in self.folder.glob("feed_quality*.json"))
        return [self._convert(self._json(name), FeedQuality, name) for name in names]

    def checks(self) -> list[CheckResult]:
        """What the checks found (checks.json)."""
        return self._convert(self._json("checks.json"), list[CheckResult], "checks.json")

    def verdict(self) -> Verdict:
        return self._convert(self._json("verdict.json"), Verdict, "verdict.json")

    # -- tables ------------------------------------------------------------------------------------

    def table(self, name: str) -> pa.Table:
        try:
            return read_table(self.folder, name)
        except FileNotFoundError as error:
            raise MissingPartError(f"{name}.parquet is missing") from error
        except (pa.ArrowInvalid, OSError) as error:
            raise MissingPartError(f"{name}.parquet cannot be read: {error}") from error

    def frame(self, name: str) -> pd.DataFrame:
        return as_frame(self.table(name))

    @cached_property
    def operations(self) -> list[Operation]:
        return self._rows("operations", Operation)

    @cached_property
    def metrics(self) -> pd.DataFrame:
        return self.frame("metrics")

    @cached_property
    def feed(self) -> list[FeedMessage]:
        return self._rows("feed", FeedMessage)

    @cached_property
    def journal(self) -> list[JournalRecord]:
        """In the table's order of sequence."""
        try:
            records = [_journal_record(row) for row in self.table("journal").to_pylist()]
        except (KeyError, TypeError, ValueError, JournalFormatError) as error:
            raise MissingPartError(f"journal cannot be read: {error}") from error
        return sorted(records, key=lambda record: record.sequence)

    @cached_property
    def orders(self) -> list[OrderView]:
        return self._convert(
            [_order_values(row) for row in self.table("orders").to_pylist()], list[OrderView], "orders"
        )

    @cached_property
    def fills(self) -> list[Fill]:
        return self._rows("fills", Fill)

    @cached_property
    def ledger(self) -> list[LedgerLine]:
        return self._rows("ledger", LedgerLine)

    @cached_property
    def balances(self) -> list[Balance]:
        return self._rows("balances", Balance)

    # -- reading -----------------------------------------------------------------------------------

    def _text(self, name: str) -> str:
        try:
            return (self.folder / name).read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise MissingPartError(f"{name} is missing") from error
        except (OSError, UnicodeDecodeError) as error:
            raise MissingPartError(f"{name} cannot be read: {error}") from error

    def _json(self, name: str) -> Any:
        try:
            return json.loads(self._text(name))
        except ValueError as error:
            raise MissingPartError(f"{name} is no JSON: {error}") from error

    def _rows(self, name: str, kind: type[Row]) -> list[Row]:
        return self._convert(self.table(name).to_pylist(), list[kind], name)  # type: ignore[valid-type]

    @staticmethod
    def _convert(value: Any, kind: type[Row], name: str) -> Row:
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            raise MissingPartError(f"{name} cannot be read: {error}") from error


def as_frame(table: pa.Table) -> pd.DataFrame:
    """Integers stay integers (nullable Int64), so that nanoseconds keep every digit."""
    mapper = {pa.int64(): pd.Int64Dtype(), pa.int32(): pd.Int32Dtype()}.get
    frame: pd.DataFrame = table.to_pandas(types_mapper=mapper)
    return frame


def _order_values(row: dict[str, Any]) -> dict[str, Any]:
    """A row of ``orders`` in the shape of an OrderView."""
    special = row.get("special")
    try:
        decoded = None if special is None else json.loads(special)
    except ValueError as error:
        raise MissingPartError(f"orders holds special terms that are no JSON: {error}") from error
    return {**row, "client_order_id": row.get("client_order_id") or "", "special": decoded}


def _journal_record(row: dict[str, Any]) -> JournalRecord:
    return JournalRecord(
        sequence=row["sequence"],
        epoch=row["epoch"],
        at_ns=row["at_ns"],
        symbol=row["symbol"],
        symbol_sequence=row["symbol_sequence"],
        command=decode_command(row["command"]),
        events=decode_events(row["events"]),
    )
