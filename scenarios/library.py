"""The catalogue of scenarios by name; nothing here reads more of a file than its title."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Final

import yaml

import loadtests
from scenarios.documents import ScenarioError

CATALOGUE: Final = Path(__file__).with_name("catalogue")
PROFILES: Final = Path(loadtests.__file__).with_name("profiles")


class UnknownScenarioError(ScenarioError):
    """No scenario has that name."""


def scenario_names() -> list[str]:
    return sorted(map(scenario_name, CATALOGUE.rglob("*.yaml")))


def scenario_name(path: Path) -> str:
    """Where it is in the catalogue, without the ending; of other files the bare name."""
    path, catalogue = path.resolve(), CATALOGUE.resolve()
    inside = path.relative_to(catalogue) if path.is_relative_to(catalogue) else Path(path.name)
    return inside.with_suffix("").as_posix()


def scenario_title(name: str) -> str:
    """ "" when the file has none, or is no YAML: running it says so properly."""
    try:
        document = yaml.safe_load((CATALOGUE / f"{name}.yaml").read_text(encoding="utf-8"))
    except yaml.YAMLError:
        return ""
    return str(document.get("title", "")) if isinstance(document, dict) else ""


def profile_names() -> list[str]:
    return sorted(path.stem for path in PROFILES.glob("*.py"))


def find_scenario(name: str) -> Path:
    """A catalogue name's file, or a path that ends in .yaml. Raises UnknownScenarioError with the nearest names."""
    if name in scenario_names():
        return CATALOGUE / f"{name}.yaml"
    if name.endswith((".yaml", ".yml")) and Path(name).is_file():
        return Path(name)
    near = difflib.get_close_matches(name, scenario_names(), n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(scenario_names())}"
    raise UnknownScenarioError(f"unknown scenario {name!r}: {hint}")
