"""The instruments, accounts and fees that a flow of commands begins with."""

from __future__ import annotations

from trading.core.orders import (
    MICROS_PER_SHARE,
    AccountId,
    AccountTerms,
    FeeSchedule,
    Instrument,
    Limits,
    Phase,
    SelfTrade,
    Symbol,
)

SHARE, CENT = MICROS_PER_SHARE, 10_000
MINUTE_NS = 60 * 10**9
INSTRUMENTS = (
    Instrument(Symbol("AAA"), CENT, 100, SHARE, 10 * 10**6, 200_000, 60_000, MINUTE_NS, True, True, True),
    Instrument(Symbol("BBB"), CENT, 1_000, SHARE, 10**6, 300_000, 0, MINUTE_NS, True, True, False),
    Instrument(Symbol("CCC"), 5 * CENT, 100, 10 * SHARE, 50 * 10**6, 100_000, 50_000, 0, True, False, True),
)
ACCOUNTS = {
    AccountId(1): AccountTerms(),
    AccountId(2): AccountTerms(2, SelfTrade.CANCEL_OLDEST),
    AccountId(3): AccountTerms(2, SelfTrade.DECREMENT),
    AccountId(4): AccountTerms(1, SelfTrade.CANCEL_BOTH, limits=Limits(60 * SHARE, 10**9, 9, 3, 500 * SHARE)),
    AccountId(5): AccountTerms(2, SelfTrade.CANCEL_NEWEST, limits=Limits(position=90 * SHARE)),
    AccountId(6): AccountTerms(1, SelfTrade.DECREMENT),
}
POOR = AccountId(6)  # it begins with little cash
SHORT = (AccountId(3), AccountId(5))  # they begin without shares
FEES = FeeSchedule(3_000_000, -2_000_000, 27_800, 166, 8_300_000)
NEXT_PHASES = {
    Phase.CLOSED: (Phase.PRE_OPEN, Phase.PRE_OPEN, Phase.CONTINUOUS),
    Phase.PRE_OPEN: (Phase.CONTINUOUS, Phase.CONTINUOUS, Phase.CONTINUOUS, Phase.HALTED, Phase.CLOSED),
    Phase.CONTINUOUS: (Phase.PRE_CLOSE, Phase.HALTED, Phase.PRE_CLOSE, Phase.CLOSED),
    Phase.HALTED: (Phase.CONTINUOUS, Phase.CONTINUOUS, Phase.CONTINUOUS, Phase.PRE_CLOSE, Phase.CLOSED),
    Phase.PRE_CLOSE: (Phase.CLOSED, Phase.CLOSED, Phase.CLOSED, Phase.HALTED),
}
