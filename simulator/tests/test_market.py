"""The market as a whole, on the trading core under virtual time."""

from __future__ import annotations

from simulator.market.accounts import TraderKind, market_accounts, market_role
from simulator.market.gateway import Request
from simulator.market.market import MarketOptions, trader_stream
from simulator.market.traders.maker import MakerOptions
from simulator.tests.pure_market import PureMarket, listing, pure_market
from trading.core.events import CASH
from trading.core.orders import MICROS_PER_SHARE, Phase, Side, Symbol

AAA = Symbol("AAA")
SESSION_S = 120.0


def requests_of(seed: int) -> list[Request]:
    market = pure_market(MarketOptions(seed))
    market.environment.run(SESSION_S)
    return market.gateway.requests


def test_the_same_seed_makes_every_trader_decide_the_same_and_another_seed_does_not() -> None:
    assert requests_of(1) == requests_of(1)
    assert requests_of(1) != requests_of(2)


def test_a_market_sends_forty_to_sixty_operations_a_second_and_trades() -> None:
    market = pure_market(MarketOptions(3))
    market.environment.run(SESSION_S)
    assert 40 <= len(market.gateway.requests) / SESSION_S <= 60
    assert market.exchange.last_trade_id > SESSION_S


def test_the_book_is_two_sided_nearly_always() -> None:
    market = pure_market(MarketOptions(4))
    market.environment.run(2.0)
    two_sided = 0
    for moment in range(1_000):
        market.environment.run(2.0 + (moment + 1) * 0.1)
        two_sided += _is_two_sided(market)
    assert two_sided >= 990


def test_the_makers_inventory_stays_within_its_limit_and_one_ladder() -> None:
    options = MakerOptions(max_inventory=500)
    market = pure_market(MarketOptions(5, maker=options))
    began = _shares(market, "maker-AAA")
    furthest = 0
    for moment in range(1, 1_000):
        market.environment.run(moment * 0.3)
        furthest = max(furthest, abs(_shares(market, "maker-AAA") - began))
    assert 100 < furthest <= options.max_inventory + options.levels * options.level_shares


def test_the_market_neither_makes_nor_loses_cash_or_shares() -> None:
    market = pure_market(MarketOptions(6))
    market.environment.run(SESSION_S)
    brought = market_accounts(["AAA"])
    for asset, came_in in (
        (CASH, sum(cash_micros for _, cash_micros, _ in brought)),
        ("AAA", sum(shares for _, _, shares in brought) * MICROS_PER_SHARE),
    ):
        assert sum(sum(market.exchange.balance(account, asset)) for account in market.accounts.values()) == came_in


def test_volatility_halts_interrupt_a_market_and_do_not_end_it() -> None:
    market = pure_market(MarketOptions(9), instrument=listing(band_ppm=1_000))
    halted = traded_after_a_halt = 0
    for moment in range(1, 240):
        trades = market.exchange.last_trade_id
        market.environment.run(moment * 0.5)
        halted += market.exchange.phase(AAA) is Phase.HALTED
        traded_after_a_halt += halted > 0 and market.exchange.last_trade_id > trades
    assert halted > 5  # moments, of which a halt spans ten
    assert traded_after_a_halt > 60
    assert _is_two_sided(market)


def test_adding_a_trader_leaves_the_times_sides_and_sizes_of_the_others_alone() -> None:
    few, many = pure_market(MarketOptions(7), noise_traders=2), pure_market(MarketOptions(7), noise_traders=5)
    for market in (few, many):
        market.environment.run(30.0)
    for name in ("noise-AAA-1", "noise-AAA-2"):
        # What a trader does depends on what it sees; when it acts, and what it drew for that moment, does not.
        one, other = _drawn(few, name), _drawn(many, name)
        shared = one.keys() & other.keys()
        assert len(shared) > 0.8 * len(one) > 50
        assert {moment: one[moment] for moment in shared} == {moment: other[moment] for moment in shared}


def test_a_traders_stream_depends_on_the_seed_and_its_own_name() -> None:
    assert trader_stream(1, "noise-AAA-1").random() == trader_stream(1, "noise-AAA-1").random()
    assert trader_stream(1, "noise-AAA-1").random() != trader_stream(1, "noise-AAA-2").random()
    assert trader_stream(1, "noise-AAA-1").random() != trader_stream(2, "noise-AAA-1").random()


def test_an_account_is_named_after_its_trader_and_its_symbol() -> None:
    roles = [market_role(name) for name, _, _ in market_accounts(["AAA", "BRK.B"], noise_traders=1)]
    kinds = list(TraderKind)
    assert roles == [(kind, symbol) for symbol in ("AAA", "BRK.B") for kind in kinds]
    assert market_role("trader-1") is None
    assert market_role("maker") is None


def test_the_desks_know_in_the_end_what_the_exchange_knows() -> None:
    market = pure_market(MarketOptions(8))
    market.environment.run(SESSION_S)
    desk = market.desks["maker-AAA"]
    for order in desk.view().working:
        assert market.exchange.known_order(market.accounts["maker-AAA"], order.client_order_id) is not None
    # The maker looks every cycle, so its view is a fraction of a second old at most.
    initial = next(shares for name, _, shares in market_accounts(["AAA"]) if name == "maker-AAA")
    assert abs(desk.view().inventory - (_shares(market, "maker-AAA") - initial)) <= 600


def _is_two_sided(market: PureMarket) -> bool:
    book = market.exchange.book(AAA)
    return bool(book.levels(Side.BUY)) and bool(book.levels(Side.SELL))


def _shares(market: PureMarket, name: str) -> int:
    return sum(market.exchange.balance(market.accounts[name], "AAA")) // MICROS_PER_SHARE


def _drawn(market: PureMarket, name: str) -> dict[float, int]:
    """Size of the order a trader placed at each moment it placed one."""
    return {
        request.at_s: request.quantity
        for request in market.gateway.requests
        if request.account == name and request.quantity is not None
    }
