"""The JSON schema of scenario files, for editors: it completes and explains keys, and marks most mistakes while typing.

What it cannot say (a target that does not exist, a fault beyond the measured phase) the loader says.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from loadtests.arrivals import KINDS
from scenarios.documents import INCLUDE
from scenarios.model import Scenario

PUBLISHED: Final = Path(__file__).with_name("scenario.schema.json")
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def scenario_schema() -> dict[str, Any]:
    schema = Scenario.model_json_schema(by_alias=True)
    parts = schema["$defs"]
    arrivals = parts["ArrivalsPart"]
    parts["ArrivalsPart"] = {"anyOf": [{"enum": list(KINDS)}, arrivals]}  # a kind alone will do
    schema["properties"] = {
        INCLUDE: {
            "type": "string",
            "description": "A file, from this one's folder, whose values count wherever this one has none of its own.",
        },
        **schema["properties"],
    }
    # A file that includes another may leave to it whatever is not within a list: lists are replaced whole.
    whole = _needed(schema, parts)
    return {"$schema": _DIALECT, **schema, "if": {"not": {"required": [INCLUDE]}}, "then": whole}


def schema_text() -> str:
    return json.dumps(scenario_schema(), indent=1) + "\n"


def _needed(part: dict[str, Any], parts: dict[str, Any]) -> dict[str, Any]:
    """Takes from ``part``, and from the parts below it that are no list's, what they cannot be without."""
    below = {}
    for name, value in part["properties"].items():
        for choice in value.get("anyOf", [value]):
            inner = parts.get(choice.get("$ref", "").rpartition("/")[2], {})
            if "properties" in inner:
                below[name] = _needed(inner, parts)
    return {"required": part.pop("required", []), "properties": below}
