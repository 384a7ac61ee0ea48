"""What an operator and the back office send: changed settings, money and shares in, out and across."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trading.core.commands import (
    EVERYBODY,
    CancelAll,
    ChangeAccount,
    ChangeInstrument,
    Command,
    Deposit,
    SetFees,
    SetKillSwitch,
    Transfer,
    Withdraw,
)
from trading.core.events import CASH
from trading.core.orders import (
    MICROS_PER_DOLLAR,
    MICROS_PER_SHARE,
    AccountId,
    AccountTerms,
    FeeSchedule,
    Limits,
    SelfTrade,
)

if TYPE_CHECKING:
    from .flow import Flow

MODES = tuple(SelfTrade)


def change_of_settings(flow: Flow) -> Command:
    draw, choice = flow.draw, flow.draw.randrange(8)
    if choice < 2:
        return _other_instrument(flow)
    if choice < 4:
        return ChangeAccount(flow.now_ns, flow.account(), _other_terms(flow))
    if choice < 6:
        account_id = flow.account() if draw.randrange(4) else EVERYBODY
        return SetKillSwitch(flow.now_ns, account_id, draw.randrange(6) == 0)
    if choice == 6:
        return CancelAll(flow.now_ns, EVERYBODY, flow.symbol())
    maker = draw.randrange(8_000_000) - 4_000_000
    charges = (draw.randrange(100_000), draw.randrange(300), draw.randrange(20_000_000))
    return SetFees(flow.now_ns, FeeSchedule(abs(maker) + draw.randrange(3) * 1_000_000, maker, *charges))


def _other_instrument(flow: Flow) -> Command:
    draw, symbol = flow.draw, flow.symbol()
    instrument = flow.instruments[symbol]._replace(
        collar_ppm=(100_000, 200_000, 350_000)[draw.randrange(3)],
        band_ppm=(50_000, 70_000, 0)[draw.randrange(3)],
        halt_ns=draw.randrange(3) * 10**9,
        tradable=draw.randrange(4) > 0,
        shortable=draw.randrange(3) > 0,
        fractionable=draw.randrange(3) > 0,
    )
    return ChangeInstrument(flow.now_ns, instrument)


def _other_terms(flow: Flow) -> AccountTerms:
    draw = flow.draw
    limits = Limits()
    if draw.randrange(4) == 0:
        bounds = (40 * MICROS_PER_SHARE, 400 * MICROS_PER_DOLLAR, 6, 2, 120 * MICROS_PER_SHARE)
        limits = Limits(*[bound if draw.randrange(2) else None for bound in bounds])
    mode = MODES[draw.randrange(len(MODES))]
    return AccountTerms(1 + draw.randrange(2), mode, draw.randrange(6) == 0, limits)


def movement_of_assets(flow: Flow) -> Command:
    draw, account_id = flow.draw, flow.account()
    asset, amount = CASH, 1 + draw.randrange(900 * MICROS_PER_DOLLAR)
    if draw.randrange(2):
        asset, amount = flow.symbol(), 1 + draw.randrange(40 * MICROS_PER_SHARE)
    choice = draw.randrange(3)
    if choice == 0:
        return Deposit(flow.now_ns, account_id, asset, amount)
    if choice == 1:
        return Withdraw(flow.now_ns, account_id, asset, amount)
    to = AccountId(1 + account_id % 6)
    return Transfer(flow.now_ns, account_id, to, asset, amount)
