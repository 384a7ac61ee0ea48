"""The commands about scenarios and records. Each returns its exit code; what a user can put right is one line."""

from __future__ import annotations

import sys
from functools import partial
from os import environ

from rich.console import Console

from reports.console import print_verdict
from reports.record import Record
from reports.render import rebuild
from reports.results import VerdictKind
from reports.run_folder import find_run, runs_root
from scenarios.checks import run_checks
from scenarios.commands import WRONG_USAGE, complain, print_json
from scenarios.launch import run_scenario
from scenarios.library import ScenarioError, find_scenario
from scenarios.loader import load_scenario
from scenarios.progress import Progress
from scenarios.run import RunOptions


def run(name: str, *, seed: int | None, json: bool, keep: bool) -> int:
    """The verdict is the last line of standard output with ``json``; then everything else goes to standard error."""
    try:
        loaded = load_scenario(find_scenario(name))
    except ScenarioError as error:
        return complain(str(error), WRONG_USAGE)
    stream = sys.stderr if json else sys.stdout
    console = Console(file=stream, highlight=False)
    chosen = loaded.scenario.seed if seed is None else seed
    console.print(f"{loaded.name}: {loaded.scenario.title} (seed {chosen})", markup=False, soft_wrap=True)
    show = partial(print_verdict, console=console)
    options = RunOptions(chosen, tuple(sys.argv), keep=keep, on_verdict=show)
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
        run_checks(Record(folder))
        verdict = rebuild(folder)
    except OSError as error:
        return complain(str(error), WRONG_USAGE)
    print_verdict(verdict, folder)
    return verdict.exit_code
