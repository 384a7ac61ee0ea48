"""``elson market``, as typed."""

from __future__ import annotations

import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest
import typer

from scenarios.cli import app
from simulator.facts import flow
from simulator.facts.judge import FACTS
from simulator.facts.observed import observe


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


def elson(*arguments: str) -> Done:
    """In this process: the command itself is what is typed."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = app(["market", *arguments], standalone_mode=False)
    return Done(int(code), out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("market") / "run"
    done = elson("run", "flash-crash", "--seed", "1", "--out", str(folder), "--plots", "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert document["books"]["balance"] is True
    assert document["symbols"]["AAA"]["volatility_halts"] >= 1
    return folder


def test_a_run_leaves_tables_a_summary_and_pictures(record: Path) -> None:
    summary = json.loads((record / "summary.json").read_text())
    assert summary["seed"] == 1
    assert summary["books"]["profit_of_all_traders_micros"] == -summary["books"]["fees_micros"]
    page = (record / "plots.html").read_text()
    for part in ("AAA: price and halts", "AAA: spread", "AAA: depth", "AAA: signs"):
        assert part in page


def test_facts_are_told_one_by_one_and_a_crash_does_not_pass_for_an_ordinary_day(record: Path) -> None:
    done = elson("facts", str(record), "--json")
    assert done.code in (1, 3)
    findings = json.loads(done.out, parse_constant=pytest.fail)["AAA"]  # NaN and Infinity are no JSON
    assert [finding["fact"] for finding in findings] == [fact.name for fact in FACTS]
    assert {finding["verdict"] for finding in findings} <= {"pass", "fail", "cannot tell"}
    shown = elson("facts", str(record))
    assert "heavy tails" in shown.out


def test_a_record_lies_with_all_runs_and_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELSON_RUNS", str(tmp_path))
    assert json.loads(elson("run", "thin", "--seed", "4", "--json").out)["record"] == str(tmp_path / "market-thin-4")
    assert "AAA, 1 run" in elson("facts", "market-thin-4").out


def test_only_runs_of_one_day_and_different_seeds_are_judged_together(record: Path, tmp_path: Path) -> None:
    for name, seed in (("flash-crash", 2), ("thin", 1)):
        assert elson("run", name, "--seed", str(seed), "--out", str(tmp_path / name)).code == 0
    again, other_seed, other_day = str(record), str(tmp_path / "flash-crash"), str(tmp_path / "thin")
    twice = elson("facts", str(record), other_seed, again)
    assert (twice.code, twice.err) == (
        2,
        f"elson: {record} and {again} are both of seed 1: they are one run and not two\n",
    )
    days = elson("facts", str(record), other_day)
    assert days.code == 2
    assert f"{other_day} of thin: judge each day alone" in days.err
    assert "AAA, 2 runs" in elson("facts", str(record), other_seed).out


def test_the_level_is_shared_by_all_symbols(tmp_path: Path) -> None:
    assert elson("run", "correlated", "--out", str(tmp_path / "four")).code == 0
    told = json.loads(elson("facts", str(tmp_path / "four"), "--json").out)
    assert len(told) == 4
    seen = observe(tmp_path / "four", "AAA")
    spread = next(finding for finding in told["AAA"] if finding["fact"] == "spread")
    estimate = flow.time_weighted(seen.spreads, seen.spread_durations)
    assert spread["interval"] == pytest.approx(list(estimate.interval(1 - 0.05 / (4 * len(FACTS)))))


def test_wrong_usage_is_one_line_and_exit_code_two(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("title: x\nshows: y\nsymbols: []\n")
    for arguments in (("run", "claim"), ("run", str(bad)), ("facts", str(tmp_path))):
        done = elson(*arguments)
        assert done.code == 2
        assert "Traceback" not in done.err
        assert done.err.startswith("elson: ")
    assert f"{bad}:3: symbols:" in elson("run", str(bad)).err


@pytest.mark.parametrize("option", [("--until", "11:00"), ("--stack", "one")])
def test_what_is_for_a_live_day_alone_is_refused_without_a_speed(option: tuple[str, str]) -> None:
    with pytest.raises(typer.BadParameter, match="only with --speed"):
        elson("run", "thin", *option)


def test_what_the_exchange_refuses_before_the_day_is_one_line_and_exit_code_two(tmp_path: Path) -> None:
    day, slip = tmp_path / "day.yaml", '  - {kind: fat_finger, at: "10:30", side: buy, shares: 8000000}\n'
    head = 'title: x\nshows: y\nsymbols: [{symbol: AAA, price: "100.00"}]\nsessions: {open: "10:00", close: "11:00"}\n'
    traders = "traders: [{kind: noise, arrivals: {kind: poisson, per_s: 1}}]\n"
    day.write_text(f"{head}{traders}happenings:\n{slip * 5_700}")
    done = elson("run", str(day), "--out", str(tmp_path / "run"))
    assert done.code == 2
    assert done.err.startswith("elson: Deposit: ")
    assert len(done.err.splitlines()) == 1


def test_the_days_are_listed_with_what_they_show() -> None:
    done = elson("list")
    assert done.code == 0
    assert "flash-crash" in done.out
    assert "a volatility halt" in done.out
