"""A bad scenario file is refused before anything starts, with the file, the line and the key of what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.comparison import MIN_RUNS
from scenarios.documents import ScenarioError
from scenarios.library import UnknownScenarioError, find_scenario, scenario_names
from scenarios.loader import load_scenario
from scenarios.schedule import fault_schedule, fault_schedule_digest

GOOD = """\
title: A run
seed: 3
topology:
  instruments:
    - {symbol: AAA, tick: "0.01", reference_price: "100.00"}
  accounts: {count: 2, cash: "1000", shares: 10}
  proxied: [engine->postgres]
load:
  profile: trading_day
  rate_per_s: 10
phases:
  warm_up: 2 s
  measure: 10 s
faults:
  - at: 2 s
    kind: latency
    target: engine->postgres
    value: 150 ms
    for: 5 s
objectives:
  - {objective: outage_ms, max: 1000}
"""

_PRICE = 'reference_price: "100.00"'


def _with_term(term: str) -> tuple[str, str]:
    return _PRICE, f"{_PRICE}, {term}"


def _in_load(given: str, *complaints: str) -> tuple[str, str, list[str]]:
    return "rate_per_s: 10", f"rate_per_s: 10\n  {given}", list(complaints)


def _objective(rest: str) -> tuple[str, str]:
    return "outage_ms, max: 1000", rest


WRONG = [
    ("value: 150 ms", "valeu: 150 ms", ["18: faults[0].valeu: unknown key; did you mean 'value'?"]),
    ("title: A run", "titel: A run", ["1: title: is missing", "1: titel: unknown key; did you mean 'title'?"]),
    ("warm_up: 2 s", "warm_up: 2 parsecs", ["12: phases.warm_up: '2 parsecs' is no duration"]),
    ("warm_up: 2 s", "warm_up: 2", ["12: phases.warm_up: 2 is no duration: write it with its unit"]),
    ("warm_up: 2 s", "warm_up: 0 s", ["12: phases.warm_up: 0 s: expected 1 s to 24 h"]),
    ("warm_up: 2 s", "warm_up: 2 s\n  warm_up: 3 s", ["13: phases.warm_up: is given twice"]),
    ("kind: latency", "kind: latncy", ["16: faults[0].kind: unknown fault 'latncy'; there are latency, cut"]),
    ("target: engine->postgres", "target: engine->vault", ["17: faults[0].target: no link matches 'engine->vault'"]),
    ("target: engine->postgres", "target: engine->redis", ["17: faults[0].target: engine:1->redis:1"]),
    ("value: 150 ms", "value: soon", ["18: faults[0].value: latency needs a delay"]),
    ("value: 150 ms", "value: 150", ["18: faults[0].value: expected text, got 150"]),
    ("for: 5 s", "for: good", ["19: faults[0].for: latency cannot be for good"]),
    ("    for: 5 s\n", "", ["15: faults[0].for: is missing"]),
    ("for: 5 s", "for: 11 min", ["19: faults[0].for: a fault lasts", "15: faults[0].at: it would last beyond"]),
    ("at: 2 s", "at: 8 s", ["15: faults[0].at: it would last beyond the measured phase of 10 s"]),
    ("at: 2 s", "at: 2 s\n    spread: 3 s", ["16: faults[0].spread: 3 s would let it start before"]),
    ("[engine->postgres]", "[engine->pg]", ["7: topology.proxied[0]: no link matches 'engine->pg'"]),
    ("[engine->postgres]", "[postgres]", ["7: topology.proxied[0]: 'postgres' is no link"]),
    ("[engine->postgres]", '[engine->postgres]\n  small_disk: "postgres:1"', []),
    (
        "[engine->postgres]",
        "[engine->postgres]\n  small_disk: redis:1",
        ["8: topology.small_disk: should be 'postgres:1' or 'postgres:2'"],
    ),
    (
        "latency\n    target: engine->postgres\n    value: 150 ms",
        "disk_full\n    target: postgres:1",
        ["17: faults[0].target: no server has"],
    ),
    ("rate_per_s: 10", "rate_per_s: ten", ["10: load.rate_per_s: expected a number, got 'ten'"]),
    ("rate_per_s: 10", "rate_per_s: .nan", ["10: load.rate_per_s: expected a finite number, got nan"]),
    ("rate_per_s: 10", "rate_per_s: true", ["10: load.rate_per_s: expected a number, got True"]),
    ("rate_per_s: 10", "rate_per_s: -1", ["10: load.rate_per_s: should be greater than 0"]),
    (*_objective("outage_ms, min: 1000"), ["21: objectives[0].min: objective outage_ms: takes max, not min"]),
    (*_objective("latency_p99_ms, max: +10 %"), ["21: objectives[0].max: objective latency_p99_ms: max +10 % is a"]),
    (*_objective("latency_p99_ms, max: 10 %, baseline: b"), ["21: objectives[0].max: objective latency_p99_ms: max m"]),
    (*_objective("latency_p99_ms, max: +10 %, baseline: before"), []),
    (*_objective("latency_p90_ms, max: 9, operation: cancel"), []),
    (*_objective("goodput_per_s, min: 5"), []),
    (*_objective("outage_ms, max: 5, success_bar: 2"), ["21: objectives[0].success_bar: objective outage_ms: suc"]),
    ("seed: 3", "seed: 3\nrepeats: 0", ["3: repeats: should be greater than or equal to 1"]),
    ("profile: trading_day", "profile: trading_dya", ["9: load.profile: no load profile 'trading_dya'; there are"]),
    _in_load("workers: 0", "11: load.workers: should be greater than or equal to 1"),
    _in_load("on_worker_loss: cry", "11: load.on_worker_loss: should be 'invalid' or 'degraded'"),
    _in_load("arrivals: fractal", "11: load.arrivals.kind: unknown arrivals 'fractal'; there are constant, poisson"),
    _in_load("arrivals: ramp", "11: load.arrivals: ramp arrivals need 'over'", "11: load.arrivals: ramp arrivals need"),
    _in_load("arrivals: {kind: step, to_per_s: 5}", "11: load.arrivals: step arrivals need 'at'"),
    _in_load("arrivals: {kind: step, to_per_s: 5, at: 2}", "11: load.arrivals.at: 2 is no duration"),
    _in_load("arrivals:\n    kind: constant\n    at: 2 s", "13: load.arrivals.at: constant arrivals do not take it"),
    _in_load("arrivals:\n    kind: ramp\n    topersec: 5", "13: load.arrivals.topersec: unknown key; did you mean"),
    _in_load("arrivals: {kind: ramp, to_per_s: -5, over: 2 s}", "11: load.arrivals.to_per_s: -5 is too small"),
    _in_load("arrivals: {kind: ramp, to_per_s: 5, over: 0 s}", "11: load.arrivals.over: 0 is too small"),
    _in_load("arrivals: {kind: sine, amplitude_per_s: 11, period: 2 s}", "11: load.arrivals.amplitude_per_s: 11 would"),
    _in_load("arrivals: {kind: hawkes, branching: 1.0, decay_per_s: 1}", "11: load.arrivals.branching: each arrival"),
    _in_load("arrivals: {kind: replay, recording: /none}", "11: load.arrivals.recording: /none: not a recorded day"),
    ("seed: 3", "seed: 3.5", ["2: seed: expected a whole number, got 3.5"]),
    ("seed: 3", "seed: true", ["2: seed: expected a whole number, got True"]),
    ('"0.01"', "0.01", ["5: topology.instruments[0].tick: 0.01 must be quoted"]),
    ('"100.00"', '"1e999999"', ["5: topology.instruments[0].reference_price: '1e999999': expected more than 0"]),
    ('"100.00"', '"2000000"', ["5: topology.instruments[0].reference_price: should be less than or equal to"]),
    ('"100.00"', '"cheap"', ["5: topology.instruments[0].reference_price: 'cheap' is no amount of dollars"]),
    ('"100.00"', '"NaN"', ["5: topology.instruments[0].reference_price: 'NaN': expected more than 0"]),
    ('"100.00"', '"0.0000001"', ["5: topology.instruments[0].reference_price: '0.0000001': expected more than 0"]),
    ('"100.00"', '"100.005"', ["5: topology.instruments[0]: reference_price must be a multiple of tick"]),
    ('tick: "0.01"', 'tick: "0.03"', ["5: topology.instruments[0]: tick must divide a dollar"]),
    (*_with_term('sub_dollar_tick: "0.0001"'), []),
    (*_with_term('sub_dollar_tick: "0.003"'), ["5: topology.instruments[0]: sub_dollar_tick must divide tick"]),
    (*_with_term("lot: 100, collar: 15 %, band: 0.5 %, halt: 2 s, shortable: true, fractionable: true"), []),
    (*_with_term("lot: 0.5"), ["5: topology.instruments[0].lot: expected a whole number, got 0.5"]),
    (*_with_term("lot: 0"), ["5: topology.instruments[0].lot: should be greater than or equal to 1"]),
    (
        *_with_term("collar: 15"),
        ["5: topology.instruments[0].collar: 15 is no percentage: write it with its sign, as in 10 %"],
    ),
    (*_with_term("collar: 0 %"), ["5: topology.instruments[0].collar: should be greater than or equal to 1"]),
    (*_with_term("band: many %"), ["5: topology.instruments[0].band: 'many %' is no percentage"]),
    (*_with_term("band: -1 %"), ["5: topology.instruments[0].band: '-1 %': expected 0 % to 100 %"]),
    (*_with_term("band: 101 %"), ["5: topology.instruments[0].band: '101 %': expected 0 % to 100 %"]),
    (*_with_term("band: nan %"), ["5: topology.instruments[0].band: 'nan %': expected 0 % to 100 %"]),
    (*_with_term("band: 0.00001 %"), ["5: topology.instruments[0].band: '0.00001 %': expected 0 % to 100 %"]),
    (*_with_term("halt: 5"), ["5: topology.instruments[0].halt: 5 is no duration: write it with its unit"]),
    (*_with_term("halt: 25 h"), ["5: topology.instruments[0].halt: should be less than or equal to 86400"]),
    (*_with_term("shortable: 1"), ["5: topology.instruments[0].shortable: expected true or false, got 1"]),
    (*_with_term("colar: 15 %"), ["5: topology.instruments[0].colar: unknown key; did you mean 'collar'?"]),
    ("shares: 10", "shares: 10, margin: true", []),
    ("shares: 10", "shares: 10, margin: 2", ["6: topology.accounts.margin: expected true or false, got 2"]),
    (_PRICE, 'reference_price: "0.0105", sub_dollar_tick: "0.0005"', []),
    (_PRICE, 'reference_price: "0.0105"', ["5: topology.instruments[0]: reference_price must be a multiple of tick"]),
    ("symbol: AAA", "symbol: aaa", ["5: topology.instruments[0].symbol: "]),
    ("objective: outage_ms", "objective: outrage_ms", ["21: objectives[0].objective: unknown objective 'outrage_ms'"]),
    (
        "max: 1000",
        "max: 1000, scope: kill",
        ["21: objectives[0].scope: no fault is planned as 'kill'; there are all, 1-l"],
    ),
    ("max: 1000", "max: 1000, scope: all", []),
    ("max: 1000", "max: 1000, scope: latency", []),
    ("max: 1000", "max: 1000, scope: 1-latency", []),
    ("max: 1000", "max: 1000, scope: engine->postgres", []),
    (
        "outage_ms, max: 1000",
        "checks, max: 0, scope: all",
        ["21: objectives[0].scope: objective checks: takes no scope"],
    ),
    ("max: 1000", "max: -1", ["21: objectives[0].max: objective outage_ms: max must be a number of at least 0"]),
    ("seed: 3", "seed: [3", ["3: not valid YAML"]),
    ("seed: 3", "seed: 2024-13-41", ["2: not valid YAML: month must be in 1..12"]),
    ("accounts: {", "accounts: &a {", []),
    ("seed: 3", "seed: &s 3\nmarket: *s", ["2: not valid YAML: anchors and aliases are not used here"]),
    ("seed: 3", "? [seed]\n: 3", ["2: not valid YAML: a key must be a single word"]),
    ("seed: 3", "seed: !!python/name:os.system 3", ["2: not valid YAML: could not determine a constructor"]),
]


@pytest.mark.parametrize(("right", "wrong", "expected"), WRONG, ids=[wrong for _, wrong, _ in WRONG])
def test_a_mistake_is_named_with_its_line_and_key(tmp_path: Path, right: str, wrong: str, expected: list[str]) -> None:
    assert GOOD.count(right) >= 1
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD.replace(right, wrong, 1))
    if not expected:  # harmless
        load_scenario(path)
        return
    with pytest.raises(ScenarioError) as error:
        load_scenario(path)
    lines = str(error.value).splitlines()
    assert len(lines) == len(expected)
    for line, start in zip(lines, expected, strict=True):
        assert line.startswith(f"{path}:{start}")


@pytest.mark.parametrize("text", ["", "just words", "- a\n- b", "\t", "a: *b", "\0", "é: 1", "a: " + "[" * 3000])
def test_what_is_no_scenario_at_all_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ScenarioError, match=f"^{path}:1: "):
        load_scenario(path)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "absent.yaml", tmp_path / "binary.yaml", tmp_path):
        with pytest.raises(ScenarioError, match="cannot be read"):
            load_scenario(path)


def test_an_unknown_name_is_refused_with_the_nearest_ones() -> None:
    with pytest.raises(UnknownScenarioError, match=r"unknown scenario 'quickstrat': did you mean quickstart\?"):
        find_scenario("quickstrat")
    with pytest.raises(UnknownScenarioError, match=r"there are .*quickstart, .*smoke"):
        find_scenario("xyz")


def test_a_scenario_in_a_subfolder_is_named_with_it() -> None:
    for name in ("failover/redis-primary-kill", "failover/redis-primary-freeze"):
        loaded = load_scenario(find_scenario(name))
        assert (loaded.name, loaded.scenario.faults[0].target) == (name, "redis:primary")
        assert name in scenario_names()
    with pytest.raises(UnknownScenarioError, match="did you mean failover/redis-primary-kill"):
        find_scenario("failover/redis-primary-kil")


def test_every_scenario_of_the_catalogue_loads_and_says_what_it_proves() -> None:
    assert {"quickstart", "smoke"} <= set(scenario_names())
    for name in scenario_names():
        loaded = load_scenario(find_scenario(name))
        assert loaded.name == name
        assert loaded.scenario.proves


def test_every_scenario_of_the_catalogue_that_compares_runs_has_enough_of_them_to_tell() -> None:
    scenarios = [load_scenario(find_scenario(name)).scenario for name in scenario_names()]
    comparing = [each for each in scenarios if any(objective.baseline for objective in each.objectives)]
    assert comparing
    assert min(each.repeats for each in comparing) >= MIN_RUNS


def test_the_same_seed_gives_the_same_faults_and_another_seed_others() -> None:
    scenario = load_scenario(find_scenario("quickstart")).scenario
    assert fault_schedule(scenario, 7) == fault_schedule(scenario, 7)
    digests = {fault_schedule_digest(fault_schedule(scenario, seed)) for seed in range(20)}
    assert len(digests) == 20


def test_a_fault_fires_within_its_spread() -> None:
    scenario = load_scenario(find_scenario("quickstart")).scenario
    for seed in range(50):
        for part, planned in zip(scenario.faults, fault_schedule(scenario, seed), strict=True):
            assert abs(planned.at_s - part.at_s) <= part.spread_s
