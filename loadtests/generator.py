"""What a profile makes of Locust: its own options, a loop that starts and ends with the test, an honest exit code."""

from __future__ import annotations

import gc
import logging
import secrets
import sys
from argparse import Namespace
from dataclasses import replace
from math import inf
from pathlib import Path
from time import time_ns
from typing import Any, NoReturn

import gevent
import locust
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from loadtests.arrivals import ArrivalsError, checked, parse_arrivals
from loadtests.crew import Crew, CrewMember
from loadtests.flows import PROFILES, Profile
from loadtests.intended import ScheduleOptions
from loadtests.recorder import announce, described
from loadtests.replay import RecordingError
from loadtests.rows import EndedOperation
from loadtests.shares import Share
from loadtests.target import Target, TargetError, find_target, read_target
from loadtests.traders import LoopOptions, OpenLoop, TraderUser
from loadtests.watchers import Gallery, WatcherUser
from loadtests.workers import Worker
from reports.records import OutcomeKind
from trading.core.orders import NS_PER_S

_WRONG_USAGE = 2
_CREW_DELAY_NS = 5 * NS_PER_S  # until every worker is ready to begin: on a busy machine that takes two


def add_arguments(parser: LocustArgumentParser) -> None:
    group = parser.add_argument_group("elson", "Elson's open loop; the rate is the whole run's")
    group.add_argument("--elson-status", default="", metavar="FILE", help="status of the stack, else the running one")
    group.add_argument("--elson-seed", type=int, default=None, help="seed of the schedule, else a new one")
    group.add_argument("--elson-rate", type=float, default=100.0, help="operations per second")
    group.add_argument(
        "--elson-arrivals", default="", metavar="KIND|JSON", help="when they start, else as the profile has it"
    )
    group.add_argument(
        "--elson-shape-from", type=float, default=0.0, help="seconds until which the rate keeps its first value"
    )
    group.add_argument("--elson-duration", type=float, default=0.0, help="seconds; 0: until stopped")
    group.add_argument("--elson-record", default="", metavar="FOLDER", help="where the last test's record goes")
    group.add_argument(
        "--elson-start-at-ns", type=int, default=0, help="epoch time before which the schedule does not start"
    )
    group.add_argument("--elson-node", default="", metavar="NAME", help="what the record calls this worker")
    group.add_argument("--elson-max-in-flight", type=int, default=512, help="operations under way at once")


def serve_profile(name: str, trader: type[TraderUser], watcher: type[WatcherUser] | None = None) -> None:
    """Makes the locustfile that calls it the profile ``name``."""
    profile = PROFILES[name]
    if watcher is not None and profile.watching is not None:
        watcher.fixed_count = profile.watching.subscribers

    def start(environment: Environment, **_: Any) -> None:
        Generator(environment, trader, profile, watcher)

    hooks: Any = locust.events
    hooks.init_command_line_parser.add_listener(add_arguments)
    hooks.init.add_listener(start)


class Generator:
    """The tests of one Locust process: starts a loop with each, ends it, and the process with a measured one."""

    def __init__(
        self,
        environment: Environment,
        trader: type[TraderUser],
        profile: Profile,
        watcher: type[WatcherUser] | None = None,
    ) -> None:
        """Finds what to trade with; anything wrong with it is wrong usage, and ends the process."""
        options = environment.parsed_options
        assert options is not None
        self._environment = environment
        self._options: Namespace = options
        self._trader = trader
        self._profile, self._watcher = profile, watcher
        self._gallery: Gallery | None = None
        self._target = _target(options, environment.host)
        if profile.mix.login and not self._target.people:
            _wrong_usage("the stack has nobody who could log in")
        if profile.watching and not self._target.feeds:
            _wrong_usage("the stack has no feed to watch")
        _schedule_options(options, profile, self._target)
        self._loop: OpenLoop | None = None
        self._crew: Crew | None = None
        self._member: CrewMember | None = None
        self._given = (options.elson_seed, options.elson_start_at_ns)
        self._failed = False
        hooks: Any = environment.events
        hooks.test_start.add_listener(self._start)
        hooks.test_stop.add_listener(self._stop)
        hooks.quitting.add_listener(self._quit)
        self._join()

    def _join(self, **_: Any) -> None:
        match self._environment.runner:
            case MasterRunner() as runner:
                self._crew = Crew(runner, self._crew_is_over)
            case WorkerRunner() as runner:
                self._member = CrewMember(runner, self._options.elson_node)
            case _:
                pass

    def _start(self, **_: Any) -> None:
        try:
            if self._crew is not None:
                self._start_crew(self._crew)
            else:
                self._start_loop(self._member.share(self._options.elson_roster) if self._member else Share())
        except (OSError, RecordingError, ValueError) as error:
            what = {RecordingError: "the market cannot be replayed", ValueError: "too late to have a share"}
            self._fail(f"{what.get(type(error), 'no record can be written')}: {error}")
            gevent.spawn(self._end_test)

    def _start_crew(self, crew: Crew) -> None:
        """What a worker needs to know goes with the options that Locust sends it."""
        options = self._options
        options.elson_seed, options.elson_start_at_ns = self._given
        schedule = _schedule_options(options, self._profile, self._target)
        options.elson_seed, record = schedule.seed, _record_folder(options)
        described_schedule: dict[str, object] = {}
        if record is not None:
            record.mkdir(parents=True, exist_ok=True)
            described_schedule = described(schedule)
        options.elson_roster = crew.muster(record)
        options.elson_start_at_ns = max(options.elson_start_at_ns, time_ns() + _CREW_DELAY_NS)
        if record is not None:
            announce(record, options.elson_start_at_ns, described_schedule)
        logging.getLogger(__name__).info("seed %d, %d workers", schedule.seed, len(options.elson_roster))

    def _start_loop(self, share: Share) -> None:
        options = LoopOptions(
            schedule=_schedule_options(self._options, self._profile, self._target),
            share=share,
            start_at_ns=self._options.elson_start_at_ns,
            crewed=self._member is not None,
            max_in_flight=self._options.elson_max_in_flight,
            record=_record_folder(self._options),
        )
        logging.getLogger(__name__).info("seed %d", options.schedule.seed)
        gc.collect()
        gc.freeze()  # what is loaded by now stays: each look through it would hold up every operation for 70 ms
        self._trader.loop = self._loop = OpenLoop(options, self._target, self._report)
        if self._watcher is not None and self._profile.watching is not None:
            self._gallery = Gallery(self._target, self._profile.watching, self._environment, options.record, share)
            self._watcher.gallery = self._gallery
        gevent.spawn(self._await_end, self._loop)

    def _stop(self, **_: Any) -> None:
        loop, self._loop = self._loop, None
        try:
            if loop is not None:
                loop.close()
            if self._gallery is not None:
                self._gallery.write()
                self._gallery = None
            if self._crew is not None:
                self._crew.dismiss()
        except OSError as error:
            self._fail(f"the record is not complete: {error}")

    def _quit(self, **_: Any) -> None:
        """The verdict is made elsewhere, from the record: refused requests are no failure of the generator."""
        self._stop()
        self._environment.process_exit_code = 1 if self._failed else 0

    def _fail(self, message: str) -> None:
        self._failed = True
        sys.stderr.write(f"load: {message}\n")

    def _await_end(self, loop: OpenLoop) -> None:
        loop.over.wait()
        if loop.failure is not None:
            self._fail(f"ended early: {loop.failure}")
        if loop is not self._loop:
            return
        if self._member is None:
            self._end_test()
            return
        self._stop()  # first the record: the master may end this process as soon as it knows
        self._member.is_over(None if loop.failure is None else str(loop.failure))

    def _crew_is_over(self, workers: list[Worker]) -> None:
        for worker in workers:
            if worker.failure is not None:
                self._fail(f"{worker.node or worker.worker} ended early: {worker.failure}")
            if worker.state == "lost":
                sys.stderr.write(f"load: {worker.node or worker.worker} was lost\n")
        self._end_test()

    def _end_test(self) -> None:
        runner = self._environment.runner
        assert runner is not None
        if self._environment.web_ui is None:
            runner.quit()
        else:
            runner.stop()

    def _report(self, ended: EndedOperation) -> None:
        """Locust's own statistics: response time from the intended start, in milliseconds."""
        hooks: Any = self._environment.events
        operation = ended.operation
        hooks.request.fire(
            request_type=operation.kind.upper(),
            name=operation.order_type or operation.kind,
            response_time=((ended.done_ns or time_ns()) - ended.intended_ns) / 1e6,
            response_length=len(ended.answer),
            exception=None if ended.outcome is OutcomeKind.OK else _NotOkError(ended),
            context={},
        )


class _NotOkError(Exception):
    """An operation that was refused or whose outcome is unknown, as Locust's table of failures shows it."""

    def __init__(self, ended: EndedOperation) -> None:
        super().__init__(f"{ended.outcome}: {ended.http_status or ended.answer.decode(errors='replace')}")

    def __repr__(self) -> str:
        return str(self)


def _record_folder(options: Namespace) -> Path | None:
    return Path(options.elson_record) if options.elson_record else None


def _schedule_options(options: Namespace, profile: Profile, target: Target) -> ScheduleOptions:
    try:
        arrivals = parse_arrivals(options.elson_arrivals) if options.elson_arrivals else profile.arrivals
        checked(arrivals, options.elson_rate)
    except ArrivalsError as error:
        _wrong_usage(str(error))
    return ScheduleOptions(
        seed=secrets.randbits(32) if options.elson_seed is None else options.elson_seed,
        accounts=len(target.accounts),
        symbols=tuple(target.instruments),
        rate_per_s=options.elson_rate,
        duration_s=options.elson_duration if options.elson_duration > 0 else inf,
        arrivals=arrivals,
        shape_from_s=options.elson_shape_from,
        mix=profile.mix,
        min_age_s=profile.min_age_s,
    )


def _target(options: Namespace, host: str | None) -> Target:
    try:
        target = read_target(Path(options.elson_status)) if options.elson_status else find_target(host)
        if host:
            target = replace(target, apis=(host.rstrip("/"),))
        return target
    except TargetError as error:
        _wrong_usage(str(error))


def _wrong_usage(message: str) -> NoReturn:
    sys.stderr.write(f"load: {message}\n")
    sys.exit(_WRONG_USAGE)
