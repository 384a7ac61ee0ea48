"""The programs that use the platform during a run: the market, the feed's subscriber and the load."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from loadtests.command import LOAD_FILE, Crewed, LoadOptions, announced_start, locust_command
from scenarios.model import Scenario
from simulator.market.accounts import TraderKind, market_accounts
from stack.accounts import generate_accounts
from stack.embedded import EmbeddedStack
from stack.process import ChildProcess, Launch, log_tail
from stack.programs import python_env
from stack.topology import Account, Topology

MARKET, LOAD = "market:1", "load:1"
STATUS_FILE = "status.json"
_LOAD_LIMIT_S = 30.0
_WORKER_LIMIT_S = 5.0
_PAUSE_S = 0.05


class RunError(Exception):
    """The run cannot go on; one line says why."""


class NotRecoveredError(RunError):
    """The platform did not come back after its faults were undone: that is what a run exists to find, and a FAIL."""


@dataclass(frozen=True, slots=True)
class Program:
    """A started program and the log it writes."""

    name: str
    process: ChildProcess
    log: Path

    def failure(self) -> str:
        """How it ended, with the tail of its log."""
        tail = log_tail(self.log)
        return f"{self.name} ended with exit code {self.process.exit_code}" + (f":\n{tail}" if tail else "")


def scenario_topology(scenario: Scenario) -> Topology:
    """The scenario's nodes and links with fresh accounts: first the load's, then those of the market's traders."""
    part = scenario.topology.accounts
    symbols = [instrument.symbol for instrument in scenario.topology.instruments]
    alike = generate_accounts(part.count, cash_micros=part.cash_micros, shares=dict.fromkeys(symbols, part.shares))
    load = [replace(account, multiplier=2 if part.margin else 1) for account in alike]
    market = _market_accounts(symbols, first_id=part.count + 1) if scenario.market else ()
    return scenario.topology.build((*load, *market), load_workers=scenario.load.workers)


def _market_accounts(symbols: Iterable[str], first_id: int) -> tuple[Account, ...]:
    accounts = []
    for account_id, (name, cash_micros, shares) in enumerate(market_accounts(symbols), start=first_id):
        kind, symbol = name.split("-")[:2]
        (account,) = generate_accounts(1, cash_micros=cash_micros, shares={symbol: shares}, first_id=account_id)
        role = "market_maker" if kind == TraderKind.MAKER else "trader"
        accounts.append(replace(account, name=name, role=role))
    return tuple(accounts)


def write_status(stack: EmbeddedStack) -> Path:
    """The stack's status for its programs. It holds the accounts' secrets, so it stays out of the record."""
    path = stack.folder / STATUS_FILE
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(stack.status().model_dump_json(by_alias=True))
    return path


async def start_market(stack: EmbeddedStack, *, status: Path, record: Path, seed: int) -> Program:
    argv = (sys.executable, "-m", "simulator.market", "--status", str(status), "--record", str(record))
    process = await stack.start_program(MARKET, (*argv, "--seed", str(seed)), python_env())
    return Program("the market", process, stack.options.log_folder / f"{MARKET}.log")


def start_subscriber(stack: EmbeddedStack, *, status: Path, record: Path) -> Program:
    """It is no node of the topology: it uses the load's links."""
    log = stack.options.log_folder / "subscriber.log"
    argv = (sys.executable, "-m", "loadtests.subscriber", "--status", str(status), "--record", str(record))
    return Program("the feed's subscriber", ChildProcess.start(Launch(argv, python_env(), log, cwd=Path.cwd())), log)


def start_control(stack: EmbeddedStack, *, record: Path) -> Program:
    """The positive control is no node of the topology either, and touches none."""
    log = stack.options.log_folder / "control.log"
    argv = (sys.executable, "-m", "scenarios.noop", "--record", str(record))
    return Program("the positive control", ChildProcess.start(Launch(argv, python_env(), log, cwd=Path.cwd())), log)


def load_links(stack: EmbeddedStack) -> dict[str, str]:
    """Which api answers at which address that the load asks."""
    load = LOAD.partition(":")[0]
    links = [link for link in stack.status().links if link.from_.partition(":")[0] == load]
    return {f"http://{link.listen}": link.to for link in links if link.to.startswith("api:")}


async def start_load(stack: EmbeddedStack, options: LoadOptions, workers: int | None) -> list[Program]:
    """The workers of a distributed load first, last the process whose end is the end of the load."""
    if workers is None:
        return [await _start_load(stack, LOAD, locust_command(options, python_env()))]
    port = _free_port()
    master = await _start_load(stack, LOAD, locust_command(options, python_env(), Crewed(port, workers)))
    started = []
    for number in range(workers):
        node = f"load:{number + 2}"
        started.append(await _start_load(stack, node, locust_command(options, python_env(), Crewed(port, node=node))))
    return [*started, master]


def is_load(program: Program) -> bool:
    return program.name.startswith(LOAD.partition(":")[0])


async def _start_load(stack: EmbeddedStack, name: str, command: tuple[list[str], dict[str, str]]) -> Program:
    process = await stack.start_program(name, *command)
    return Program(name, process, stack.options.log_folder / f"{name}.log")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def end_workers(stack: EmbeddedStack, programs: Iterable[Program]) -> None:
    """After their master: each has been told to end, and one that is past hearing is killed."""
    for program in programs:
        try:
            async with asyncio.timeout(_WORKER_LIMIT_S):
                await program.process.wait()
        except TimeoutError:
            await stack.kill(program.name)


async def load_start_ns(record: Path, programs: Iterable[Program]) -> int:
    """Waits until the load knows when its schedule starts. Raises RunError when a program ends before that."""
    programs = list(programs)
    for _ in range(round(_LOAD_LIMIT_S / _PAUSE_S)):
        start_ns = announced_start(record)
        if start_ns is not None:
            return start_ns
        await sleep_while_running(_PAUSE_S, programs)
    raise RunError(f"the load did not come up within {_LOAD_LIMIT_S:g} s")


def announced_schedule(record: Path) -> str:
    """The digest of what the load is about to do, by its own account."""
    return str(json.loads((record / LOAD_FILE).read_bytes())["schedule_digest"])


async def sleep_while_running(seconds: float, programs: Iterable[Program]) -> None:
    """Raises RunError as soon as one of the programs has ended."""
    ends = {asyncio.create_task(program.process.wait()): program for program in programs}
    try:
        done, _ = await asyncio.wait(ends, timeout=max(0.0, seconds), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in ends:
            task.cancel()
    for task in done:
        raise RunError(ends[task].failure())
