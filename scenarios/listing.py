"""The catalogue as a list: what each scenario proves and how long it takes, read without the model, which is slow."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import groupby
from math import ceil, log2
from typing import Any, Final

from chaos.durations import parse_duration_s
from scenarios.documents import ScenarioError, read_document
from scenarios.library import CATALOGUE, scenario_names

# Starting everything, the last answers, copying and checking the record, the report: of a run on two cores.
AROUND_A_RUN_S: Final = 20.0
_ROOT: Final = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """``takes_s``: about; every phase but the last answers at its full length."""

    name: str
    title: str
    proves: str
    runs: int
    takes_s: float

    @property
    def folder(self) -> str:
        return self.name.rpartition("/")[0]


def listed() -> list[Listed]:
    """The whole catalogue, folder after folder. Raises ScenarioError for a file that is no scenario."""
    return sorted(map(_read, scenario_names()), key=lambda each: (each.folder, each.name))


def lines(scenarios: Iterable[Listed]) -> Iterator[str]:
    """``scenarios`` as ``listed`` orders them."""
    for folder, within in groupby(scenarios, key=lambda each: each.folder):
        if folder != _ROOT:
            yield ""
        for each in within:
            yield f"{each.name}  ({_about(each.takes_s)})"
            yield f"    {each.proves or each.title}"


def listed_json(scenarios: Iterable[Listed]) -> str:
    return json.dumps([asdict(each) for each in scenarios], indent=1) + "\n"


def _read(name: str) -> Listed:
    path = CATALOGUE / f"{name}.yaml"
    try:
        return _listed(name, read_document(path).value)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        from scenarios.loader import load_scenario

        load_scenario(path)  # says properly what is wrong
        raise ScenarioError(f"{path}: {error}") from error


def _listed(name: str, document: Mapping[str, Any]) -> Listed:
    phases = document["phases"]
    run_s = AROUND_A_RUN_S + sum(parse_duration_s(phases[phase]) for phase in ("warm_up", "measure"))
    runs = document.get("repeats", 1) * len(document.get("variants") or "1") * _searched(document.get("search"))
    return Listed(name, document["title"], document.get("proves", ""), runs, runs * run_s)


def _searched(search: Mapping[str, float] | None) -> int:
    """About how many values are tried: doubling up to some break, then halving what is between."""
    if not search:
        return 1
    doublings = ceil(log2(search["to"] / search["from"]))
    return 1 + doublings + ceil(log2(max(1.0, search["to"] / 2 / search["within"])))


def _about(seconds: float) -> str:
    if seconds < 90:
        return f"about {5 * ceil(seconds / 5):g} s"
    return f"about {ceil(seconds / 60):g} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"
