"""Who is asking: what every process that lets somebody in knows about them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from trading.core.orders import AccountId


class Role(StrEnum):
    TRADER = "trader"
    MARKET_MAKER = "market_maker"
    ANALYST = "analyst"  # reads only
    RISK_OFFICER = "risk_officer"  # limits, kill switches, halts
    OPERATOR = "operator"  # accounts, keys, sessions, topology


OFFICERS: Final = frozenset({Role.RISK_OFFICER, Role.OPERATOR})  # they have no account, all others have one


@dataclass(frozen=True, slots=True)
class Identity:
    """``name`` is what audit rows and logs say, as in ``key PK7..`` or ``person alice``."""

    name: str
    role: Role
    account_id: AccountId | None  # the account whose objects are this caller's own; officers have none
