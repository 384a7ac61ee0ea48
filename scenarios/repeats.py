"""Runs of one scenario, one after another, in one folder; and what runs are compared with."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from reports.record import MissingPartError
from reports.repeats import describe_repeats
from reports.repeats_page import rebuild_together
from reports.run_folder import find_run, new_run_folder, point_latest, runs_root
from scenarios.launch import INTERRUPTED, INVALID, Outcome, run_scenario
from scenarios.loader import LoadedScenario
from scenarios.model import Scenario
from scenarios.progress import Progress
from scenarios.run import RunOptions


def find_baselines(scenario: Scenario, root: Path) -> dict[str, Path]:
    """By the names the objectives use, before a new run becomes the latest. Raises FileNotFoundError."""
    names = {part.baseline for part in scenario.objectives if part.baseline is not None}
    return {name: find_run(root, name) for name in sorted(names)}


def run_repeats(loaded: LoadedScenario, options: RunOptions, progress: Progress) -> Outcome:
    """Each with the next seed; an interruption ends them all. The outcome is the judgement of all of them together."""
    repeats = loaded.scenario.repeats
    try:
        root = runs_root(os.environ)
        folder = new_run_folder(root, loaded.name)
        describe_repeats(folder, scenario=loaded.name, repeats=repeats, seed=options.seed)
        point_latest(root, folder)
    except OSError as error:
        return Outcome(INVALID, trouble=f"no record can be written: {error}")
    trouble = None
    for number in range(repeats):
        progress.plain(f"repeat {number + 1} of {repeats}, seed {options.seed + number}")
        quiet = replace(options, seed=options.seed + number, keep=False, on_verdict=lambda verdict, folder: None)
        outcome = run_scenario(loaded, quiet, progress, within=folder)
        kind = outcome.verdict.verdict.value if outcome.verdict else "INVALID"
        progress.plain(f"{kind}{f': {outcome.trouble}' if outcome.trouble else ''}")
        if outcome.trouble == INTERRUPTED:
            trouble = f"interrupted in repeat {number + 1}"
            break
    try:
        verdict = rebuild_together(folder)
    except (OSError, MissingPartError) as error:
        return Outcome(INVALID, folder, trouble=f"the repeats could not be judged: {error}")
    if trouble is None:
        options.on_verdict(verdict, folder)
    return Outcome(verdict.exit_code if trouble is None else INVALID, folder, verdict, trouble)
