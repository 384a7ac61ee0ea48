"""Scenario files: read as YAML, and refused with the file, line and key of everything wrong in them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from scenarios.library import ScenarioError, scenario_name
from scenarios.model import Scenario, problems

Location = tuple[str | int, ...]

# pydantic's words speak of Python; a scenario's author knows YAML.
_EXPECTED: Final = {
    "model_type": "keys with values",
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
    name: str
    path: Path
    text: str
    scenario: Scenario


@dataclass(slots=True)
class _Marks:
    """Where each value, and each key of a mapping, stands in the file; lines count from one."""

    values: dict[Location, int] = field(default_factory=dict)
    keys: dict[Location, int] = field(default_factory=dict)
    repeated: list[tuple[Location, int]] = field(default_factory=list)
    nodes: set[int] = field(default_factory=set)

    def line_of(self, location: Location) -> int:
        """Of the key, else of the value, else of the nearest part around it that is in the file."""
        while location:
            line = self.keys.get(location) or self.values.get(location)
            if line is not None:
                return line
            location = location[:-1]
        return self.values.get((), 1)


def load_scenario(path: Path) -> LoadedScenario:
    """Raises ScenarioError, a line ``file:line: key: what is wrong`` for each problem."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: cannot be read: {error}") from error
    marks = _Marks()
    document = _document(path, text, marks)
    found = [(location, line, "is given twice") for location, line in marks.repeated]
    if not found:
        scenario, invalid = _validated(document)
        found = [(location, marks.line_of(location), message) for location, message in invalid]
        if scenario is not None and not found:
            return LoadedScenario(scenario_name(path), path, text, scenario)
    lines = [f"{path}:{line}: {_dotted(location)}: {message}" for location, line, message in found]
    raise ScenarioError("\n".join(lines))


def _validated(document: Any) -> tuple[Scenario | None, list[tuple[Location, str]]]:
    try:
        scenario = Scenario.model_validate(document)
    except ValidationError as error:
        return None, [_explained(one) for one in error.errors(include_url=False)]
    return scenario, list(problems(scenario))


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


def _document(path: Path, text: str, marks: _Marks) -> Any:
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            raise ScenarioError(f"{path}:1: the file is empty")
        return _build(loader, node, (), marks)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ScenarioError(f"{path}:{line}: not valid YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise ScenarioError(f"{path}:1: not valid YAML: {str(error).splitlines()[0]}") from error
    except RecursionError:
        raise ScenarioError(f"{path}:1: is nested too deeply") from None


def _build(loader: yaml.SafeLoader, node: yaml.Node, location: Location, marks: _Marks) -> Any:
    if id(node) in marks.nodes:
        raise yaml.MarkedYAMLError(problem="anchors and aliases are not used here", problem_mark=node.start_mark)
    marks.nodes.add(id(node))
    marks.values[location] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        return dict(_items(loader, node, location, marks))
    if isinstance(node, yaml.SequenceNode):
        return [_build(loader, item, (*location, index), marks) for index, item in enumerate(node.value)]
    try:
        return loader.construct_object(node)
    except ValueError as error:  # looks like a date or number, and is none
        raise yaml.MarkedYAMLError(problem=str(error), problem_mark=node.start_mark) from error


def _items(
    loader: yaml.SafeLoader, node: yaml.MappingNode, location: Location, marks: _Marks
) -> Iterator[tuple[str, Any]]:
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise yaml.MarkedYAMLError(problem="a key must be a single word", problem_mark=key_node.start_mark)
        key = key_node.value
        here = (*location, key)
        line = key_node.start_mark.line + 1
        if here in marks.keys:
            marks.repeated.append((here, line))
        value = _build(loader, value_node, here, marks)
        marks.keys[here] = line
        yield key, value


def _dotted(location: Location) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "the file"
