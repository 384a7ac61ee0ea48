"""One whole run, phase after phase: prepare, warm up, measure (faults inside), heal, drain, check, report."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from chaos.conductor import Conductor, PlannedFault
from chaos.durations import duration_text
from chaos.fault_log import FaultLog
from chaos.faults.lose import Lose
from chaos.faults.wrong_delete import WrongDelete
from loadtests.command import LoadOptions
from loadtests.lost import complete_lost_shares
from loadtests.target import read_target
from loadtests.workers import crew_report
from reports.baseline import BaselineError, keep_baseline
from reports.objectives import parse_objective
from reports.record import Record
from reports.render import rebuild
from reports.results import Verdict
from reports.run_folder import merge_operations
from scenarios.control import offer_faults
from scenarios.dump import database_servers, dump_database, dump_engine
from scenarios.library import PROFILES
from scenarios.loader import LoadedScenario
from scenarios.platform_state import PlatformState
from scenarios.programs import (
    MARKET,
    STATUS_FILE,
    NotRecoveredError,
    Program,
    RunError,
    announced_schedule,
    end_workers,
    is_load,
    load_links,
    load_start_ns,
    scenario_topology,
    sleep_while_running,
    start_control,
    start_load,
    start_market,
    start_subscriber,
    write_status,
)
from scenarios.progress import Progress
from scenarios.record import RunRecord, load_schedule, run_description, topology_description
from scenarios.sampler import Sampler
from scenarios.schedule import fault_schedule
from stack.embedded import EmbeddedStack
from stack.options import EMBEDDED_ROLES, WITHOUT_BACKUPS, StackOptions
from stack.programs import PROGRAMS
from stack.tasks import end
from stack.topology import Role

_MARKET_LIMIT_S: Final = 20.0
_HEAL_LIMIT_S: Final = 20.0
_BESIDE: Final = 2  # the first programs: the subscriber and the positive control, which are no nodes
_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class RunOptions:
    seed: int
    command_line: tuple[str, ...]
    keep: bool = False  # leave the platform up after the report, until interrupted
    on_verdict: Callable[[Verdict, Path], None] = lambda verdict, folder: None
    programs: Mapping[Role, tuple[str, ...]] = field(default_factory=lambda: PROGRAMS)  # what to judge as the platform
    baselines: Mapping[str, Path] = field(default_factory=dict)  # what objectives compare with, by the name they use


@dataclass(slots=True)
class Run:
    """The state of one run. ``execute`` is the order of everything; each phase is one method below it."""

    loaded: LoadedScenario
    options: RunOptions
    record: RunRecord
    progress: Progress
    faults: tuple[PlannedFault, ...] = ()
    programs: list[Program] = field(default_factory=list)
    load_schedule_digest: str = ""
    load_max_in_flight: int = 0
    measure_from_ns: int = 0

    async def execute(self) -> Verdict:
        """Raises what stopped it; then the record says so, and nothing is left running."""
        self.faults = fault_schedule(self.loaded.scenario, self.options.seed)
        async with AsyncExitStack() as platform:
            stack = await self._prepare(platform)
            async with self._conducting(stack) as conductor, self._sampling(stack):
                await self._warm_up(stack)
                await self._measure(conductor)
                await self._heal(stack, conductor)
                await self._drain(stack)
            with self._phase("check", "copying the database and the engine's state") as results:
                results += await self._copy(stack)
                if not self.options.keep:
                    await platform.aclose()
                results += await self._check()
            verdict = await self._report()
            self.options.on_verdict(verdict, self.record.folder)
            if self.options.keep:
                await self._stay_up(stack)
        return verdict

    # -- the phases --------------------------------------------------------------------------------

    async def _prepare(self, platform: AsyncExitStack) -> EmbeddedStack:
        with self._phase("prepare", "starting the platform") as results:
            loaded, options = self.loaded, self.options
            topology = scenario_topology(loaded.scenario)
            description = await asyncio.to_thread(
                run_description, loaded, options.seed, self.faults, options.command_line
            )
            self.load_schedule_digest = description["load_schedule_digest"]
            self.load_max_in_flight = description["load_max_in_flight"]
            self.record.describe({**description, "topology": topology_description(topology)})
            await asyncio.to_thread(self._keep_baselines)
            stack = EmbeddedStack(topology, self._stack_options(), self._on_stack_event)
            await platform.enter_async_context(stack)
            ready = [node for node in stack.status().nodes if node.state == "ready"]
            results.append(f"{len(ready)} nodes ready, record in {self.record.folder}")
            return stack

    def _keep_baselines(self) -> None:
        objectives = [parse_objective(part.model_dump()) for part in self.loaded.scenario.objectives]
        try:
            keep_baseline(self.record.folder, objectives, self.options.baselines)
        except BaselineError as error:
            raise RunError(str(error)) from error

    def _stack_options(self) -> StackOptions:
        # Backups take from the cores that are being measured: only a run that needs one to come back has it.
        restored = any(fault.kind in (Lose.kind, WrongDelete.kind) for fault in self.faults)
        roles = EMBEDDED_ROLES if restored else WITHOUT_BACKUPS
        return StackOptions(self.record.folder / "logs", roles=roles, programs=self.options.programs)

    async def _warm_up(self, stack: EmbeddedStack) -> None:
        scenario, folder, seed = self.loaded.scenario, self.record.folder, self.options.seed
        with self._phase("warm_up", "opening the market, then the load") as results:
            status = write_status(stack)
            self.record.event("load_links", nodes=load_links(stack))
            self.programs.append(start_subscriber(stack, status=status, record=folder))
            self.programs.append(start_control(stack, record=folder))
            if scenario.market:
                self.programs.append(await start_market(stack, status=status, record=folder, seed=seed))
                await self._two_sided_market(stack)
            self.programs += await start_load(stack, self._load_options(status), scenario.load.workers)
            load_from_ns = await load_start_ns(folder, self.programs)
            if announced_schedule(folder) != self.load_schedule_digest:
                raise RunError(f"the profile {scenario.load.profile} draws another schedule than the one in run.json")
            self.measure_from_ns = load_from_ns + int(scenario.phases.warm_up_s * _NS)
            await sleep_while_running((self.measure_from_ns - time.time_ns()) / _NS, self.programs)
            results.append(f"{scenario.load.rate_per_s:g} operations/s offered")

    async def _two_sided_market(self, stack: EmbeddedStack) -> None:
        symbols = [part.symbol for part in self.loaded.scenario.topology.instruments]
        try:
            async with asyncio.timeout(_MARKET_LIMIT_S), PlatformState(stack) as state:
                await state.two_sided(symbols, self.programs)
        except TimeoutError:
            raise RunError(f"the market was not two-sided within {duration_text(_MARKET_LIMIT_S)}") from None

    async def _measure(self, conductor: Conductor) -> None:
        phases, load = self.loaded.scenario.phases, self.loaded.scenario.load
        doing = f"{duration_text(phases.measure_s)} under {load.rate_per_s:g} operations/s, {len(self.faults)} faults"
        for fault in self.faults:  # a run that ends before they are due must not look as if it had planned none
            self.record.event(
                "fault",
                fault_id=fault.fault_id,
                kind=fault.kind,
                target=fault.target,
                state="planned",
                permanent=fault.for_s is None,
                due_ns=self.measure_from_ns + int(fault.at_s * _NS),
            )
        with self._phase("measure", doing):
            following = asyncio.create_task(conductor.follow(self.faults))
            try:
                until_ns = self.measure_from_ns + int(phases.measure_s * _NS)
                # The load may be done a moment before the phase: its last operation is drawn, not fixed.
                steady = [program for program in self.programs if not is_load(program)]
                await sleep_while_running((until_ns - time.time_ns()) / _NS, steady)
            finally:
                following.cancel()
                await asyncio.wait({following})
            if not following.cancelled():
                following.result()

    async def _heal(self, stack: EmbeddedStack, conductor: Conductor) -> None:
        with self._phase("heal", "undoing the faults") as results:
            undone = await conductor.clear()
            try:
                async with asyncio.timeout(_HEAL_LIMIT_S), PlatformState(stack) as state:
                    leader = await state.active_engine()
            except TimeoutError:
                raise NotRecoveredError(f"no engine led within {duration_text(_HEAL_LIMIT_S)} of the healing") from None
            results.append(f"{len(undone)} faults were still on, {leader} is active")

    async def _drain(self, stack: EmbeddedStack) -> None:
        limit_s = self.loaded.scenario.phases.drain_s
        with self._phase("drain", "waiting for the last answers and the feed") as results:
            *workers, load = [program for program in self.programs if is_load(program)]
            try:
                async with asyncio.timeout(limit_s):
                    if await load.process.wait() != 0:
                        raise RunError(load.failure())
                    for market in (program for program in self.programs if program.name == "the market"):
                        if await stack.terminate(MARKET) != 0:
                            raise RunError(market.failure())
            except TimeoutError:
                raise RunError(
                    f"{load.name} did not end within {duration_text(limit_s)} of its last operation"
                ) from None
            await end_workers(stack, workers)
            await asyncio.to_thread(self._account_for_workers, stack)
            sequence = await self._feed_caught_up(stack, limit_s)
            for beside in self.programs[:_BESIDE]:
                if await beside.process.terminate(within_s=5) != 0:
                    raise RunError(beside.failure())
            results.append(f"everything answered, the feed is at {sequence}")

    def _account_for_workers(self, stack: EmbeddedStack) -> None:
        """What lost workers left unsaid gets its rows, and the events tell how each worker fared."""
        scenario, folder = self.loaded.scenario, self.record.folder
        for worker in crew_report(folder):
            self.record.event("load_worker", **worker)
        schedule = load_schedule(scenario, self.options.seed)
        for lost in complete_lost_shares(folder, schedule, read_target(stack.folder / STATUS_FILE)):
            accepted = scenario.load.on_worker_loss == "degraded"
            self.record.event("load_worker_lost", **asdict(lost), accepted=accepted)
            self.progress.line(f"{lost.node} was lost, {lost.not_offered:,} operations were not offered")

    async def _feed_caught_up(self, stack: EmbeddedStack, limit_s: float) -> int:
        try:
            async with asyncio.timeout(limit_s), PlatformState(stack) as state:
                return await state.feed_caught_up()
        except TimeoutError:
            raise NotRecoveredError(f"the feed did not reach the engine within {duration_text(limit_s)}") from None

    async def _copy(self, stack: EmbeddedStack) -> list[str]:
        async with PlatformState(stack) as state:
            leader = await state.active_engine()
        await dump_engine(stack.base_url(leader), self.record.folder)
        self.record.event("database_servers", servers=await database_servers(stack.postgres))
        rows = await dump_database(stack.postgres_dsn(), self.record.folder)
        operations = await asyncio.to_thread(merge_operations, self.record.folder)
        return [f"{rows['journal']:,} journal records, {operations:,} operations"]

    async def _check(self) -> list[str]:
        from scenarios.checks import run_checks

        results = await asyncio.to_thread(run_checks, Record(self.record.folder))
        return [f"{sum(result.verdict == 'holds' for result in results)} of {len(results)} checks hold"]

    async def _report(self) -> Verdict:
        with self._phase("report", "writing the report"):
            pass  # the report shows this phase, too: it must be over before it is written
        return await asyncio.to_thread(rebuild, self.record.folder)

    # -- around them -------------------------------------------------------------------------------

    @contextmanager
    def _phase(self, name: str, doing: str) -> Iterator[list[str]]:
        """An exception leaves the phase without an end in the record: then the run is INVALID."""
        self.record.event("phase", phase=name, state="started")
        with self.progress.phase(name, doing) as results:
            yield results
            self.record.require_whole()
            self.record.event("phase", phase=name, state="ended")

    @asynccontextmanager
    async def _conducting(self, stack: EmbeddedStack) -> AsyncIterator[Conductor]:
        log = FaultLog(self.record.folder / "faults.jsonl")
        async with Conductor(stack, log, self._on_fault_event) as conductor:
            offer_faults(stack, conductor)
            yield conductor

    @asynccontextmanager
    async def _sampling(self, stack: EmbeddedStack) -> AsyncIterator[None]:
        sampler = Sampler(stack, self.record.folder, self._beside)
        task = asyncio.create_task(sampler.run())
        try:
            yield
        finally:
            await end(task)
            sampler.close()
            if not task.cancelled() and (error := task.exception()):
                raise RunError(f"the metrics could not be sampled: {error}") from error

    def _beside(self) -> dict[str, int]:
        """What belongs to the run and is no node: the machine's time that it takes is not others'."""
        names = ("subscriber:1", "control:1")
        return {"run:1": os.getpid()} | {
            name: program.process.pid for name, program in zip(names, self.programs[:_BESIDE], strict=False)
        }

    async def _stay_up(self, stack: EmbeddedStack) -> None:
        """The run is over and judged: whatever ends this changes nothing in its verdict."""
        self.progress.plain(f"the platform stays up (stack {stack.stack_id}) until Ctrl-C or `elson down`")
        log = FaultLog(stack.folder / "faults.jsonl")
        with suppress(asyncio.CancelledError):
            async with Conductor(stack, log, lambda line: None) as conductor:
                offer_faults(stack, conductor)
                await stack.down_requested.wait()

    def _load_options(self, status: Path) -> LoadOptions:
        scenario = self.loaded.scenario
        return LoadOptions(
            status=status,
            record=self.record.folder,
            seed=self.options.seed,
            rate_per_s=scenario.load.rate_per_s,
            duration_s=scenario.phases.warm_up_s + scenario.phases.measure_s,
            traders=scenario.topology.accounts.count,
            max_in_flight=self.load_max_in_flight,
            profile=PROFILES / f"{scenario.load.profile}.py",
            arrivals=scenario.load.offered,
            shape_from_s=scenario.phases.warm_up_s,
        )

    def _on_stack_event(self, name: str, **details: Any) -> None:
        self.record.note(name, **details)
        if name == "role_changed" and self.measure_from_ns:
            self.progress.line(f"{details['node']} is {details['role']}")

    def _on_fault_event(self, line: dict[str, Any]) -> None:
        self.record.note(**line)
        evidence = line.get("evidence")
        why = line.get("error") or (evidence["summary"] if isinstance(evidence, dict) else "")
        self.progress.line(f"{line['kind']} {line['target']} {line['state']}{f': {why}' if why else ''}")
