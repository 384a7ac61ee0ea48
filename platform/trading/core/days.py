"""A market's day: which phase may follow which, and what happens on the way."""

from __future__ import annotations

from typing import Final

from trading.core import lifecycle, matching
from trading.core.auction import uncross
from trading.core.commands import ChangePhase
from trading.core.events import PhaseChanged, Refused
from trading.core.funds import unknown_symbol
from trading.core.orders import CancelReason, Phase, RejectReason, TimeInForce
from trading.core.venue import Market, Stage, Venue

_NEXT: Final = {
    Phase.CLOSED: (Phase.PRE_OPEN, Phase.CONTINUOUS),
    Phase.PRE_OPEN: (Phase.CONTINUOUS, Phase.HALTED, Phase.CLOSED),
    Phase.CONTINUOUS: (Phase.HALTED, Phase.PRE_CLOSE, Phase.CLOSED),
    Phase.HALTED: (Phase.CONTINUOUS, Phase.PRE_CLOSE, Phase.CLOSED),
    Phase.PRE_CLOSE: (Phase.CLOSED, Phase.HALTED),
}
_OF_THE_DAY: Final = (TimeInForce.DAY, TimeInForce.OPG, TimeInForce.CLS)


def change_phase(venue: Venue, command: ChangePhase) -> Refused | None:
    market = venue.markets.get(command.symbol)
    if market is None:
        return unknown_symbol(command.symbol)
    before, after = market.phase, command.phase
    if after not in _NEXT[before]:
        return Refused(RejectReason.WRONG_PHASE, f"{command.symbol} is {before}, which {after} cannot follow")
    market.sequence += 1
    if after is Phase.CONTINUOUS or (before is Phase.PRE_CLOSE and after is Phase.CLOSED):
        uncross(venue, market, after)
    market.phase, market.reopens_at_ns = after, None
    venue.events.append(PhaseChanged(command.symbol, after, market.reference_micros, None))
    if after is Phase.PRE_CLOSE:
        _begin_closing_call(venue, market)
    elif after is Phase.CLOSED:
        _expire(venue, market)
    return None


def _begin_closing_call(venue: Venue, market: Market) -> None:
    waiting = sorted(market.waiting_for_close.values(), key=lambda order: order.order_id)
    market.waiting_for_close.clear()
    for order in waiting:
        matching.rest(venue, order)


def _expire(venue: Venue, market: Market) -> None:
    expiring = [
        order for order in venue.open_orders() if order.market is market and order.accepted.time_in_force in _OF_THE_DAY
    ]
    for order in expiring:
        if order.stage is not Stage.CLOSED:
            lifecycle.cancel(venue, order, CancelReason.SESSION_CLOSED)
