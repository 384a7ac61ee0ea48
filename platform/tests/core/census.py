"""Counts what happened in a flow of commands, so that a proof can show it was not about quiet markets."""

from __future__ import annotations

from collections import Counter

from trading.core.commands import Command
from trading.core.events import (
    Event,
    LedgerPosted,
    OrderAccepted,
    OrderActivated,
    OrderCanceled,
    OrderReduced,
    OrderReplaced,
    OrderRested,
    OrderTriggered,
    Outcome,
    PhaseChanged,
    Refused,
    Repeated,
    Traded,
)
from trading.core.orders import CancelReason, OrderClass, OrderType, RejectReason, SelfTrade, TimeInForce

EVERY_REFUSAL = {f"refused: {reason}" for reason in RejectReason} - {"refused: deadline_passed"}  # the engine's
EVERY_END = {f"canceled: {reason}" for reason in CancelReason}
EVERY_ORDER = {f"accepted: {kind}" for kind in [*OrderType, *TimeInForce, *OrderClass]}
EVERY_EVENT = {
    "AccountChanged",
    "AccountOpened",
    "FeesSet",
    "InstrumentChanged",
    "InstrumentListed",
    "KillSwitchSet",
    "LedgerPosted",
    "OrderAccepted",
    "OrderActivated",
    "OrderCanceled",
    "OrderReduced",
    "OrderReplaced",
    "OrderRested",
    "OrderTriggered",
    "PhaseChanged",
    "StopMoved",
    "Traded",
    "Uncrossed",
}
EVERY_TURN = {
    "accepted: a notional",
    "accepted: a fraction of a share",
    "a fill by a stop that another stop's fill elected",
    "trades in an auction",
    "a volatility halt",
    "a place kept by a replacement",
    "a place lost by a replacement",
    "a rebate",
    "a rounding residue",
    "a bracket's exits activated",
    "an oco's other order canceled",
    "an oco's other order reduced",
    "a repetition",
    *(f"self-trade under {mode}" for mode in SelfTrade),
}
EVERYTHING = EVERY_REFUSAL | EVERY_END | EVERY_ORDER | EVERY_EVENT | EVERY_TURN


class Census:
    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def missing(self) -> set[str]:
        return EVERYTHING - set(self.counts)

    def saw(self, command: Command, outcome: Outcome, modes: dict[int, SelfTrade]) -> None:
        """``modes`` are the accounts' ways of preventing self-trades."""
        if isinstance(outcome, Refused):
            self.counts[f"refused: {outcome.reason}"] += 1
        elif isinstance(outcome, Repeated):
            self.counts["a repetition"] += 1
        else:
            for event in outcome:
                self.counts[type(event).__name__] += 1
            self.counts.update(self._labels(outcome, modes))

    def _labels(self, events: list[Event], modes: dict[int, SelfTrade]) -> list[str]:
        labels: list[str] = []
        for event in events:
            match event:
                case OrderAccepted():
                    labels += self._accepted(event)
                case OrderCanceled() | OrderReduced():
                    labels += self._ended(event, modes)
                case Traded(auction=True):
                    labels.append("trades in an auction")
                case PhaseChanged(reopens_at_ns=int()):
                    labels.append("a volatility halt")
                case LedgerPosted(debit_account_id=-1):
                    labels.append("a rebate")
                case LedgerPosted(credit_account_id=-2):
                    labels.append("a rounding residue")
        return labels + self._places(events) + self._chains(events)

    def _ended(self, event: OrderCanceled | OrderReduced, modes: dict[int, SelfTrade]) -> list[str]:
        labels = [f"canceled: {event.reason}"] if isinstance(event, OrderCanceled) else []
        if event.reason is CancelReason.SELF_TRADE:
            labels.append(f"self-trade under {modes[event.account_id]}")
        return labels

    def _places(self, events: list[Event]) -> list[str]:
        """Of replaced orders that rested and whose successors rest."""
        rested_at = {event.replaced_by: event.price_micros for event in events if isinstance(event, OrderReplaced)}
        kept = [
            event.price_micros == rested_at[event.order_id]
            for event in events
            if isinstance(event, OrderRested) and rested_at.get(event.order_id) is not None
        ]
        return [f"a place {'kept' if same else 'lost'} by a replacement" for same in kept]

    def _accepted(self, event: OrderAccepted) -> list[str]:
        labels = [f"accepted: {event.order_type}", f"accepted: {event.time_in_force}"]
        special = event.special
        labels.append(f"accepted: {special.order_class if special is not None else OrderClass.SIMPLE}")
        if special is not None and special.notional_micros is not None:
            labels.append("accepted: a notional")
        if event.quantity % 10**6:
            labels.append("accepted: a fraction of a share")
        return labels

    def _chains(self, events: list[Event]) -> list[str]:
        """What needs more than one event to be told."""
        labels: list[str] = []
        triggered = [at for at, event in enumerate(events) if isinstance(event, OrderTriggered)]
        if len(triggered) > 1 and any(isinstance(event, Traded) for event in events[triggered[0] : triggered[-1]]):
            labels.append("a fill by a stop that another stop's fill elected")
        if sum(isinstance(event, OrderActivated) for event in events) >= 2:
            labels.append("a bracket's exits activated")
        if any(isinstance(event, Traded) for event in events):
            ends = [event for event in events if isinstance(event, OrderCanceled | OrderReduced)]
            grouped = [event for event in ends if event.reason is CancelReason.GROUP]
            labels += ["an oco's other order canceled" for event in grouped if isinstance(event, OrderCanceled)]
            labels += ["an oco's other order reduced" for event in grouped if isinstance(event, OrderReduced)]
        return labels
