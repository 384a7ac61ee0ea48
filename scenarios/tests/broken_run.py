"""``python -m scenarios.tests.broken_run SCENARIO ENGINE [FEED]``: a run against programs broken on purpose."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from scenarios.launch import run_scenario
from scenarios.loader import load_scenario
from scenarios.progress import Progress
from scenarios.run import RunOptions
from stack.programs import PROGRAMS
from stack.topology import Role


def main() -> int:
    scenario, *broken = sys.argv[1:]
    loaded = load_scenario(Path(scenario))
    commands = ((sys.executable, program) for program in broken)
    programs = {**PROGRAMS, **dict(zip((Role.ENGINE, Role.FEED), commands, strict=False))}
    options = RunOptions(seed=loaded.scenario.seed, command_line=tuple(sys.argv), programs=programs)
    outcome = run_scenario(loaded, options, Progress(sys.stderr))
    sys.stdout.write(json.dumps(outcome.document()) + "\n")
    return outcome.exit_code


if __name__ == "__main__":
    sys.exit(main())
