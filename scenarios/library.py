"""The catalogue of scenarios by name."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Final

import loadtests
from scenarios.documents import ScenarioError

CATALOGUE: Final = Path(__file__).with_name("catalogue")
PROFILES: Final = Path(loadtests.__file__).with_name("profiles")


class UnknownScenarioError(ScenarioError):
    """No scenario has that name."""


def scenario_names() -> list[str]:
    """A file whose name begins with an underscore is no scenario: others include it."""
    return sorted(scenario_name(path) for path in CATALOGUE.rglob("*.yaml") if not path.name.startswith("_"))


def scenario_name(path: Path) -> str:
    """Where it is in the catalogue, without the ending; of other files the bare name."""
    path, catalogue = path.resolve(), CATALOGUE.resolve()
    inside = path.relative_to(catalogue) if path.is_relative_to(catalogue) else Path(path.name)
    return inside.with_suffix("").as_posix()


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
