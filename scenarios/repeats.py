"""Runs of one scenario, one after another, in one folder; and what runs are compared with."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from reports.record import MissingPartError
from reports.repeats import describe_repeats
from reports.repeats_page import rebuild_together
from reports.results import VerdictKind
from reports.run_folder import find_run, new_run_folder, point_latest, runs_root
from scenarios.launch import INTERRUPTED, INVALID, Outcome, run_scenario
from scenarios.loader import LoadedScenario
from scenarios.model import Scenario
from scenarios.progress import Progress
from scenarios.run import RunOptions


def find_baselines(scenario: Scenario, root: Path) -> dict[str, Path]:
    """By the names the objectives use, before a new run becomes the latest. Raises FileNotFoundError."""
    names = {part.baseline for part in scenario.objectives if part.baseline is not None} - scenario.variants.keys()
    return {name: find_run(root, name) for name in sorted(names)}


def folder_for(loaded: LoadedScenario, within: Path | None) -> Path:
    """A new folder for several runs, to which ``latest`` points unless it is within another. Raises OSError."""
    root = runs_root(os.environ)
    folder = new_run_folder(within or root, loaded.label)
    if within is None:
        point_latest(root, folder)
    return folder


def kind_of(outcome: Outcome) -> VerdictKind:
    return outcome.verdict.verdict if outcome.verdict else VerdictKind.INVALID


class Repeats:
    """Each run draws from the next seed; an interruption ends them all. Raises OSError when nothing can be written."""

    def __init__(self, loaded: LoadedScenario, options: RunOptions, progress: Progress, folder: Path) -> None:
        self.count = loaded.scenario.repeats
        self._loaded = loaded
        self._options = options
        self._progress = progress
        self._folder = folder
        self._done = 0
        self._trouble: str | None = None
        describe_repeats(folder, scenario=loaded.name, repeats=self.count, seed=options.seed)

    def once(self) -> bool:
        """The next run; False when it was interrupted."""
        seed = self._options.seed + self._done
        self._done += 1
        which = f"{self._loaded.variant}: " if self._loaded.variant else ""
        self._progress.plain(f"{which}repeat {self._done} of {self.count}, seed {seed}")
        quiet = replace(self._options, seed=seed, keep=False, on_verdict=lambda verdict, folder: None)
        outcome = run_scenario(self._loaded, quiet, self._progress, within=self._folder)
        self._progress.plain(f"{kind_of(outcome)}{f': {outcome.trouble}' if outcome.trouble else ''}")
        if outcome.trouble == INTERRUPTED:
            self._trouble = f"{INTERRUPTED} in repeat {self._done}"
        return self._trouble is None

    def judged(self) -> Outcome:
        """All of them together."""
        try:
            verdict = rebuild_together(self._folder)
        except (OSError, MissingPartError) as error:
            return Outcome(INVALID, self._folder, trouble=f"the repeats could not be judged: {error}")
        if self._trouble is None:
            self._options.on_verdict(verdict, self._folder)
        exit_code = verdict.exit_code if self._trouble is None else INVALID
        return Outcome(exit_code, self._folder, verdict, self._trouble)
