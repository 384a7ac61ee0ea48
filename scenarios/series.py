"""Several runs of one scenario in one go: its variants, the values of its search, its repeats, and these in each other.

Variants with repeats take turns, there and back (A B, B A, A B ...), so that a machine that grows slower meanwhile is
no difference between them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from reports.record import MissingPartError
from reports.search import Tried, next_value
from reports.side_by_side import Series, rebuild_series, write_series
from scenarios.launch import INTERRUPTED, INVALID, Outcome, run_scenario
from scenarios.loader import LoadedScenario, searched, variants_of
from scenarios.progress import Progress
from scenarios.repeats import Repeats, folder_for, kind_of
from scenarios.run import RunOptions


def run_all(loaded: LoadedScenario, options: RunOptions, progress: Progress, within: Path | None = None) -> Outcome:
    """Whatever the scenario asks for. Never raises for what happens to a run: the outcome tells."""
    scenario = loaded.scenario
    if not (scenario.variants or scenario.search or scenario.repeats > 1):
        return run_scenario(loaded, options, progress, within)
    try:
        folder = folder_for(loaded, within)
        if scenario.variants:
            return _run_variants(loaded, options, progress, folder)
        if scenario.search is not None:
            return _run_search(loaded, options, progress, folder)
        return _taking_turns([Repeats(loaded, options, progress, folder)])[0]
    except OSError as error:
        return Outcome(INVALID, trouble=f"no record can be written: {error}")


def _run_variants(loaded: LoadedScenario, options: RunOptions, progress: Progress, folder: Path) -> Outcome:
    variants, names = variants_of(loaded), loaded.scenario.variants
    compared = [part.model_dump(exclude_none=True) for part in loaded.scenario.objectives if part.baseline in names]
    write_series(folder, Series(scenario=loaded.name, seed=options.seed, variants=list(names), objectives=compared))
    if loaded.scenario.repeats > 1 and not any(each.scenario.search for each in variants):
        inside = [Repeats(each, _quiet(options), progress, folder_for(each, folder)) for each in variants]
        return _judged(folder, options, _taking_turns(inside))
    outcomes: list[Outcome] = []
    for each in variants:
        progress.plain(f"{each.label}: {', '.join(map(str, each.overrides))}")
        outcomes.append(run_all(each, _quiet(options), progress, folder))
        progress.plain(f"{each.label}: {kind_of(outcomes[-1])}")
        if _trouble(outcomes):
            break
    return _judged(folder, options, outcomes)


def _taking_turns(repeats: list[Repeats]) -> list[Outcome]:
    for number in range(repeats[0].count):
        for each in repeats if number % 2 == 0 else reversed(repeats):
            if not each.once():
                return [each.judged() for each in repeats]
    return [each.judged() for each in repeats]


def _run_search(loaded: LoadedScenario, options: RunOptions, progress: Progress, folder: Path) -> Outcome:
    part = loaded.scenario.search
    assert part is not None
    write_series(folder, Series(scenario=loaded.name, seed=options.seed, search=part.search))
    tried: list[Tried] = []
    outcomes: list[Outcome] = []
    while (value := next_value(part.search, tried)) is not None and not _trouble(outcomes):
        progress.plain(f"{part.path}={value:g}")
        outcome = run_all(searched(loaded, value), _quiet(options), progress, folder)
        progress.plain(f"{part.path}={value:g}: {kind_of(outcome)}")
        outcomes.append(outcome)
        why = next(iter(outcome.verdict.reasons), "") if outcome.verdict else outcome.trouble or ""
        tried.append(Tried(value, kind_of(outcome), why))
    return _judged(folder, options, outcomes)


def _quiet(options: RunOptions) -> RunOptions:
    """For a run among several, of which all are told at the end."""
    return replace(options, keep=False, on_verdict=lambda verdict, folder: None)


def _trouble(outcomes: Iterable[Outcome]) -> str | None:
    """An interruption ends all of them; what ends one run alone is in its verdict."""
    return next((one.trouble for one in outcomes if one.trouble and one.trouble.startswith(INTERRUPTED)), None)


def _judged(folder: Path, options: RunOptions, outcomes: Iterable[Outcome]) -> Outcome:
    trouble = _trouble(outcomes)
    try:
        verdict = rebuild_series(folder)
    except (OSError, MissingPartError) as error:
        return Outcome(INVALID, folder, trouble=f"the runs could not be judged: {error}")
    if trouble is None:
        options.on_verdict(verdict, folder)
    return Outcome(verdict.exit_code if trouble is None else INVALID, folder, verdict, trouble)
