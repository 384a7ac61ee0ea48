"""Samples every node once a second: its own metrics, and what its processes take of the machine.

Beside the nodes the run's other processes (its own, the feed's subscriber, the positive control), and the machine: how
busy it is, what its host steals, and whether its clock runs evenly.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

import aiohttp
import psutil
from prometheus_client.parser import text_string_to_metric_families

from reports.node_metrics import MACHINE
from reports.records import METRICS, TableWriter
from scenarios.proc import Usage, usage_of
from scenarios.servers import ServerSamples
from stack.embedded import EmbeddedStack
from stack.topology import Role

_PERIOD_S: Final = 1.0
_ANSWER_LIMIT: Final = aiohttp.ClientTimeout(total=0.8)
_WITH_METRICS: Final = (Role.ENGINE, Role.API, Role.FEED)
_PREFIXES: Final = ("engine_", "api_", "feed_")
_LEFT_OUT: Final = "_created"
# Metric, the field of Usage that it is the rate of, and its unit: shares are in per cent of one core.
_RATES: Final = (
    ("cpu_percent", "cpu_s", 100.0),
    ("run_queue_wait_percent", "waited_s", 100.0),
    ("voluntary_switches_per_s", "voluntary_switches", 1.0),
    ("involuntary_switches_per_s", "involuntary_switches", 1.0),
)

Started = dict[int, list[int]]  # process ids, by that of who started them


class Sampler:
    """Runs until cancelled; ``close`` finishes metrics.parquet."""

    def __init__(self, stack: EmbeddedStack, folder: Path, beside: Callable[[], Mapping[str, int]] = dict) -> None:
        """``beside``: process ids, by name, of what belongs to the run and is no node."""
        self._stack = stack
        self._beside = beside
        self._machine = Machine()
        self._writer = TableWriter(folder / "metrics", METRICS)
        self._servers = ServerSamples(stack)
        self._used: dict[tuple[str, int], tuple[float, Usage]] = {}  # (node, pid) -> (when, what until then)

    async def run(self) -> None:
        async with aiohttp.ClientSession(timeout=_ANSWER_LIMIT) as session, aclosing(self._servers):
            due = time.monotonic()
            while True:
                started = started_processes()
                nodes = self._stack.topology.nodes
                await asyncio.gather(*(self._sample(session, node.name, started) for node in nodes))
                for name, pid in self._beside().items():
                    self._sample_usage(name, pid, started)
                for metric, value in self._machine.sample().items():
                    self._add(MACHINE, metric, "", value)
                due = max(due + _PERIOD_S, time.monotonic())
                await asyncio.sleep(due - time.monotonic())

    def close(self) -> None:
        self._writer.close()

    async def _sample(self, session: aiohttp.ClientSession, name: str, started: Started) -> None:
        status = self._stack.node(name)
        if status.pid is None:
            return
        self._sample_usage(name, status.pid, started)
        if Role(name.partition(":")[0]) in _WITH_METRICS:
            for metric, labels, value in _parsed(await _scrape(session, self._stack.base_url(name))):
                self._add(name, metric, labels, value)
        for metric, labels, value in await self._servers.of(name):
            self._add(name, metric, labels, value)

    def _sample_usage(self, name: str, pid: int, started: Started) -> None:
        """Of the node's process and all it forked; what this process started is sampled under names of its own."""
        family = [pid, *(() if pid == os.getpid() else descendants(started, pid))]
        now_s, used = time.monotonic(), Usage()
        for number, member in enumerate(family):
            try:
                used += usage_of(member)
            except (ProcessLookupError, PermissionError):
                if number == 0:
                    return
        self._add(name, "rss_bytes", "", used.rss_bytes)
        self._add(name, "threads", "", used.threads)
        self._add(name, "open_files", "", used.open_files)
        before_s, before = self._used.get((name, pid), (now_s, used))
        self._used[name, pid] = (now_s, used)
        for metric, field, factor in _RATES if now_s > before_s else ():
            # A child that ended meanwhile takes its past with it: then less than nothing seems used.
            more = max(0.0, getattr(used, field) - getattr(before, field))
            self._add(name, metric, "", round(factor * more / (now_s - before_s), 2))

    def _add(self, node: str, metric: str, labels: str, value: float) -> None:
        row: dict[str, Any] = {
            "at_ns": time.time_ns(),
            "node": node,
            "metric": metric,
            "labels": labels,
            "value": value,
        }
        self._writer.add(row)


def started_processes() -> Started:
    """What this process started, and what that forked, by parent: one walk through the processes, not one a node."""
    started: Started = defaultdict(list)
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            started[process.ppid()].append(process.pid)
    return started


def descendants(started: Started, pid: int) -> Iterator[int]:
    for child in started.get(pid, ()):
        yield child
        yield from descendants(started, child)


class Machine:
    """The whole machine since the sample before, in per cent of one core, and its clock against the steady one."""

    def __init__(self) -> None:
        self._times = psutil.cpu_times()
        self._sampled_s = time.monotonic()
        self._epoch_ns = time.time_ns() - time.monotonic_ns()

    def sample(self) -> dict[str, float]:
        times, now_s = psutil.cpu_times(), time.monotonic()
        drift_ns = time.time_ns() - time.monotonic_ns() - self._epoch_ns
        before, elapsed_s = self._times, max(now_s - self._sampled_s, 1e-3)
        self._times, self._sampled_s = times, now_s
        busy_s = sum(getattr(times, name) - getattr(before, name) for name in ("user", "nice", "system"))
        stolen_s = getattr(times, "steal", 0.0) - getattr(before, "steal", 0.0)
        return {
            "busy_percent": round(100 * busy_s / elapsed_s, 2),
            "steal_percent": round(100 * stolen_s / elapsed_s, 2),
            "load_average": os.getloadavg()[0],
            "clock_drift_ms": drift_ns / 1e6,
        }


async def _scrape(session: aiohttp.ClientSession, url: str) -> str:
    """The node's metrics; "" when it does not answer, as one that was killed or frozen."""
    try:
        async with session.get(f"{url}/metrics") as answer:
            return await answer.text() if answer.status == 200 else ""
    except (aiohttp.ClientError, OSError, TimeoutError):
        return ""


def _parsed(text: str) -> Iterator[tuple[str, str, float]]:
    # Sums and counts give rates and means; buckets are most of the text, and parsing it is most of the work.
    lines = (line for line in text.splitlines(keepends=True) if "_bucket{" not in line)
    for family in text_string_to_metric_families("".join(lines)):
        if family.name.startswith(_PREFIXES):
            for sample in family.samples:
                if not sample.name.endswith(_LEFT_OUT):
                    labels = ",".join(f'{key}="{value}"' for key, value in sorted(sample.labels.items()))
                    yield sample.name, labels, sample.value
