"""A server that stands still for a while, and what every client would have felt, worked out on paper."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from time import sleep, time_ns

import numpy as np
import numpy.typing as npt

from loadtests.arrivals import Constant
from loadtests.command import LoadOptions
from loadtests.tests.order_server import Reply, Request, accept
from loadtests.tests.runs import load_options
from reports.records import read_table
from trading.core.orders import NS_PER_S

RATE_PER_S = 20.0
FREEZE_S = 5.0
FREEZE_AFTER_S = 2.0


@dataclass(slots=True)
class Freeze:
    """Once, some time after its first request, the whole server stands still; nothing is lost, all of it waits."""

    after_s: float = FREEZE_AFTER_S
    seconds: float = FREEZE_S
    first_ns: int = field(default=0, init=False)
    lasted_s: float = field(default=0.0, init=False)

    async def __call__(self, request: Request) -> Reply:
        self.first_ns = self.first_ns or time_ns()
        if not self.lasted_s and time_ns() - self.first_ns > self.after_s * NS_PER_S:
            began_ns = time_ns()
            sleep(self.seconds)  # noqa: ASYNC251 (that nothing else is served meanwhile is the point)
            self.lasted_s = (time_ns() - began_ns) / NS_PER_S
        return await accept(request)


def analytic_p99_s(freeze: Freeze, duration_s: float) -> float:
    """Evenly spaced arrivals meet the freeze with every wait from all of it to nothing, each as often; a hundredth of
    all arrivals waited longer than the 99th percentile."""
    return freeze.lasted_s - 0.01 * duration_s


def frozen_options(folder: Path, url: str, duration_s: float) -> LoadOptions:
    options = load_options(folder, [url], rate_per_s=RATE_PER_S, duration_s=duration_s)
    return replace(options, arrivals=Constant())


def recorded_p99_s(record: Path) -> tuple[float, float]:
    """Response time, from the intended start, and service time, from the send: both are in the record."""
    rows = read_table(record, "operations-load").to_pandas()
    response_s, service_s = ((rows.done_ns - since).to_numpy() / NS_PER_S for since in (rows.intended_ns, rows.sent_ns))
    return _p99(response_s), _p99(service_s)


def _p99(values: npt.NDArray[np.float64]) -> float:
    return float(np.quantile(values, 0.99, method="inverted_cdf"))
