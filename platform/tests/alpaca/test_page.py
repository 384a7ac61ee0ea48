"""ALPACA.md next to the running platform: every endpoint, every parameter and every field, both ways."""

from __future__ import annotations

import time
from typing import Any, Final

import pytest
import requests
from alpaca.trading.client import TradingClient
from alpaca.trading.requests import CreateWatchlistRequest

from stack.embedded import EmbeddedStack
from tests.alpaca.asking import BUY, SELL, limit, market, placed
from tests.alpaca.page import PAGE, PageError, Section, read_page
from tests.conftest import ALPACA

pytestmark = pytest.mark.stack

_RECORDED_WITHIN_S: Final = 20.0
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")

# Where real answers with the fields of a section come from, and the way to the one that has them: keys, or 0 for the
# first of a list.
ANSWERS: Final[dict[str, tuple[str, tuple[str | int, ...]]]] = {
    "Order": ("/orders?status=all&limit=1", (0,)),
    "Asset": (f"/assets/{ALPACA}", ()),
    "GET /v2/clock": ("/clock", ()),
    "GET /v2/calendar": ("/calendar?start=2026-01-01&end=2026-01-01", (0,)),
    "Watchlist": ("/watchlists:by_name?name=page", ()),
    "GET /v2/account": ("/account", ()),
    "Configuration": ("/account/configurations", ()),
    "GET /v2/account/portfolio/history": ("/account/portfolio/history?period=1D", ()),
    "Position": ("/positions", (0,)),
    "Bar": (f"/stocks/{ALPACA}/bars/latest", ("bar",)),
    "Trade": (f"/stocks/{ALPACA}/trades?limit=1", ("trades", 0)),
    "Quote": (f"/stocks/quotes/latest?symbols={ALPACA}", ("quotes", ALPACA)),
    "Snapshot": (f"/stocks/{ALPACA}/snapshot", ()),
}
ELSEWHERE: Final = {"Activity", "TradeUpdate"}


@pytest.fixture(scope="module")
def page() -> dict[str, Section]:
    return read_page(PAGE.read_text(encoding="utf-8"))


@pytest.fixture
def document(platform: EmbeddedStack) -> dict[str, Any]:
    found = requests.get(platform.status().endpoints["api"][0] + "/openapi.json", timeout=10)
    return dict(found.json())


@pytest.fixture
def traded(trader: TradingClient, other: TradingClient) -> TradingClient:
    """A client with an order, a position, a watchlist and a quote to show."""
    placed(other, limit(SELL, 1, 100))
    placed(trader, market(BUY, qty=1))
    trader.create_watchlist(CreateWatchlistRequest(name="page", symbols=[ALPACA]))
    until = time.monotonic() + _RECORDED_WITHIN_S
    while not quoted(trader) and time.monotonic() < until:
        time.sleep(0.05)
    return trader


def quoted(client: TradingClient) -> bool:
    found: Any = client.get(f"/stocks/quotes/latest?symbols={ALPACA}")
    return ALPACA in found["quotes"]


def routes(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if path.startswith("/v2")
    }


def asked(operation: dict[str, Any], document: dict[str, Any]) -> set[str]:
    """Query parameters and the body's fields."""
    names = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "query"}
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    name = body.get("$ref", "").rpartition("/")[2]
    return names | set(document["components"]["schemas"][name]["properties"] if name else ())


def told_of(route: str, section: Section) -> set[str]:
    """What the path says is not asked once more."""
    in_path = {"symbols"} if "{symbol}" in route else {"activity_types", "category"} if "_type}" in route else set()
    return section.there("asked") - in_path


def test_every_endpoint_is_on_the_page_and_the_other_way_round(
    page: dict[str, Section], document: dict[str, Any]
) -> None:
    assert {heading for heading in page if heading.split()[0] in METHODS} == set(routes(document))


def test_every_parameter_is_on_the_page_and_the_other_way_round(
    page: dict[str, Section], document: dict[str, Any]
) -> None:
    ours = {route: asked(operation, document) for route, operation in routes(document).items()}
    told = {heading: told_of(heading, section) for heading, section in page.items() if heading in ours}
    assert told == ours


@pytest.mark.parametrize("heading", ANSWERS)
def test_every_field_of_a_real_answer_is_on_the_page_and_the_other_way_round(
    page: dict[str, Section], traded: TradingClient, heading: str
) -> None:
    path, way = ANSWERS[heading]
    shown: Any = traded.get(path)
    for step in way:
        shown = shown[step]
    assert page[heading].there("fields") == set(shown)


def test_every_field_of_every_kind_of_activity_is_on_the_page_and_the_other_way_round(
    page: dict[str, Section], traded: TradingClient
) -> None:
    shown: Any = traded.get("/account/activities?direction=asc")
    assert {"FILL", "CSD", "ACATS"} <= {activity["activity_type"] for activity in shown}
    assert page["Activity"].there("fields") == {name for activity in shown for name in activity}


def test_every_table_of_fields_is_compared_with_an_answer(page: dict[str, Section]) -> None:
    assert {heading for heading, section in page.items() if section.fields} == set(ANSWERS) | ELSEWHERE


@pytest.mark.parametrize(
    "rows",
    ["| `a` | perhaps | |", "| a | same | |", "| `a` | same | |\n| `b`, `a` | same | |"],
    ids=["no verdict", "no name", "a name twice"],
)
def test_a_table_that_says_nothing_is_found(rows: str) -> None:
    with pytest.raises(PageError):
        read_page(f"### Thing\n\n| field | | |\n|---|---|---|\n{rows}\n")
