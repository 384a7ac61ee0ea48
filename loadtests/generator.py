"""What a profile makes of Locust: its own options, a loop that starts and ends with the test, an honest exit code."""

from __future__ import annotations

import logging
import secrets
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from time import time_ns
from typing import Any, NoReturn

import gevent
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

from loadtests.schedule import Mix, ScheduleOptions
from loadtests.target import Target, TargetError, find_target, read_target
from loadtests.traders import LoopOptions, OpenLoop, TraderUser
from reports.records import OutcomeKind
from reports.rows import Operation

_ENDLESS_WINDOW_S = 10.0
_WRONG_USAGE = 2


def add_arguments(parser: LocustArgumentParser) -> None:
    group = parser.add_argument_group("elson", "Elson's open loop; the rate is the whole run's")
    group.add_argument("--elson-status", default="", metavar="FILE", help="status of the stack, else the running one")
    group.add_argument("--elson-seed", type=int, default=None, help="seed of the schedule, else a new one")
    group.add_argument("--elson-rate", type=float, default=100.0, help="operations per second")
    group.add_argument("--elson-duration", type=float, default=0.0, help="seconds; 0: until stopped")
    group.add_argument("--elson-record", default="", metavar="FOLDER", help="where the last test's record goes")
    group.add_argument(
        "--elson-start-at-ns", type=int, default=0, help="epoch time before which the schedule does not start"
    )
    group.add_argument("--elson-max-in-flight", type=int, default=512, help="operations under way at once")


class Generator:
    """The tests of one Locust process: starts a loop with each, ends it, and the process with a measured one."""

    def __init__(self, environment: Environment, trader: type[TraderUser], mix: Mix) -> None:
        """Finds what to trade with; anything wrong with it is wrong usage, and ends the process."""
        options = environment.parsed_options
        assert options is not None
        self._environment = environment
        self._options: Namespace = options
        self._trader = trader
        self._mix = mix
        self._target = _target(options, environment.host)
        self._loop: OpenLoop | None = None
        self._failed = False
        hooks: Any = environment.events
        hooks.test_start.add_listener(self._start)
        hooks.test_stop.add_listener(self._stop)
        hooks.quitting.add_listener(self._quit)

    def _start(self, **_: Any) -> None:
        options = self._loop_options()
        logging.getLogger(__name__).info("seed %d", options.schedule.seed)
        try:
            self._trader.loop = self._loop = OpenLoop(options, self._target, self._report)
        except OSError as error:
            self._fail(f"no record can be written: {error}")
            gevent.spawn(self._end_test)
        else:
            gevent.spawn(self._await_end, self._loop)

    def _stop(self, **_: Any) -> None:
        loop, self._loop = self._loop, None
        if loop is not None:
            try:
                loop.close()
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
        if loop is self._loop:
            self._end_test()

    def _end_test(self) -> None:
        runner = self._environment.runner
        assert runner is not None
        if self._environment.web_ui is None:
            runner.quit()
        else:
            runner.stop()

    def _loop_options(self) -> LoopOptions:
        options, runner = self._options, self._environment.runner
        assert runner is not None
        endless = options.elson_duration <= 0
        return LoopOptions(
            schedule=ScheduleOptions(
                seed=secrets.randbits(32) if options.elson_seed is None else options.elson_seed,
                accounts=len(self._target.accounts),
                symbols=tuple(self._target.instruments),
                rate_per_s=options.elson_rate,
                duration_s=_ENDLESS_WINDOW_S if endless else options.elson_duration,
                mix=self._mix,
            ),
            traders=max(1, runner.target_user_count),
            start_at_ns=options.elson_start_at_ns,
            endless=endless,
            max_in_flight=options.elson_max_in_flight,
            record=Path(options.elson_record) if options.elson_record else None,
        )

    def _report(self, operation: Operation) -> None:
        """Locust's own statistics: response time from the intended start, in milliseconds."""
        hooks: Any = self._environment.events
        hooks.request.fire(
            request_type=operation.kind.upper(),
            name=operation.order_type or operation.kind,
            response_time=((operation.done_ns or time_ns()) - operation.intended_ns) / 1e6,
            response_length=len(operation.answer or ""),
            exception=None if operation.outcome == OutcomeKind.OK else _NotOkError(operation),
            context={},
        )


class _NotOkError(Exception):
    """An operation that was refused or whose outcome is unknown, as Locust's table of failures shows it."""

    def __init__(self, operation: Operation) -> None:
        super().__init__(f"{operation.outcome}: {operation.http_status or operation.answer}")

    def __repr__(self) -> str:
        return str(self)


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
