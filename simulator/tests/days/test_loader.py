"""Day files that are wrong are refused with file, line, key and why, before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.days.loader import DayError, find_day, load_day

GOOD = """\
title: a day
shows: nothing
symbols:
  - {symbol: AAA, price: "100.00"}
sessions: {open: "10:00", close: "11:00"}
traders:
  - kind: noise
    arrivals: {kind: poisson, per_s: 1}
  - kind: maker
    arrivals: {kind: hawkes, base_per_s: 1, jump_per_s: 0.5, decay_per_s: 1}
happenings:
  - {kind: news, at: "10:30", jump_pct: 1}
"""


def refusal(tmp_path: Path, text: str) -> str:
    path = tmp_path / "day.yaml"
    path.write_text(text)
    with pytest.raises(DayError) as caught:
        load_day(path)
    return str(caught.value).replace(f"{path}:", "")


def test_the_good_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "day.yaml"
    path.write_text(GOOD)
    assert load_day(path).day.title == "a day"


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("title: a day", "titel: a day", "1: titel: unknown key; did you mean 'title'?"),
        ("per_s: 1}", "per_s: -1}", "8: traders[0].noise.arrivals.poisson.per_s: should be greater"),
        ("jump_per_s: 0.5", "jump_per_s: 1.5", "10: traders[1].maker.arrivals.hawkes: every arrival would bring 1.5"),
        ("kind: maker\n", "kind: maker\n    cash: 5\n", "10: traders[1].cash: a maker needs at least"),
        ("kind: maker\n", "kind: maker\n    gama: 5\n", "maker.gama: unknown key; did you mean 'gamma'"),
        ("kind: noise\n", "kind: noise\n    symbols: [BBB]\n", "8: traders[0].symbols[0]: BBB is not listed"),
        ("kind: noise\n", "kind: noise\n    symbols: []\n", "8: traders[0].noise.symbols: List should have at least 1"),
        ("kind: noise\n", "kind: noise\n    symbols: [AAA, AAA]\n", "8: traders[0].symbols[1]: AAA is named twice"),
        ("kind: noise\n", "kind: zero_intelligence\n    side: buy\n", "9: traders[0].arrivals: zero_intelligence acts"),
        ("{kind: poisson, per_s: 1}", "{kind: replay, times: ['10:00', '11:00']}", "arrivals.times[1]: is outside"),
        ("kind: maker\n", "kind: maker\n    patience_s: 1\n", "10: traders[1].maker.patience_s: unknown key"),
        ("jump_pct: 1}", "jump_pct: 1, symbols: []}", "12: happenings[0].news.symbols: List should have at least 1"),
        ("kind: maker\n", "kind: execution\n    parents: [{at: '09:59', side: buy, shares: 9, style: vwap}]\n",
         "10: traders[1].parents[0].at: is outside the day's continuous trading"),
        ("news, at: \"10:30\", jump_pct: 1", "fat_finger, at: \"10:30\", side: buy, shares: 600000000",
         "12: happenings[0].shares: would be worth 69,000,000,000 dollars of AAA, and no order may be over 1,"),
        ("news, at: \"10:30\", jump_pct: 1", "fat_finger, at: \"09:30\", side: buy, shares: 6",
         "12: happenings[0].at: is outside the day's continuous trading"),
        ("kind: noise\n", "kind: nose\n", "7: traders[0]: "),
        ('close: "11:00"', 'close: "09:00"', "5: sessions: opening_call, open, closing_call and close must follow"),
        ('close: "11:00"', "close: 11:00", "5: sessions.close: should be a time in quotes"),
        ('at: "10:30"', 'at: "12:30"', "12: happenings[0].at: is outside the day's sessions"),
        ('news, at: "10:30", jump_pct: 1', 'outage, at: "10:30", for_s: 9, traders: ladder', "no 'ladder' trades"),
        ('price: "100.00"', 'price: "100.005"', "4: symbols[0]: no instrument can have reference_price_micros"),
        ("shows: nothing\n", "", "1: shows: is missing"),
        ("title: a day\n", "title: a day\ntitle: again\n", "is given twice"),
        ("title: a day", "title: [", "not valid YAML"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line_and_key(tmp_path: Path, right: str, wrong: str, told: str) -> None:
    assert right in GOOD
    assert told in refusal(tmp_path, GOOD.replace(right, wrong, 1))


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("per_s: 1}", "per_s: 1.0e-300}", "8: traders[0].noise.arrivals.poisson.per_s: should be greater"),
        ("per_s: 1}", "per_s: 1.0e+12}", "8: traders[0].noise.arrivals.poisson.per_s: should be less"),
        ("jump_per_s: 0.5, decay_per_s: 1", "jump_per_s: 0.9999999, decay_per_s: 1", "there would be 1e+07 a second"),
        ("kind: noise\n", "kind: noise\n    size_sigma: 1000\n", "8: traders[0].noise.size_sigma: should be less"),
        ("kind: noise\n", "kind: noise\n    limits: {order_shares: 10000000000000}\n", "8: traders[0].noise.limits"),
        ("kind: noise\n", "kind: noise\n    count: 10000\n    cash: 1000000000\n", "9: traders[0].cash: with"),
        ("kind: noise\n", "kind: noise\n    count: 100000\n    shares: 100000000\n", "9: traders[0].shares: with"),
        ("kind: maker\n", "kind: execution\n    alpha: 0.005\n", "10: traders[1].execution.alpha: should be greater"),
        ("kind: maker\n",
         "kind: execution\n    parents: [{at: '10:30', side: buy, shares: 9, style: vwap, over_s: 0.0001}]\n",
         "10: traders[1].execution.parents[0].over_s: should be greater"),
        ("happenings:", "worth: {jumps_per_day: 1.0e+30}\nhappenings:", "11: worth.jumps_per_day: should be less"),
        ("happenings:", "samples: {depth_every_s: 1.0e-10}\nhappenings:", "11: samples.depth_every_s: should be"),
    ],
)  # fmt: skip
def test_numbers_that_would_break_the_day_off_or_never_let_it_end_are_refused(
    tmp_path: Path, right: str, wrong: str, told: str
) -> None:
    assert right in GOOD
    assert told in refusal(tmp_path, GOOD.replace(right, wrong, 1))


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    told = refusal(tmp_path, GOOD.replace("per_s: 1}", "per_s: -1}", 1).replace("title: a day", "titel: a day"))
    assert len(told.splitlines()) == 3  # the unknown key, the one that is missing for it, the rate


def test_an_empty_file_and_an_unknown_name_are_refused(tmp_path: Path) -> None:
    assert "the file is empty" in refusal(tmp_path, "")
    with pytest.raises(DayError, match=r"no day 'claim' in the catalogue; did you mean 'calm'\?"):
        find_day("claim")
    with pytest.raises(DayError, match="cannot be read"):
        find_day("not-there.yaml")
