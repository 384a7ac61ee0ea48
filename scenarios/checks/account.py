"""The account as a sequential object, for the referee: what may be done to it, one action after another."""

from __future__ import annotations

from typing import Final, NamedTuple

from trading.core.orders import OPEN_STATUSES, OrderStatus

_CENT_MICROS: Final = 10_000

# An order as the state holds it: what is filled of it times eight, and one of these. A held leg counts as open.
ABSENT: Final = 0
_OPEN: Final = 1
CLOSED: Final = {
    status: code for code, status in enumerate((s for s in OrderStatus if s not in OPEN_STATUSES), start=2)
}

_NAMES: Final = {ABSENT: "not there", _OPEN: "open", **{code: status.value for status, code in CLOSED.items()}}
TOO_LATE: Final = "order is already in"  # how a cancel of a closed order is refused

State = tuple[int, ...]  # cash in micro-dollars, then the orders


class Change(NamedTuple):
    """What one journal record did to one order."""

    order: int  # its place in the state
    created: bool
    filled: int
    closed: int  # CLOSED, 0: it stays open


class Action(NamedTuple):
    """All of one record's changes with the cash they moved, then what an answer showed of orders or of the cash."""

    what: str
    changes: tuple[Change, ...] = ()
    cash: int = 0
    shows: tuple[tuple[int, int], ...] = ()  # orders by their places, with their codes; ABSENT: it was denied
    refused: int | None = None  # an order's place: it was too late to cancel it
    shows_cash: int | None = None


def apply(state: State, action: Action) -> State | None:
    """The sequential account: orders are placed, filled while they are open, and closed once."""
    after = _changed(state, action) if action.changes or action.cash else state
    return after if after is not None and _explains(after, action) else None


def _changed(state: State, action: Action) -> State | None:
    changed = list(state)
    changed[0] += action.cash
    for change in action.changes:
        code = changed[change.order]
        if (code & 7) != (ABSENT if change.created else _OPEN):
            return None
        phase = change.closed or _OPEN
        changed[change.order] = (code & ~7) + change.filled * 8 + phase
    return tuple(changed)


def _explains(state: State, action: Action) -> bool:
    if any(state[place] != code for place, code in action.shows):
        return False
    if action.refused is not None and (state[action.refused] & 7) in (ABSENT, _OPEN):
        return False
    return action.shows_cash is None or abs(state[0] - action.shows_cash) < _CENT_MICROS


def code_of(status: OrderStatus, filled: int) -> int:
    """An order as the state holds it, of which ``filled`` micro-shares are."""
    return filled * 8 + CLOSED.get(status, _OPEN)


def said(action: Action) -> str:
    if action.shows_cash is not None:
        return f"it showed {action.shows_cash} micro-dollars"
    if action.refused is not None:
        return "it was refused as too late"
    if action.shows:
        told = [f"{code >> 3} micro-shares filled, {_NAMES[code & 7]}" for _, code in action.shows[:3]]
        return f"it showed {'; '.join(told)}"
    return f"it moved {action.cash} micro-dollars and {len(action.changes)} orders"
