from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from reports.against_page import write_comparison
from reports.render import rebuild
from reports.repeats_page import rebuild_together
from reports.run_folder import run_folders
from reports.tests.test_repeats import repeats

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SECTIONS = ["verdict", "numbers", "objectives", "over-time", "latency", "outages", "checks", "validity", "nodes", "run"]
CHARTS = ["latency", "heat", "rate", "timeline", "distribution", "cpu", "memory"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_opens_offline_with_every_section_and_no_complaint(
    browser: Browser, folder: Path, scheme: str
) -> None:
    rebuild(folder)
    complaints: list[str] = []
    requests: list[str] = []
    context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light", offline=True)
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((folder / "report.html").as_uri())
    page.wait_for_function("document.querySelectorAll('.chart .main-svg').length >= 7")
    assert [section for section in [*SECTIONS, "sources"] if page.locator(f"#{section}").count() != 1] == []
    assert [chart for chart in CHARTS if page.locator(f"#chart-{chart} .main-svg").count() == 0] == []
    assert page.locator("#verdict h1").inner_text() == "PASS"
    assert page.locator("#chart-latency .shapelayer path").count() >= 4
    sourced = "[...document.querySelectorAll('figure')].filter(each => !each.querySelector('.query')).length"
    assert page.evaluate(sourced) == 0
    tabled = set(SECTIONS) - {"verdict"}
    assert [section for section in tabled if page.locator(f"#{section} .query").count() == 0] == []
    assert page.locator("#chart-heat .hm image").count() == 1
    assert page.locator("#chart-heat .shapelayer path").count() >= 4
    assert complaints == []
    assert requests == [(folder / "report.html").as_uri()]
    context.close()


def test_no_table_is_cut_off_on_a_desk(browser: Browser, folder: Path) -> None:
    rebuild(folder)
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    page.goto((folder / "report.html").as_uri())
    page.evaluate("document.querySelectorAll('#latency details').forEach(each => each.open = true)")
    cut_off = "[...document.querySelectorAll('.wide')].filter(each => each.scrollWidth > each.clientWidth).length"
    assert page.evaluate("document.querySelectorAll('.wide').length") >= 4
    assert page.evaluate(cut_off) == 0
    page.close()


def test_the_report_fits_a_narrow_screen(browser: Browser, folder: Path) -> None:
    rebuild(folder)
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.goto((folder / "report.html").as_uri())
    page.wait_for_function("document.querySelectorAll('.chart .main-svg').length >= 7")
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()


@pytest.fixture
def comparison(folder: Path, tmp_path: Path) -> Path:
    _, page = write_comparison(folder, Path(shutil.copytree(folder, tmp_path / "before")))
    return page


@pytest.fixture
def together(folder: Path, tmp_path: Path) -> Path:
    tree = repeats(folder, tmp_path / "tree", 600, 700, 650)
    for run in run_folders(tree):
        (run / "report.html").write_text("<title>one run</title>")
    rebuild_together(tree)
    return tree / "report.html"


@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize(("name", "head", "bars"), [("comparison", "Comparable", 5), ("together", "PASS", 4)])
def test_a_page_of_several_runs_opens_offline_and_fits_the_screen(
    browser: Browser, request: pytest.FixtureRequest, width: int, name: str, head: str, bars: int
) -> None:
    path: Path = request.getfixturevalue(name)
    complaints: list[str] = []
    requests: list[str] = []
    context = browser.new_context(viewport={"width": width, "height": 800}, offline=True)
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_function(
        "document.querySelectorAll('.chart').length == document.querySelectorAll('.hoverlayer').length"
    )
    assert page.locator("#verdict h1").inner_text() == head
    assert page.locator(".spread svg .value").count() >= bars
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = page.evaluate("[...document.querySelectorAll('.wide')].filter(e => e.scrollWidth > e.clientWidth).length")
    assert width < 1200 or wide == 0
    assert (complaints, requests) == ([], [path.as_uri()])
    context.close()


def test_the_page_of_repeats_leads_to_each_runs_own(browser: Browser, together: Path) -> None:
    page = browser.new_page()
    page.goto(together.as_uri())
    links = page.locator("#runs a")
    assert links.count() == 3
    links.nth(1).click()
    assert page.title() == "one run"
    page.close()
