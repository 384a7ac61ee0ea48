"""``elson up``: the platform in the foreground, its nodes in a live table, everything gone at Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.live import Live

from chaos.conductor import Conductor
from chaos.fault_log import FaultLog
from reports.run_folder import new_run_folder, runs_root
from scenarios.commands import WRONG_USAGE, complain, nodes_table, told
from scenarios.control import offer_faults
from scenarios.documents import ScenarioError
from scenarios.library import find_scenario
from scenarios.loader import allow_small_disk, load_scenario
from scenarios.model import Scenario
from scenarios.programs import scenario_topology, start_market, write_status
from stack.embedded import EmbeddedStack
from stack.options import StackOptions
from stack.topology import Topology, UnknownSelectorError

_PERIOD_S: Final = 0.5


@told
def up(scenario: str, *, market: bool, proxied: list[str], archive: Path | None, key_file: Path | None) -> int:
    if archive and not key_file:
        return complain("--archive: name its key with --key-file, or nobody can read it later", WRONG_USAGE)
    try:
        loaded = load_scenario(find_scenario(scenario))
        allow_small_disk(loaded)
        topology = scenario_topology(_with_proxies(loaded.scenario, proxied))
        folder = new_run_folder(runs_root(os.environ), "up")
        with suppress(KeyboardInterrupt, asyncio.CancelledError):
            options = StackOptions(folder, archive=_absolute(archive), key_file=_absolute(key_file))
            asyncio.run(_stay_up(topology, options, seed=loaded.scenario.seed if market else None))
    except ScenarioError as error:
        return complain(str(error), WRONG_USAGE)
    except UnknownSelectorError as error:
        return complain(f"--proxied: {error}", WRONG_USAGE)
    except OSError as error:
        return complain(f"no logs can be written: {error}", 1)
    return 0


def _with_proxies(scenario: Scenario, proxied: list[str]) -> Scenario:
    topology = scenario.topology.model_copy(update={"proxied": [*scenario.topology.proxied, *proxied]})
    return scenario.model_copy(update={"topology": topology})


def _absolute(path: Path | None) -> Path | None:
    return path and path.absolute()


async def _stay_up(topology: Topology, options: StackOptions, *, seed: int | None) -> None:
    """``seed`` is the market's; None: no market trades."""
    folder = options.log_folder
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    console = Console(highlight=False)
    console.print(f"starting the platform; logs in {folder}", soft_wrap=True)
    printer = _Printer(console)
    stack = EmbeddedStack(topology, options, printer)
    async with stack, Conductor(stack, FaultLog(folder / "faults.jsonl"), printer.fault) as conductor:
        offer_faults(stack, conductor)
        if seed is not None:
            await start_market(stack, status=write_status(stack), record=folder, seed=seed)
        console.print(
            f"stack {stack.stack_id} is up: {', '.join(stack.status().endpoints['api'])}; Ctrl-C ends it",
            soft_wrap=True,
        )
        async with _live_table(stack, console):
            await stack.down_requested.wait()
    console.print(f"stack {stack.stack_id} is down")


@asynccontextmanager
async def _live_table(stack: EmbeddedStack, console: Console) -> AsyncIterator[None]:
    """Redrawn on a terminal; elsewhere the events printed as they happen say the same."""
    if not console.is_terminal:
        yield
        return
    with Live(nodes_table(stack.status()), console=console, auto_refresh=False) as live:

        async def redraw() -> None:
            while True:
                live.update(nodes_table(stack.status()), refresh=True)
                await asyncio.sleep(_PERIOD_S)

        drawing = asyncio.create_task(redraw())
        try:
            yield
        finally:
            drawing.cancel()
            await asyncio.wait({drawing})


class _Printer:
    """Prints what happens to nodes and links, but for what the live table shows already."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, name: str, **details: object) -> None:
        if not self._console.is_terminal or name in ("role_changed", "node_exited", "stack_swept"):
            fields = ", ".join(f"{key} {value}" for key, value in details.items())
            self._console.print(f"{name.replace('_', ' ')}: {fields}", markup=False, soft_wrap=True)
            sys.stdout.flush()

    def fault(self, line: dict[str, Any]) -> None:
        why = line.get("error") or line.get("evidence", {}).get("summary", "")
        self._console.print(f"{line['kind']} {line['target']} {line['state']} {why}", markup=False, soft_wrap=True)
