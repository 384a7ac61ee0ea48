"""What a scenario file includes, and what replaces parts of it: joined as said, and every mistake told by its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenarios.documents import Override, ScenarioError, read_document
from scenarios.loader import LoadedScenario, load_scenario, searched, variants_of
from scenarios.tests.test_loader import GOOD


def overridden(tmp_path: Path, *texts: str) -> LoadedScenario:
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD)
    return load_scenario(path, [Override.parse(text) for text in texts])


def test_an_override_replaces_a_value_as_the_file_would_have_it(tmp_path: Path) -> None:
    texts = ("load.rate_per_s=400", "phases.measure=1 min", "faults[0].for=2 s", "topology.apis=3", "market=false")
    loaded = overridden(tmp_path, *texts)
    scenario = loaded.scenario
    assert (scenario.load.rate_per_s, scenario.phases.measure_s, scenario.faults[0].for_s) == (400, 60, 2)
    assert (scenario.topology.apis, scenario.market) == (3, False)
    assert [str(override) for override in loaded.overrides] == list(texts)


def test_an_override_may_replace_a_list_or_make_a_part_that_was_not_there(tmp_path: Path) -> None:
    loaded = overridden(
        tmp_path,
        "faults=[]",
        "load.arrivals.kind=ramp",
        "load.arrivals={kind: spike, to_per_s: 20, at: 1 s, for: 2 s}",
        "load.arrivals.to_per_s=40",
        'topology.instruments[0].tick="0.05"',
    )
    assert loaded.scenario.faults == []
    assert loaded.scenario.load.arrivals is not None
    assert (loaded.scenario.load.arrivals.kind, loaded.scenario.load.arrivals.to_per_s) == ("spike", 40)
    assert loaded.scenario.topology.instruments[0].tick_micros == 50_000


WRONG = [
    ("load.rate_per_s", "--set load.rate_per_s: expected path=value"),
    ("load.rate_per_s=[1", "--set load.rate_per_s=[1: '[1' is no YAML"),
    ("load..rate=1", "--set load..rate=1: 'load..rate' is no path"),
    ("=1", "--set =1: '' is no path"),
    ("load.rate_per_s=ten", "--set load.rate_per_s=ten: load.rate_per_s: expected a number, got 'ten'"),
    ("load.rate=5", "--set load.rate=5: load.rate: unknown key; did you mean 'rate_per_s'?"),
    ("laod.rate_per_s=5", "--set laod.rate_per_s=5: laod: unknown key; did you mean 'load'?"),
    ("load={profile: mixed}", "--set load={profile: mixed}: load.rate_per_s: is missing"),
    ("load.profile.x=1", "--set load.profile.x=1: load.profile is 'trading_day' and has no parts"),
    ("load[0]=1", "--set load[0]=1: load is no list: its parts have names"),
    ("faults.for=1 s", "--set faults.for=1 s: faults is a list: write [0] to [0]"),
    ("faults[1].for=1 s", "--set faults[1].for=1 s: faults has 1 parts, counted from 0"),
    ("faults[0].for=20 s", "mine.yaml:15: faults[0].at: it would last beyond the measured phase of 10 s"),
    ("phases.measure=3 s", "mine.yaml:15: faults[0].at: it would last beyond the measured phase of 3 s"),
]


@pytest.mark.parametrize(("text", "expected"), WRONG, ids=[text for text, _ in WRONG])
def test_a_wrong_override_is_told_with_its_path(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ScenarioError) as error:
        overridden(tmp_path, text)
    (line,) = str(error.value).splitlines()
    assert line.removeprefix(f"{tmp_path}/").startswith(expected)


SERIES = """variants:
  one: {topology.apis: 1}
  three: {topology.apis: 3, load.rate_per_s: 30}
search: {path: load.rate_per_s, from: 10, to: 80, within: 10}
"""


def series(tmp_path: Path, text: str = SERIES) -> LoadedScenario:
    path = tmp_path / "mine.yaml"
    against = "objectives:\n  - {objective: latency_p50_ms, baseline: one, max: +10 %}"
    path.write_text(GOOD.replace("objectives:", against) + text)
    return load_scenario(path)


def test_a_variant_is_the_scenario_with_its_values_and_judged_alone(tmp_path: Path) -> None:
    one, three = variants_of(series(tmp_path))
    assert (one.label, one.scenario.topology.apis, one.scenario.load.rate_per_s) == ("one", 1, 10)
    assert (three.label, three.scenario.topology.apis, three.scenario.load.rate_per_s) == ("three", 3, 30)
    assert [str(override) for override in three.overrides] == ["topology.apis=3", "load.rate_per_s=30"]
    assert not three.scenario.variants
    assert [objective.objective for objective in three.scenario.objectives] == ["outage_ms"]


def test_a_searched_value_is_the_scenario_with_it(tmp_path: Path) -> None:
    one, _ = variants_of(series(tmp_path))
    at = searched(one, 40.0)
    assert (at.label, at.scenario.load.rate_per_s, at.scenario.topology.apis, at.scenario.search) == ("40", 40, 1, None)
    assert [str(override) for override in at.overrides] == ["topology.apis=1", "load.rate_per_s=40"]


@pytest.mark.parametrize(
    ("right", "wrong", "expected"),
    [
        ("topology.apis: 1", "topology.apis: 0", "24: variants.one: topology.apis: should be greater than or equal"),
        ("topology.apis: 1", "topology.api: 1", "24: variants.one: topology.api: unknown key; did you mean 'apis'?"),
        ("topology.apis: 1", "'faults[7].at': 1 s", "24: variants.one: faults has 1 parts, counted from 0"),
        ("path: load.rate_per_s", "path: load.rate", "26: search.path: load.rate: unknown key; did you mean"),
        ("to: 80", "to: 8", "26: search: to must be more than from, 8 is not"),
        ("  one: {topology.apis: 1}\n", "", "23: variants: one variant alone is compared with nothing"),
    ],
)
def test_a_wrong_variant_or_search_is_told_by_its_place(tmp_path: Path, right: str, wrong: str, expected: str) -> None:
    assert right in SERIES
    with pytest.raises(ScenarioError) as error:
        series(tmp_path, SERIES.replace(right, wrong))
    assert str(error.value).removeprefix(f"{tmp_path}/mine.yaml:").startswith(expected)


def including(tmp_path: Path, text: str) -> Path:
    (tmp_path / "below").mkdir(exist_ok=True)
    (tmp_path / "below" / "base.yaml").write_text(GOOD)
    mine = tmp_path / "mine.yaml"
    mine.write_text(text)
    return mine


def test_a_file_has_what_it_includes_but_for_what_it_says_itself(tmp_path: Path) -> None:
    mine = including(tmp_path, "include: below/base.yaml\ntitle: Mine\nload: {rate_per_s: 20}\nfaults: []\n")
    loaded = load_scenario(mine)
    scenario = loaded.scenario
    assert (scenario.title, scenario.seed) == ("Mine", 3)
    assert (scenario.load.profile, scenario.load.rate_per_s) == ("trading_day", 20)
    assert scenario.faults == []
    assert loaded.text == f"{GOOD}\n{mine.read_text()}"  # the record keeps both


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("include: below/base.yaml\nload: {rate_per_s: ten}\n", "mine.yaml:2: load.rate_per_s: expected a number"),
        ("include: below/base.yaml\nphases: {measure: 3 s}\n", "below/base.yaml:15: faults[0].at: it would last"),
        ("include: below/base.yaml\nobjectives:\n  - {objective: x}\n", "mine.yaml:3: objectives[0].objective: unk"),
        ("seed: 3\ninclude: none.yaml\n", "mine.yaml:2: include: there is no file"),
        ("include: [below/base.yaml]\n", "mine.yaml:1: include: expected the name of a file"),
        ("include: mine.yaml\n", "mine.yaml:1: include: goes in a circle: mine.yaml includes mine.yaml"),
    ],
)
def test_a_mistake_is_told_in_the_file_that_has_it(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ScenarioError) as error:
        load_scenario(including(tmp_path, text))
    assert str(error.value).removeprefix(f"{tmp_path}/").startswith(expected)


def test_files_that_include_each_other_are_refused_in_the_one_that_closes_the_circle(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("include: b.yaml\n")
    (tmp_path / "b.yaml").write_text("seed: 1\ninclude: c.yaml\n")
    (tmp_path / "c.yaml").write_text("include: a.yaml\n")
    with pytest.raises(ScenarioError) as error:
        read_document(tmp_path / "a.yaml")
    circle = "goes in a circle: a.yaml includes b.yaml includes c.yaml includes a.yaml"
    assert str(error.value) == f"{tmp_path}/c.yaml:1: include: {circle}"
