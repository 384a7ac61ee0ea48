"""Assets, clock, calendar and watchlists through alpaca-py's TradingClient."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import AssetClass, AssetExchange, AssetStatus
from alpaca.trading.models import Asset, Calendar, Clock, Watchlist
from alpaca.trading.requests import (
    CreateWatchlistRequest,
    GetAssetsRequest,
    GetCalendarRequest,
    GetCorporateAnnouncementsRequest,
    GetOptionContractsRequest,
    UpdateWatchlistRequest,
)

from tests.alpaca.asking import refusal
from tests.conftest import ALPACA, SYMBOLS
from trading.api.clock import next_changes

pytestmark = pytest.mark.stack


def assets(client: TradingClient, **filters: Any) -> list[str]:
    found = client.get_all_assets(GetAssetsRequest(**filters))
    assert isinstance(found, list)
    return [asset.symbol for asset in found]


def calendar(client: TradingClient, **filters: date) -> list[Calendar]:
    days = client.get_calendar(GetCalendarRequest(**filters))
    assert isinstance(days, list)
    return days


def watched(watchlist: object) -> list[str]:
    assert isinstance(watchlist, Watchlist)
    assert watchlist.assets is not None
    return [asset.symbol for asset in watchlist.assets]


# -- assets ----------------------------------------------------------------------------------------


def test_an_asset_says_on_which_terms_it_is_traded(trader: TradingClient) -> None:
    fraction, whole = trader.get_asset(ALPACA), trader.get_asset("AAA")
    assert isinstance(fraction, Asset)
    assert isinstance(whole, Asset)
    assert (fraction.symbol, fraction.name, fraction.asset_class) == (ALPACA, ALPACA, AssetClass.US_EQUITY)
    assert (fraction.exchange, fraction.status) == (AssetExchange.NASDAQ, AssetStatus.ACTIVE)
    assert (fraction.tradable, fraction.shortable, fraction.easy_to_borrow) == (True, True, True)
    assert (fraction.fractionable, fraction.min_order_size, fraction.min_trade_increment) == (True, 1e-6, 1e-6)
    assert (whole.fractionable, whole.min_order_size, whole.min_trade_increment) == (False, 1, 1)
    assert (whole.shortable, whole.easy_to_borrow, whole.marginable) == (False, False, True)
    assert (whole.price_increment, whole.maintenance_margin_requirement, whole.attributes) == (0.01, 0, [])


def test_an_asset_is_found_by_its_id_too(trader: TradingClient) -> None:
    asset = trader.get_asset(ALPACA)
    assert isinstance(asset, Asset)
    assert trader.get_asset(asset.id) == asset
    for unknown in ("NONE", uuid4(), "alp", "%00"):
        assert refusal(trader.get_asset, unknown)[:2] == (404, 40410000)


def test_assets_are_listed_by_every_filter(trader: TradingClient) -> None:
    everything = sorted([*SYMBOLS, ALPACA])
    assert assets(trader) == everything
    assert assets(trader, status=AssetStatus.ACTIVE, asset_class=AssetClass.US_EQUITY) == everything
    assert assets(trader, exchange=AssetExchange.NASDAQ) == everything
    assert assets(trader, exchange=AssetExchange.NYSE) == []
    assert assets(trader, status=AssetStatus.INACTIVE) == []
    assert assets(trader, asset_class=AssetClass.CRYPTO) == []
    assert assets(trader, attributes="ptp_no_exception") == []


# -- clock and calendar ----------------------------------------------------------------------------


def test_the_clock_of_an_open_market_says_when_the_day_ends(trader: TradingClient) -> None:
    clock = trader.get_clock()
    assert isinstance(clock, Clock)
    midnight = datetime.combine(clock.timestamp.date() + timedelta(days=1), datetime.min.time(), UTC)
    assert (clock.is_open, clock.next_close, clock.next_open) == (True, midnight, midnight)
    assert abs(clock.timestamp - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_closed_market_opens_before_it_closes() -> None:
    now = datetime(2028, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC)
    opens, closes = datetime(2028, 2, 29, tzinfo=UTC), datetime(2028, 3, 1, tzinfo=UTC)
    assert next_changes(now, is_open=False) == (opens, closes)
    assert next_changes(now, is_open=True) == (opens, opens)


def test_every_day_of_the_calendar_is_a_trading_day(trader: TradingClient) -> None:
    days = calendar(trader, start=date(2028, 2, 27), end=date(2028, 3, 1))
    assert [day.date for day in days] == [date(2028, 2, 27), date(2028, 2, 28), date(2028, 2, 29), date(2028, 3, 1)]
    assert (days[0].open, days[0].close) == (datetime(2028, 2, 27, 0, 0), datetime(2028, 2, 27, 23, 59))


def test_the_calendar_is_bounded_as_alpacas_is(trader: TradingClient) -> None:
    assert [day.date for day in calendar(trader, end=date(1970, 1, 2))] == [date(1970, 1, 1), date(1970, 1, 2)]
    assert [day.date for day in calendar(trader, start=date(2029, 12, 31))] == [date(2029, 12, 31)]
    assert calendar(trader, start=date(2030, 1, 1), end=date(2031, 1, 1)) == []
    assert calendar(trader, start=date(1900, 1, 1), end=date(1969, 12, 31)) == []
    whole = trader.get_calendar()
    assert len(whole) == (date(2030, 1, 1) - date(1970, 1, 1)).days
    backwards = GetCalendarRequest(start=date(2028, 3, 1), end=date(2028, 2, 1))
    assert refusal(trader.get_calendar, backwards)[:2] == (422, 40010001)


# -- watchlists ------------------------------------------------------------------------------------


def created(client: TradingClient, name: str, *symbols: str) -> Watchlist:
    watchlist = client.create_watchlist(CreateWatchlistRequest(name=name, symbols=list(symbols)))
    assert isinstance(watchlist, Watchlist)
    return watchlist


def test_a_watchlist_keeps_its_assets_in_the_order_they_were_given(trader: TradingClient) -> None:
    made = created(trader, "tech", "SHO", "AAA", "SHO", "FED")
    assert (made.name, watched(made), made.created_at) == ("tech", ["SHO", "AAA", "FED"], made.updated_at)
    assert made.account_id == trader.get_account().id  # type: ignore[union-attr]
    assert trader.get_watchlist_by_id(made.id) == made
    (listed,) = trader.get_watchlists()
    assert isinstance(listed, Watchlist)
    assert (listed.id, listed.name, listed.assets) == (made.id, "tech", None)


def test_assets_are_added_at_the_end_once_and_taken_away(trader: TradingClient) -> None:
    made = created(trader, "one", "AAA")
    for _ in range(2):
        assert watched(trader.add_asset_to_watchlist_by_id(made.id, "BBB")) == ["AAA", "BBB"]
    assert watched(trader.remove_asset_from_watchlist_by_id(made.id, "AAA")) == ["BBB"]
    assert refusal(trader.remove_asset_from_watchlist_by_id, made.id, "AAA")[:2] == (404, 40410000)
    assert refusal(trader.add_asset_to_watchlist_by_id, made.id, "NONE")[:2] == (404, 40410000)
    changed = trader.get_watchlist_by_id(made.id)
    assert isinstance(changed, Watchlist)
    assert changed.updated_at > changed.created_at


def test_a_watchlist_is_renamed_and_filled_anew(trader: TradingClient) -> None:
    made, taken = created(trader, "before", "AAA"), created(trader, "taken")
    renamed = trader.update_watchlist_by_id(made.id, UpdateWatchlistRequest(name="after"))
    assert isinstance(renamed, Watchlist)
    assert (renamed.name, watched(renamed)) == ("after", ["AAA"])
    refilled = trader.update_watchlist_by_id(made.id, UpdateWatchlistRequest(symbols=["FED", "BBB"]))
    assert watched(refilled) == ["FED", "BBB"]
    clash = UpdateWatchlistRequest(name=taken.name)
    assert refusal(trader.update_watchlist_by_id, made.id, clash)[:2] == (422, 40010001)
    assert refusal(trader.put, f"/watchlists/{made.id}", {})[:2] == (422, 40010001)


def test_a_watchlist_is_reached_by_its_name(trader: TradingClient) -> None:
    made = created(trader, "growth & value", "AAA")
    path = "/watchlists:by_name?name=growth+%26+value"
    assert Watchlist(**trader.get(path)) == made  # type: ignore[arg-type]
    assert watched(Watchlist(**trader.post(path, {"symbol": "FED"}))) == ["AAA", "FED"]  # type: ignore[arg-type]
    assert Watchlist(**trader.put(path, {"name": "value"})).name == "value"
    assert refusal(trader.get, path)[:2] == (404, 40410000)
    trader.delete("/watchlists:by_name?name=value")
    assert trader.get_watchlists() == []


def test_a_name_is_given_once_an_account(trader: TradingClient, other: TradingClient) -> None:
    made = created(trader, "mine", "AAA")
    status, code, message = refusal(trader.create_watchlist, CreateWatchlistRequest(name="mine", symbols=["BBB"]))
    assert (status, code, "unique" in message) == (422, 40010001, True)
    assert created(other, "mine").id != made.id
    for name in ("x" * 65, "bell\a"):
        request = CreateWatchlistRequest(name=name, symbols=["AAA"])
        assert refusal(trader.create_watchlist, request)[:2] == (422, 40010001)
    unknown = CreateWatchlistRequest(name="unknown", symbols=["AAA", "NONE"])
    assert refusal(trader.create_watchlist, unknown)[:2] == (404, 40410000)


def test_another_accounts_watchlist_is_not_found(trader: TradingClient, other: TradingClient) -> None:
    foreign = created(other, "theirs", "AAA")
    by_id: list[tuple[Callable[..., object], tuple[object, ...]]] = [
        (trader.get_watchlist_by_id, ()),
        (trader.update_watchlist_by_id, (UpdateWatchlistRequest(name="ours"),)),
        (trader.add_asset_to_watchlist_by_id, ("BBB",)),
        (trader.remove_asset_from_watchlist_by_id, ("AAA",)),
        (trader.delete_watchlist_by_id, ()),
    ]
    for call, arguments in by_id:
        assert refusal(call, foreign.id, *arguments)[:2] == (404, 40410000)
        assert refusal(call, UUID(int=0), *arguments)[:2] == (404, 40410000)
    assert refusal(trader.get, "/watchlists:by_name?name=theirs")[:2] == (404, 40410000)
    assert other.get_watchlist_by_id(foreign.id) == foreign


def test_watchlists_are_bounded_in_number_and_length(trader: TradingClient) -> None:
    for number in range(100):
        created(trader, f"list {number}")
    one_more = CreateWatchlistRequest(name="one more", symbols=[])
    assert refusal(trader.create_watchlist, one_more)[:2] == (422, 40010001)
    long = CreateWatchlistRequest(name="long", symbols=["AAA"] * 501)
    assert refusal(trader.create_watchlist, long)[:2] == (422, 40010001)


# -- what has no meaning here ----------------------------------------------------------------------


def test_what_the_workbench_does_not_have_is_not_found(trader: TradingClient) -> None:
    since = date(2026, 1, 1)
    announcements = GetCorporateAnnouncementsRequest(ca_types=["dividend"], since=since, until=since)
    with pytest.deprecated_call():
        assert refusal(trader.get_corporate_announcements, announcements)[:2] == (404, 40400000)
    absent: list[tuple[Callable[..., object], object]] = [
        (trader.get_corporate_announcement_by_id, uuid4()),
        (trader.get_option_contracts, GetOptionContractsRequest()),
        (trader.get_option_contract, "AAA260116C00100000"),
        (trader.exercise_options_position, "AAA260116C00100000"),
    ]
    for call, argument in absent:
        assert refusal(call, argument)[0] == 404
