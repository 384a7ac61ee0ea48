"""A frozen server: the percentile that is told is the one that every client would have felt."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.tests.frozen import Freeze, analytic_p99_s, frozen_options, recorded_p99_s
from loadtests.tests.order_server import OrderServer
from loadtests.tests.runs import run

DURATION_S = 10.0


def test_the_p99_of_a_run_in_which_the_server_froze_is_the_analytic_one(tmp_path: Path) -> None:
    with OrderServer(freeze := Freeze()) as server:
        options = frozen_options(tmp_path, server.url, DURATION_S)
        rows = run(options)
    assert rows.num_rows == 200
    response_s, service_s = recorded_p99_s(options.record)
    assert response_s == pytest.approx(analytic_p99_s(freeze, DURATION_S), rel=0.01)
    # The generator was in time, so that its requests waited at the server and not in the generator.
    assert service_s == pytest.approx(response_s, rel=0.01)
