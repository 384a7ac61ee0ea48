"""The schema that editors check scenario files with agrees with the loader, as far as a schema can."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from scenarios.library import CATALOGUE, scenario_names
from scenarios.schema import PUBLISHED, scenario_schema, schema_text
from scenarios.tests.test_loader import GOOD, WRONG

VALIDATOR = jsonschema.Draft202012Validator(scenario_schema())

# What a file says of one value alone; the rest takes the whole scenario, which the loader looks at.
SEEN = [
    ("valeu: 150 ms", "Additional properties are not allowed ('valeu' was unexpected)"),
    ("titel: A run", "'title' is a required property"),
    ("warm_up: 2 parsecs", "'2 parsecs' does not match"),
    ("warm_up: 2", "2 is not of type 'string'"),
    ("kind: latncy", "'latncy' is not one of"),
    ("rate_per_s: ten", "'ten' is not of type 'number'"),
    ("rate_per_s: -1", "-1 is less than or equal to the minimum of 0"),
    ("objective: outrage_ms", "'outrage_ms' is not one of"),
    ("profile: trading_dya", "'trading_dya' is not one of"),
    ("include: base.yaml\ntitle: 3", "3 is not of type 'string'"),
]


def complaints(text: str) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(yaml.safe_load(text))]


@pytest.mark.parametrize("name", scenario_names())
def test_every_scenario_of_the_catalogue_keeps_to_the_schema(name: str) -> None:
    assert complaints((CATALOGUE / f"{name}.yaml").read_text()) == []


@pytest.mark.parametrize(("wrong", "message"), SEEN, ids=[wrong for wrong, _ in SEEN])
def test_a_mistake_within_one_value_is_seen_while_typing(wrong: str, message: str) -> None:
    right = next((right for right, text, _ in WRONG if text == wrong), "title: A run")
    assert any(message in complaint for complaint in complaints(GOOD.replace(right, wrong, 1)))


@pytest.mark.parametrize("text", [text for right, text, expected in WRONG if not expected and "&" not in text])
def test_what_the_loader_takes_the_schema_takes_too(text: str) -> None:
    right = next(right for right, wrong, _ in WRONG if wrong == text)
    assert complaints(GOOD.replace(right, text, 1)) == []


def test_a_file_that_includes_another_may_leave_the_rest_to_it() -> None:
    assert complaints("include: base.yaml\nload: {rate_per_s: 20}\nsearch: {within: 5}\n") == []
    assert "'kind' is a required property" in complaints("include: base.yaml\nfaults:\n  - {at: 1 s}\n")


def test_every_part_is_explained() -> None:
    def silent(part: dict[str, Any]) -> bool:
        return "properties" in part and not part.get("description")

    assert [name for name, part in scenario_schema()["$defs"].items() if silent(part)] == []


def test_what_is_published_is_what_the_model_says() -> None:
    assert Path(PUBLISHED).read_text() == schema_text(), "elson schema > scenarios/scenario.schema.json"
