from __future__ import annotations

import os
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from reports import baseline, records, tables
from reports.baseline import keep_baseline
from reports.gate import judge
from reports.objectives import parse_objective
from reports.record import MissingPartError, Record


def schemas(*modules: ModuleType) -> dict[str, pa.Schema]:
    """Every schema there is, by the table's name."""
    found = {
        name.lower(): value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, pa.Schema)
    }
    found["baseline"] = found.pop("schema")
    return found


SCHEMAS = schemas(records, baseline)
LOADERS = {loader.__name__: loader for loader in tables.TABLES}


def undocumented(schema: pa.Schema, docstring: str) -> set[str]:
    named = re.findall(r"^ *\| ([a-z_, ]+) \|", docstring, re.MULTILINE)
    return set(schema.names) ^ {column for row in named for column in row.split(", ")}


def test_every_table_of_the_record_has_a_loader() -> None:
    assert set(LOADERS) == set(SCHEMAS)
    assert len(SCHEMAS) == 10


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_a_loader_documents_every_column_and_no_other(name: str) -> None:
    assert undocumented(SCHEMAS[name], LOADERS[name].__doc__ or "") - {"column"} == set()


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_a_loader_gives_every_row_with_integers_as_integers(folder: Path, name: str) -> None:
    entry = parse_objective({"objective": "latency_p50_ms", "max": "+10 %", "baseline": "b"})
    keep_baseline(folder, [entry], {"b": folder})
    frame = LOADERS[name](folder)
    assert list(frame.columns) == SCHEMAS[name].names
    assert len(frame) == Record(folder).table(name).num_rows > 0
    whole = [field.name for field in SCHEMAS[name] if pa.types.is_integer(field.type)]
    assert all(isinstance(frame[column].dtype, pd.Int64Dtype | pd.Int32Dtype) for column in whole)


def test_what_is_no_table_is_a_frame_too(folder: Path) -> None:
    judge(Record(folder))
    events = tables.events(folder)
    assert len(events) == len(Record(folder).events)
    assert list(events["at_ns"]) == [each.at_ns for each in Record(folder).events]
    assert set(events.loc[events["event"] == "fault", "fault_id"]) == {"slow", "crash"}
    assert list(tables.checks(folder)["verdict"]) == ["holds"]
    assert set(tables.objectives(folder)["outcome"]) == {"met"}


def test_sql_sees_files_and_views_and_keeps_every_nanosecond(folder: Path) -> None:
    found = tables.sql(
        folder, "SELECT operation_id, sent_ns, NULL::BIGINT AS none FROM 'operations.parquet' ORDER BY ALL"
    )
    expected = tables.operations(folder).sort_values(["operation_id", "sent_ns"])
    assert np.array_equal(found["sent_ns"].dropna().sort_values(), expected["sent_ns"].dropna().sort_values())
    assert isinstance(found["none"].dtype, pd.Int64Dtype)
    assert set(tables.sql(folder, "FROM outages")["fault_id"]) == {"slow", "crash"}


def test_a_run_goes_by_its_name_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "ELSON_RUNS", str(folder.parent))
    assert len(tables.fills(folder.name)) == len(tables.fills(folder))
    with pytest.raises(FileNotFoundError, match="no run 'nowhere'"):
        tables.fills("nowhere")


def test_a_table_the_record_lacks_is_named(folder: Path) -> None:
    with pytest.raises(MissingPartError, match=r"baseline\.parquet is missing"):
        tables.baseline(folder)
    (folder / "operations.parquet").unlink()
    with pytest.raises(MissingPartError, match="operations"):
        tables.sql(folder, "FROM outages")
