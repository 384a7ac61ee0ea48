"""The commands about scenarios and records. Each returns its exit code; what a user can put right is one line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from os import environ
from pathlib import Path

from rich.console import Console

from reports.against_page import write_comparison
from reports.console import print_comparison, print_verdict
from reports.record import MissingPartError, Record
from reports.render import rebuild
from reports.repeats_page import rebuild_together
from reports.results import EXIT_CODES, Verdict, VerdictKind
from reports.run_folder import REPEATS_FILE, SERIES_FILE, find_run, merge_left_operations, run_folders, runs_root
from reports.side_by_side import rebuild_series, side_folders
from scenarios.checks import run_checks
from scenarios.commands import WRONG_USAGE, complain, print_json
from scenarios.documents import Override, ScenarioError
from scenarios.library import find_scenario
from scenarios.loader import allow_small_disk, load_scenario
from scenarios.progress import Progress
from scenarios.repeats import find_baselines
from scenarios.run import RunOptions
from scenarios.series import run_all


def run(name: str, overrides: Sequence[Override], *, seed: int | None, json: bool, keep: bool) -> int:
    """The verdict is the last line of standard output with ``json``; then everything else goes to standard error."""
    try:
        loaded = load_scenario(find_scenario(name), overrides)
        allow_small_disk(loaded)
    except ScenarioError as error:
        return complain(str(error), WRONG_USAGE)
    scenario = loaded.scenario
    if keep and (scenario.repeats > 1 or scenario.variants or scenario.search):
        return complain("--keep leaves one platform up: it goes with one run, not with several", WRONG_USAGE)
    stream = sys.stderr if json else sys.stdout
    console = Console(file=stream, highlight=False)
    chosen = loaded.scenario.seed if seed is None else seed
    console.print(f"{loaded.name}: {loaded.scenario.title} (seed {chosen})", markup=False, soft_wrap=True)
    for override in loaded.overrides:
        console.print(f"  with {override}", markup=False, soft_wrap=True)
    show = partial(print_verdict, console=console)
    try:
        baselines = find_baselines(loaded.scenario, runs_root(environ))
    except FileNotFoundError as error:
        return complain(f"baseline: {error}", WRONG_USAGE)
    options = RunOptions(chosen, tuple(sys.argv), keep=keep, on_verdict=show, baselines=baselines)
    outcome = run_all(loaded, options, Progress(stream))
    if outcome.trouble:
        kind = outcome.verdict.verdict if outcome.verdict else VerdictKind.INVALID
        complain(f"the run is {kind}: {outcome.trouble}", outcome.exit_code)
    if json:
        print_json(outcome.document())
    return outcome.exit_code


def report(name: str) -> int:
    """Exits as the run would: the same record gives the same verdict."""
    try:
        folder = find_run(runs_root(environ), name)
        verdict = _judged_again(folder)
    except (OSError, MissingPartError) as error:
        return complain(str(error), WRONG_USAGE)
    print_verdict(verdict, folder)
    return verdict.exit_code


def _judged_again(folder: Path) -> Verdict:
    """From the inside out: several runs are judged by the verdict on each."""
    if (folder / SERIES_FILE).exists():
        for side in side_folders(folder):
            _judged_again(side)
        return rebuild_series(folder)
    if (folder / REPEATS_FILE).exists():
        for run_folder in run_folders(folder):
            _judged_again(run_folder)
        return rebuild_together(folder)
    merge_left_operations(folder)
    run_checks(Record(folder))
    return rebuild(folder)


def compare(name: str, against: str) -> int:
    """Nothing is judged: 0 when the two can be compared, else as for an INVALID run."""
    try:
        folder, baseline = (find_run(runs_root(environ), each) for each in (name, against))
        found, page = write_comparison(folder, baseline)
    except (OSError, MissingPartError) as error:
        return complain(str(error), WRONG_USAGE)
    print_comparison(found, page)
    return 0 if found.comparable else EXIT_CODES[VerdictKind.INVALID]
