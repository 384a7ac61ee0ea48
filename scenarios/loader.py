"""Scenario files: read as YAML, and refused with the file, line and key of everything wrong in them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from reports.search import value_text
from scenarios.documents import Document, Location, Override, ScenarioError, read_document
from scenarios.library import scenario_name
from scenarios.model import Scenario, problems
from stack.small_disk import unshare_mounts

# pydantic's words speak of Python; a scenario's author knows YAML.
_EXPECTED: Final = {
    "model_type": "keys with values",
    "dict_type": "keys with values",
    "list_type": "a list",
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "finite_number": "a finite number",
}


@dataclass(frozen=True, slots=True)
class LoadedScenario:
    """``overrides``: what replaced values of the file, in order."""

    name: str
    document: Document
    scenario: Scenario
    overrides: tuple[Override, ...] = ()
    variant: str = ""  # which one of several that are judged side by side

    @property
    def label(self) -> str:
        return self.variant or self.name

    @property
    def text(self) -> str:
        """The file as it stands, after those it includes."""
        return "\n".join(self.document.texts)


def load_scenario(path: Path, overrides: Sequence[Override] = ()) -> LoadedScenario:
    """Raises ScenarioError, a line ``file:line: key: what is wrong`` for each problem."""
    document = read_document(path).overridden(overrides)
    loaded = LoadedScenario(scenario_name(path), document, _validated(document), tuple(overrides))
    for variant in variants_of(loaded):
        if variant.scenario.search is not None:
            searched(variant, variant.scenario.search.to)
    if loaded.scenario.search is not None:
        searched(loaded, loaded.scenario.search.to)
    return loaded


def allow_small_disk(loaded: LoadedScenario) -> None:
    """From now on this process may mount the disk that the scenario asks for, if any. Call it before anything runs.

    Raises ScenarioError where that cannot be.
    """
    for one in (loaded, *variants_of(loaded)):
        if one.scenario.topology.small_disk and (why := unshare_mounts()):
            raise ScenarioError(one.document.told(("topology", "small_disk"), why))


def variants_of(loaded: LoadedScenario) -> list[LoadedScenario]:
    """Each a scenario of its own, without what compares it with another. Raises ScenarioError."""
    found = []
    for name, values in loaded.scenario.variants.items():
        changed = []
        for path, value in values.items():
            place = loaded.document.marks.place_of(("variants", name, path))
            changed.append(Override(path, value, f"{place}: variants.{name}"))
        found.append(_side(loaded, name, changed, "variants"))
    return found


def searched(loaded: LoadedScenario, value: float) -> LoadedScenario:
    """The scenario of one value of its search. Raises ScenarioError."""
    search = loaded.scenario.search
    assert search is not None
    whole = int(value) if value == int(value) else value  # what counts something must be a whole number
    override = Override(search.path, whole, f"{loaded.document.marks.place_of(('search', 'path'))}: search.path")
    return _side(loaded, value_text(value), [override], "search")


def _side(loaded: LoadedScenario, name: str, overrides: list[Override], part: str) -> LoadedScenario:
    document = loaded.document.overridden(overrides).without(part)
    among = loaded.scenario.variants
    if part == "variants" and "objectives" in document.value:
        alone = [each for each in document.value["objectives"] if each.get("baseline") not in among]
        document.value["objectives"] = alone
    scenario = _validated(document)
    return replace(
        loaded, document=document, scenario=scenario, overrides=(*loaded.overrides, *overrides), variant=name
    )


def _validated(document: Document) -> Scenario:
    try:
        scenario = Scenario.model_validate(document.value)
    except ValidationError as error:
        found = [_explained(one) for one in error.errors(include_url=False)]
    else:
        found = list(problems(scenario))
        if not found:
            return scenario
    raise ScenarioError("\n".join(document.told(location, message) for location, message in found))


def _explained(error: ErrorDetails) -> tuple[Location, str]:
    location, kind, message, value = error["loc"], error["type"], error["msg"], error["input"]
    if kind == "extra_forbidden":
        key = str(location[-1])
        known = _keys_at(location[:-1])
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
        return location, f"unknown key; {hint}"
    if kind == "missing":
        return location, "is missing"
    if kind in _EXPECTED:
        return location, f"expected {_EXPECTED[kind]}, got {value!r}"
    return location, message.removeprefix("Value error, ").replace("Input should be", "should be")


def _keys_at(location: Location) -> list[str]:
    """The keys the model knows where ``location`` points."""
    model: Any = Scenario
    for part in location:
        if isinstance(part, int):
            continue  # an item of a list: the list's type was unwrapped already
        field_info = next(f for name, f in model.model_fields.items() if part in (name, f.alias))
        model = next(t for t in (field_info.annotation, *get_args(field_info.annotation)) if _is_model(t))
    return [info.alias or name for name, info in model.model_fields.items()]


def _is_model(candidate: Any) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, BaseModel)
