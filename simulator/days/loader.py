"""Day files: read as YAML, and refused with the file, line and key of everything wrong in them."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from simulator.days.day import Day, problems

CATALOGUE: Final = Path(__file__).with_name("catalogue")
Location = tuple[str | int, ...]


class DayError(Exception):
    """A day that cannot be found, read or run; one line ``file:line: key: why`` for each problem."""


@dataclass(frozen=True, slots=True)
class LoadedDay:
    name: str
    path: Path
    day: Day


def day_names() -> list[str]:
    return sorted(path.stem for path in CATALOGUE.glob("*.yaml"))


def find_day(name: str) -> LoadedDay:
    """A day of the catalogue by its name, or a file by its path. Raises DayError."""
    if name.endswith((".yaml", ".yml")):
        return load_day(Path(name))
    if name not in day_names():
        near = difflib.get_close_matches(name, day_names(), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(day_names())}"
        raise DayError(f"no day {name!r} in the catalogue; {hint}")
    return load_day(CATALOGUE / f"{name}.yaml")


def load_day(path: Path) -> LoadedDay:
    """Raises DayError."""
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, yaml.SafeLoader)
        repeated = list(_repeated(root, ())) if root else []
        document = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise DayError(f"{path}: cannot be read: {error}") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise DayError(f"{path}:{line}: not valid YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DayError(f"{path}:1: not valid YAML: {str(error).splitlines()[0]}") from error
    if root is None:
        raise DayError(f"{path}:1: the file is empty")
    day, found = (None, repeated) if repeated else _validated(document)
    if day is not None and not found:
        return LoadedDay(path.stem, path, day)
    raise DayError(_told(path, root, found))


def check_symbols(loaded: LoadedDay, listed: Collection[str]) -> None:
    """Raises DayError for a symbol that the platform does not list."""
    found = [
        (("symbols", index, "symbol"), f"the platform does not list {words.symbol}, but {', '.join(sorted(listed))}")
        for index, words in enumerate(loaded.day.symbols)
        if words.symbol not in listed
    ]
    if found:
        root = yaml.compose(loaded.path.read_text(encoding="utf-8"), yaml.SafeLoader)
        assert root is not None
        raise DayError(_told(loaded.path, root, found))


def _told(path: Path, root: yaml.Node, found: Iterable[tuple[Location, str]]) -> str:
    return "\n".join(f"{path}:{_line(root, where)}: {_dotted(where)}: {why}" for where, why in found)


def _validated(document: Any) -> tuple[Day | None, list[tuple[Location, str]]]:
    try:
        day = Day.model_validate(document)
    except ValidationError as error:
        return None, [_explained(one) for one in error.errors(include_url=False)]
    return day, list(problems(day))


def _explained(error: ErrorDetails) -> tuple[Location, str]:
    location, kind, message = error["loc"], error["type"], error["msg"]
    if kind == "extra_forbidden":
        known = _keys_at(location[:-1])
        near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
        return (
            location,
            f"unknown key; did you mean {near[0]!r}?" if near else f"unknown key; there are {', '.join(known)}",
        )
    if kind == "missing":
        return location, "is missing"
    return location, message.removeprefix("Value error, ").replace("Input should be", "should be")


def _keys_at(location: Location) -> list[str]:
    """The keys that are known there. The name of a discriminated kind is a part of pydantic's location."""
    candidates: list[Any] = [Day]
    for part in location:
        models = [model for candidate in candidates for model in _models_in(candidate)]
        tagged = [model for model in models if "kind" in model.model_fields and part == _tag(model)]
        if tagged:
            candidates = tagged
        elif isinstance(part, str):
            candidates = [model.model_fields[part].annotation for model in models if part in model.model_fields]
    return sorted({key for candidate in candidates for model in _models_in(candidate) for key in model.model_fields})


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _tag(model: type[BaseModel]) -> str:
    return str(get_args(model.model_fields["kind"].annotation)[0])


def _line(node: yaml.Node, location: Location) -> int:
    """Of the key, else of the nearest part around it that is in the file; lines count from one."""
    line = node.start_mark.line + 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == part), None)
            if found is None:
                continue  # pydantic's tag of a kind, or a key that is missing
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line


def _repeated(node: yaml.Node, location: Location) -> Iterator[tuple[Location, str]]:
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _repeated(item, (*location, index))
    elif isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value]
        for index, (key, value) in enumerate(node.value):
            if key.value in keys[:index]:
                yield (*location, key.value), f"is given twice, the second time in line {key.start_mark.line + 1}"
            yield from _repeated(value, (*location, key.value))


def _dotted(location: Location) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "the file"
