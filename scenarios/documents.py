"""A scenario's values as written, before the model sees them: files, what they include, and what replaces parts.

Each value keeps where it was written, so that whatever is wrong with it can be told by place.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import yaml

Location = tuple[str | int, ...]

INCLUDE: Final = "include"
_STEP: Final = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_PATH: Final = re.compile(r"[^.\[\]]+(?:\.[^.\[\]]+|\[\d+\])*")


class ScenarioError(Exception):
    """A scenario that cannot be run; ``str`` is one line for each thing wrong."""


@dataclass(slots=True)
class Marks:
    """Where each value, and each key of a mapping, was written: ``file:line``, lines from one, or an option's text."""

    values: dict[Location, str] = field(default_factory=dict)
    keys: dict[Location, str] = field(default_factory=dict)
    repeated: list[tuple[Location, str]] = field(default_factory=list)

    def place_of(self, location: Location) -> str:
        """Of the key, else of the value, else of the nearest part around it that was written."""
        while location:
            place = self.keys.get(location) or self.values.get(location)
            if place is not None:
                return place
            location = location[:-1]
        return self.values.get((), "")

    def forget(self, location: Location) -> None:
        """Everything within ``location``."""
        for places in (self.values, self.keys):
            for within in [each for each in places if each[: len(location)] == location]:
                del places[within]


@dataclass(frozen=True, slots=True)
class Override:
    """``value`` put at ``path``, as in ``load.rate_per_s`` or ``faults[0].for``; ``place``: who asked for it."""

    path: str
    value: Any
    place: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Of ``path=value``, the value as YAML has it. Raises ScenarioError."""
        path, equals, value = text.partition("=")
        if not equals:
            raise ScenarioError(f"--set {text}: expected path=value, as in load.rate_per_s=400")
        try:
            parsed = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError) as error:
            raise ScenarioError(f"--set {text}: {value!r} is no YAML: {str(error).splitlines()[0]}") from error
        return cls(path.strip(), parsed, f"--set {text}")

    @property
    def location(self) -> Location:
        """Raises ScenarioError when the path is none."""
        if not _PATH.fullmatch(self.path):
            raise ScenarioError(f"{self.place}: {self.path!r} is no path, as load.rate_per_s and faults[0].for are")
        return tuple(name or int(index) for name, index in _STEP.findall(self.path))

    def __str__(self) -> str:
        return f"{self.path}={self.value if isinstance(self.value, str) else yaml_text(self.value)}"


@dataclass(frozen=True, slots=True)
class Document:
    """``texts``: each file it was read from, as it stands there; what is included comes before what includes it."""

    value: Any
    marks: Marks
    texts: tuple[str, ...] = ()

    def told(self, location: Location, message: str) -> str:
        return f"{self.marks.place_of(location)}: {dotted(location)}: {message}"

    def overridden(self, overrides: Sequence[Override]) -> Document:
        """A copy. Raises ScenarioError for a path that leads nowhere; whether a key is known the model says."""
        changed = Document(copy.deepcopy(self.value), copy.deepcopy(self.marks), self.texts)
        for override in overrides:
            changed._put(override)
        return changed

    def without(self, *keys: str) -> Document:
        """Without these keys of its first level."""
        kept = {key: value for key, value in self.value.items() if key not in keys}
        return Document(kept, self.marks, self.texts)

    def _put(self, override: Override) -> None:
        location = override.location
        at: Any = self.value
        for depth, (step, after) in enumerate(zip(location, (*location[1:], None), strict=True)):
            here = f"{override.place}: {dotted(location[:depth])}"
            holder: type[Any] = list if isinstance(step, int) else dict
            if not isinstance(at, holder):
                raise ScenarioError(f"{here} is {_kind(at)}")
            if isinstance(step, int) and step >= len(at):
                raise ScenarioError(f"{here} has {len(at)} parts, counted from 0")
            if after is None:
                at[step] = override.value
            elif isinstance(step, str) and at.get(step) is None:
                at[step] = [] if isinstance(after, int) else {}
                self.marks.keys[location[: depth + 1]] = override.place
            at = at[step]
        self.marks.forget(location)
        self.marks.keys[location] = override.place


def read_document(path: Path, including: tuple[Path, ...] = ()) -> Document:
    """A file with everything it includes. Raises ScenarioError, a line ``file:line: what is wrong`` for each problem.

    ``include`` names another file, from the folder of the one it stands in: its values count wherever the including
    file has none of its own. Mappings are joined, anything else (a list, too) is replaced whole.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: cannot be read: {error}") from error
    marks = Marks()
    document = Document(_parsed(path, text, marks), marks, (text,))
    if marks.repeated:
        raise ScenarioError(
            "\n".join(f"{place}: {dotted(location)}: is given twice" for location, place in marks.repeated)
        )
    if not isinstance(document.value, dict) or INCLUDE not in document.value:
        return document
    return _joined(_included(path, document, including), document.without(INCLUDE))


def dotted(location: Location) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "the file"


def yaml_text(value: Any) -> str:
    """On one line, as it would stand in a scenario file."""
    return str(yaml.safe_dump(value, default_flow_style=True, width=10_000)).removesuffix("\n...\n").strip()


def _included(path: Path, document: Document, including: tuple[Path, ...]) -> Document:
    name, chain = document.value[INCLUDE], (*including, path.resolve())
    if not isinstance(name, str):
        raise ScenarioError(document.told((INCLUDE,), f"expected the name of a file, got {name!r}"))
    file = path.parent / name
    if file.resolve() in chain:
        circle = " includes ".join(each.name for each in (*chain[chain.index(file.resolve()) :], file))
        raise ScenarioError(document.told((INCLUDE,), f"goes in a circle: {circle}"))
    if not file.is_file():
        raise ScenarioError(document.told((INCLUDE,), f"there is no file {file}"))
    base = read_document(file, chain)
    if not isinstance(base.value, dict):
        raise ScenarioError(document.told((INCLUDE,), f"{file} has no keys with values"))
    return base


def _joined(base: Document, over: Document) -> Document:
    value = _join(base.value, over.value, (), base.marks)
    base.marks.values.update(over.marks.values)
    base.marks.keys.update(over.marks.keys)
    return Document(value, base.marks, base.texts + over.texts)


def _join(base: Any, over: Any, location: Location, base_marks: Marks) -> Any:
    if isinstance(base, dict) and isinstance(over, dict):
        joined = dict(base)
        for key, value in over.items():
            joined[key] = _join(base[key], value, (*location, key), base_marks) if key in base else value
        return joined
    base_marks.forget(location)
    return over


def _kind(value: Any) -> str:
    match value:
        case dict():
            return "no list: its parts have names"
        case list():
            return f"a list: write [0] to [{len(value) - 1}]" if value else "an empty list"
        case _:
            return f"{value!r} and has no parts"


def _parsed(path: Path, text: str, marks: Marks) -> Any:
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            raise ScenarioError(f"{path}:1: the file is empty")
        return _Builder(path, loader, marks).build(node, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ScenarioError(f"{path}:{line}: not valid YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise ScenarioError(f"{path}:1: not valid YAML: {str(error).splitlines()[0]}") from error
    except RecursionError:
        raise ScenarioError(f"{path}:1: is nested too deeply") from None


@dataclass(slots=True)
class _Builder:
    path: Path
    loader: yaml.SafeLoader
    marks: Marks
    seen: set[int] = field(default_factory=set)

    def build(self, node: yaml.Node, location: Location) -> Any:
        if id(node) in self.seen:
            raise yaml.MarkedYAMLError(problem="anchors and aliases are not used here", problem_mark=node.start_mark)
        self.seen.add(id(node))
        self.marks.values[location] = self._place(node)
        if isinstance(node, yaml.MappingNode):
            return dict(self._items(node, location))
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*location, index)) for index, item in enumerate(node.value)]
        try:
            return self.loader.construct_object(node)
        except ValueError as error:  # looks like a date or number, and is none
            raise yaml.MarkedYAMLError(problem=str(error), problem_mark=node.start_mark) from error

    def _items(self, node: yaml.MappingNode, location: Location) -> Iterator[tuple[str, Any]]:
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key must be a single word", problem_mark=key_node.start_mark)
            here = (*location, key_node.value)
            if here in self.marks.keys:
                self.marks.repeated.append((here, self._place(key_node)))
            value = self.build(value_node, here)
            self.marks.keys[here] = self._place(key_node)
            yield key_node.value, value

    def _place(self, node: yaml.Node) -> str:
        return f"{self.path}:{node.start_mark.line + 1}"
