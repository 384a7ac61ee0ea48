from __future__ import annotations

from pathlib import Path

import pytest

from reports.bench import find_benchmarks, main, run_benchmark

MEASURES = """
if __name__ == "__main__":
    print("warming up")
    print('{"name": "a", "value": 2e6, "unit": "orders/s"%s}')
"""


@pytest.fixture
def benchmarks(tmp_path: Path) -> Path:
    folder = tmp_path / "platform" / "benchmarks"
    folder.mkdir(parents=True)
    (folder / "shared.py").write_text("def rounds(): ...\n")
    (folder / "matching.py").write_text(MEASURES % ', "goal": 3e6, "met": false, "ratios": {"peer": 1.5}, "rounds": 3')
    return folder


def test_only_scripts_that_can_be_run_are_benchmarks(benchmarks: Path, tmp_path: Path) -> None:
    assert [path.name for path in find_benchmarks(tmp_path)] == ["matching.py"]


def test_a_missed_goal_is_shown_and_is_no_error(
    benchmarks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(tmp_path) == 0
    shown = capsys.readouterr().out
    assert "2,000,000 orders/s" in shown
    assert "missed" in shown
    assert "1.50 x peer" in shown


def test_a_crash_is_an_error_that_names_its_cause(
    benchmarks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (benchmarks / "broken.py").write_text('if __name__ == "__main__":\n    raise RuntimeError("no peer")\n')
    assert main(tmp_path) == 1
    shown = capsys.readouterr().out
    assert "no peer" in shown
    assert "2,000,000" in shown


def test_a_benchmark_that_prints_no_measurement_has_failed(benchmarks: Path) -> None:
    script = benchmarks / "silent.py"
    script.write_text('if __name__ == "__main__":\n    print("done")\n')
    assert "no measurement" in run_benchmark(script).problem


def test_a_benchmark_that_does_not_end_is_stopped(benchmarks: Path) -> None:
    script = benchmarks / "endless.py"
    script.write_text('if __name__ == "__main__":\n    while True:\n        pass\n')
    assert "not done after 0.5 s" in run_benchmark(script, limit_s=0.5).problem
