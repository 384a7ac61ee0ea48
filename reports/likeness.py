"""Whether two runs may be compared, and in what they were made differently."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

# What run.json tells of how a run was made; the rest is about when, or follows from these.
_COMPARED: Final = (
    "scenario",
    "seed",
    "commit",
    "dirty",
    "machine",
    "versions",
    "configuration",
    "topology",
    "warm_up_rule",
    "scheduled_operations",
)
_OF_THE_MOMENT: Final = (
    "machine.load_average",
    *(f"configuration.{key}" for key in ("title", "proves", "seed", "repeats", "variants", "search")),
)

# By the beginning of the keys that differ: why that forbids a comparison, or what to mind in one.
_BLOCKING: Final = {
    "other load": ("configuration.load.", "configuration.market"),
    "other topology": ("configuration.topology.", "topology."),
}
_TO_MIND: Final = {
    "another scenario": ("scenario",),
    "another seed, so the load's arrivals and the moments of the faults differ": ("seed",),
    "other faults, so only what lies outside their windows compares": ("configuration.faults.",),
    "phases of another length": ("configuration.phases.", "warm_up_rule."),
    "another machine": ("machine.",),
    "other versions": ("commit", "versions."),
    "code that no commit holds": ("dirty",),
}


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One setting, by its path in run.json; a side that lacks it has None."""

    key: str
    baseline: Any
    run: Any


class Likeness(msgspec.Struct, frozen=True, kw_only=True):
    """``blockers``: why the two cannot be compared; empty when they can."""

    blockers: list[str]
    cautions: list[str]
    differences: list[Difference]


def likeness(run: Mapping[str, Any], baseline: Mapping[str, Any]) -> Likeness:
    """Of two run.json."""
    ours, theirs = _settings(run), _settings(baseline)
    keys = [key for key in dict.fromkeys([*ours, *theirs]) if ours.get(key) != theirs.get(key)]
    return Likeness(
        blockers=_named(_BLOCKING, keys),
        cautions=_named(_TO_MIND, keys),
        differences=[Difference(key=key, baseline=theirs.get(key), run=ours.get(key)) for key in keys],
    )


def _settings(run: Mapping[str, Any]) -> dict[str, Any]:
    flat = {path: value for name in _COMPARED for path, value in _flattened(name, run.get(name))}
    return {path: value for path, value in flat.items() if not path.startswith(_OF_THE_MOMENT)}


def _flattened(path: str, value: Any) -> Iterable[tuple[str, Any]]:
    """Leaves by path; what is in a list goes by its name, where it has one, so that one more shifts nothing."""
    if isinstance(value, Mapping):
        parts: list[tuple[Any, Any]] = list(value.items())
    elif isinstance(value, list):
        parts = [(_name(item, number), item) for number, item in enumerate(value)]
    else:
        return [(path, value)]
    return [leaf for name, part in parts for leaf in _flattened(f"{path}.{name}", part)]


def _name(item: Any, number: int) -> Any:
    if isinstance(item, Mapping):
        return next((item[key] for key in ("name", "symbol", "account_id") if key in item), number)
    return number


def _named(reasons: Mapping[str, tuple[str, ...]], keys: Iterable[str]) -> list[str]:
    found = {why: [key for key in keys if key.startswith(beginnings)] for why, beginnings in reasons.items()}
    return [f"{why} ({_listed(named)})" for why, named in found.items() if named]


def _listed(keys: list[str], most: int = 3) -> str:
    more = f" and {len(keys) - most} more" if len(keys) > most else ""
    return ", ".join(keys[:most]) + more
