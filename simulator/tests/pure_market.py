"""A market on the trading core under virtual time, for tests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from simpy import Environment

from simulator.market.accounts import market_accounts
from simulator.market.core_gateway import CoreGateway
from simulator.market.desk import Desk
from simulator.market.market import MarketOptions, open_market
from stack.status import InstrumentStatus
from trading.core.commands import ChangePhase, Deposit, ListInstrument, OpenAccount
from trading.core.events import CASH
from trading.core.exchange import Exchange
from trading.core.orders import MICROS_PER_SHARE, NS_PER_S, AccountId, Instrument, Phase, Symbol

AAA = InstrumentStatus(symbol="AAA", tick_micros=10_000, reference_price_micros=100_000_000)


@dataclass(frozen=True, slots=True)
class PureMarket:
    environment: Environment
    exchange: Exchange
    gateway: CoreGateway
    desks: dict[str, Desk]
    accounts: dict[str, AccountId]


def listing(*, band_ppm: int = 100_000) -> Instrument:
    return Instrument(
        symbol=Symbol(AAA.symbol),
        tick_micros=AAA.tick_micros,
        sub_dollar_tick_micros=100,
        lot=MICROS_PER_SHARE,
        reference_price_micros=AAA.reference_price_micros,
        collar_ppm=200_000,
        band_ppm=band_ppm,
        halt_ns=5 * NS_PER_S,
    )


def funded_exchange(
    names: Iterable[tuple[str, int, int]], instrument: Instrument | None = None
) -> tuple[Exchange, dict[str, AccountId]]:
    """An open market; ``names`` come with cash in micro-dollars and whole shares."""
    exchange = Exchange()
    exchange.apply(ListInstrument(0, instrument or listing()))
    accounts = {}
    for number, (name, cash_micros, shares) in enumerate(names, 1):
        accounts[name] = account_id = AccountId(number)
        exchange.apply(OpenAccount(0, account_id))
        exchange.apply(Deposit(0, account_id, CASH, cash_micros))
        exchange.apply(Deposit(0, account_id, AAA.symbol, shares * MICROS_PER_SHARE))
    exchange.apply(ChangePhase(0, Symbol(AAA.symbol), Phase.CONTINUOUS))
    return exchange, accounts


def pure_market(options: MarketOptions, *, noise_traders: int = 4, instrument: Instrument | None = None) -> PureMarket:
    exchange, accounts = funded_exchange(market_accounts(["AAA"], noise_traders=noise_traders), instrument)
    environment = Environment()
    gateway = CoreGateway(environment, exchange, accounts)
    desks = open_market(environment, gateway, {"AAA": AAA}, accounts, options)
    return PureMarket(environment, exchange, gateway, desks, accounts)
