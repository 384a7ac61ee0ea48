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
from trading.core.commands import Deposit, ListInstrument, OpenAccount
from trading.core.events import CASH
from trading.core.exchange import Exchange
from trading.core.orders import AccountId, Symbol

AAA = InstrumentStatus(symbol="AAA", tick_micros=10_000, reference_price_micros=100_000_000)


@dataclass(frozen=True, slots=True)
class PureMarket:
    environment: Environment
    exchange: Exchange
    gateway: CoreGateway
    desks: dict[str, Desk]
    accounts: dict[str, AccountId]


def funded_exchange(names: Iterable[tuple[str, int, int]]) -> tuple[Exchange, dict[str, AccountId]]:
    exchange = Exchange()
    exchange.apply(ListInstrument(0, Symbol(AAA.symbol), AAA.tick_micros))
    accounts = {}
    for number, (name, cash_micros, shares) in enumerate(names, 1):
        accounts[name] = account_id = AccountId(number)
        exchange.apply(OpenAccount(0, account_id))
        exchange.apply(Deposit(0, account_id, CASH, cash_micros))
        exchange.apply(Deposit(0, account_id, AAA.symbol, shares))
    return exchange, accounts


def pure_market(options: MarketOptions, *, noise_traders: int = 4) -> PureMarket:
    exchange, accounts = funded_exchange(market_accounts(["AAA"], noise_traders=noise_traders))
    environment = Environment()
    gateway = CoreGateway(environment, exchange, accounts)
    desks = open_market(environment, gateway, {"AAA": AAA}, accounts, options)
    return PureMarket(environment, exchange, gateway, desks, accounts)
