"""The commands about scenarios and records. Each returns its exit code; what a user can put right is one line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from os import environ

from rich.console import Console

from reports.against_page import write_comparison
from reports.console import print_comparison, print_verdict
from reports.record import MissingPartError, Record
from reports.render import rebuild
from reports.repeats_page import rebuild_together
from reports.results import EXIT_CODES, VerdictKind
from reports.run_folder import REPEATS_FILE, find_run, merge_left_operations, run_folders, runs_root
from scenarios.checks import run_checks
from scenarios.commands import WRONG_USAGE, complain, print_json
from scenarios.documents import Override, ScenarioError
from scenarios.launch import run_scenario
from scenarios.library import find_scenario
from scenarios.loader import load_scenario
from scenarios.progress import Progress
from scenarios.repeats import find_baselines, run_repeats
from scenarios.run import RunOptions


def run(name: str, overrides: Sequence[Override], *, seed: int | None, json: bool, keep: bool) -> int:
    """The verdict is the last line of standard output with ``json``; then everything else goes to standard error."""
    try:
        loaded = load_scenario(find_scenario(name), overrides)
    except ScenarioError as error:
        return complain(str(error), WRONG_USAGE)
    if keep and loaded.scenario.repeats > 1:
        return complain("--keep leaves one platform up: it goes with one run, not with repeats", WRONG_USAGE)
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
    if loaded.scenario.repeats > 1:
        outcome = run_repeats(loaded, options, Progress(stream))
    else:
        outcome = run_scenario(loaded, options, Progress(stream))
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
        for run_folder in run_folders(folder):
            merge_left_operations(run_folder)
            run_checks(Record(run_folder))
            verdict = rebuild(run_folder)
        if (folder / REPEATS_FILE).exists():
            verdict = rebuild_together(folder)
    except (OSError, MissingPartError) as error:
        return complain(str(error), WRONG_USAGE)
    print_verdict(verdict, folder)
    return verdict.exit_code


def compare(name: str, against: str) -> int:
    """Nothing is judged: 0 when the two can be compared, else as for an INVALID run."""
    try:
        folder, baseline = (find_run(runs_root(environ), each) for each in (name, against))
        found, page = write_comparison(folder, baseline)
    except (OSError, MissingPartError) as error:
        return complain(str(error), WRONG_USAGE)
    print_comparison(found, page)
    return 0 if found.comparable else EXIT_CODES[VerdictKind.INVALID]
