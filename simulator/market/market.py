"""A market: traders with their own random streams, each at its own desk, living in one SimPy environment."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import assert_never

import numpy as np
from simpy import Environment
from simpy.events import Event

from simulator.market.accounts import TraderKind, market_role
from simulator.market.desk import PRINTS_KEPT, Desk
from simulator.market.gateway import Gateway
from simulator.market.intents import Trader
from simulator.market.traders.maker import Maker, MakerOptions
from simulator.market.traders.momentum import Momentum, MomentumOptions
from simulator.market.traders.noise import Noise, NoiseOptions
from stack.status import InstrumentStatus


@dataclass(frozen=True, slots=True)
class MarketOptions:
    """With four noise traders a symbol, some 40 to 60 operations per second."""

    seed: int
    maker: MakerOptions = field(default_factory=MakerOptions)
    noise: NoiseOptions = field(default_factory=NoiseOptions)
    momentum: MomentumOptions = field(default_factory=MomentumOptions)


def trader_stream(seed: int, name: str) -> np.random.Generator:
    """A trader's random numbers: they depend on the seed and its own name, on nobody else."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=tuple(name.encode())))


def open_market(
    environment: Environment,
    gateway: Gateway,
    instruments: Mapping[str, InstrumentStatus],
    accounts: Iterable[str],
    options: MarketOptions,
) -> dict[str, Desk]:
    """Starts a trader for each of ``accounts`` that belongs to a market; returns their desks.

    Raises KeyError for an account of a symbol that is not listed.
    """
    prints: dict[str, deque[int]] = {symbol: deque(maxlen=PRINTS_KEPT) for symbol in instruments}
    desks = {}
    for name in accounts:
        if (role := market_role(name)) is None:
            continue
        kind, symbol = role
        run_id = format(options.seed, "x")
        desk = Desk(name, instruments[symbol], gateway, run_id=run_id, prints=prints[symbol])
        environment.process(_trade(environment, _trader(kind, options), desk, trader_stream(options.seed, name)))
        desks[name] = desk
    return desks


def _trader(kind: TraderKind, options: MarketOptions) -> Trader:
    match kind:
        case TraderKind.MAKER:
            return Maker(options.maker)
        case TraderKind.NOISE:
            return Noise(options.noise)
        case TraderKind.MOMENTUM:
            return Momentum(options.momentum)
        case _:
            assert_never(kind)


def _trade(
    environment: Environment, trader: Trader, desk: Desk, rng: np.random.Generator
) -> Generator[Event, None, None]:
    while True:
        yield environment.timeout(trader.pause_s(rng))
        for intent in list(trader.decide(desk.view(), rng)):
            desk.act(intent, environment.now)
