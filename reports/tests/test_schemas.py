from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from reports.against_page import write_comparison
from reports.gate import judge
from reports.record import Record
from reports.schemas import PUBLISHED, schemas


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def checked(document: Any, name: str) -> None:
    jsonschema.Draft202012Validator(read(PUBLISHED / name)).validate(document)


@pytest.mark.parametrize("name", sorted(schemas()))
def test_what_is_published_is_what_the_code_writes(name: str) -> None:
    assert read(PUBLISHED / name) == schemas()[name], "run python -m reports.schemas"
    jsonschema.Draft202012Validator.check_schema(read(PUBLISHED / name))


def test_a_verdict_keeps_to_its_schema(folder: Path, tmp_path: Path) -> None:
    for run in (folder, tmp_path / "empty"):
        run.mkdir(exist_ok=True)
        judge(Record(run))
        checked(read(run / "verdict.json"), "verdict.schema.json")


@pytest.mark.parametrize(
    "broken", [{"verdict": "GREEN"}, {"exit_code": "0"}, {"figures": {"lost_orders": "none"}}, {"reasons": None}]
)
def test_what_is_no_verdict_is_refused(folder: Path, broken: dict[str, Any]) -> None:
    judge(Record(folder))
    with pytest.raises(jsonschema.ValidationError):
        checked({**read(folder / "verdict.json"), **broken}, "verdict.schema.json")


def test_a_comparison_keeps_to_its_schema(folder: Path, tmp_path: Path) -> None:
    _, page = write_comparison(folder, Path(shutil.copytree(folder, tmp_path / "before")))
    document = read(page.with_suffix(".json"))
    checked(document, "against.schema.json")
    with pytest.raises(jsonschema.ValidationError):
        checked({**document, "figures": [{"percent": 1}]}, "against.schema.json")
