"""Commands no sensible client sends, of which the exchange must refuse each without a trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from trading.core.commands import (
    CancelAll,
    CancelOrder,
    ChangeAccount,
    ChangeInstrument,
    ChangePhase,
    Command,
    Deposit,
    ListInstrument,
    OpenAccount,
    PlaceOrder,
    ReplaceOrder,
    SetFees,
    SetKillSwitch,
    Transfer,
    Withdraw,
)
from trading.core.events import CASH
from trading.core.orders import (
    AccountId,
    AccountTerms,
    FeeSchedule,
    Instrument,
    Limits,
    OrderClass,
    OrderId,
    OrderType,
    Phase,
    SpecialTerms,
    Symbol,
    TimeInForce,
)

if TYPE_CHECKING:
    from .flow import Flow

NUMBERS = (
    0,
    1,
    2,
    7,
    -1,
    -(10**6),
    3,
    10**12,
    10**12 + 1,
    10**15,
    10**15 + 1,
    10**17,
    10**18,
    2**63,
    -(2**63),
    10**400,
)
NAMES = ("", "x" * 48, "x" * 49, "line\nfeed", "\x00", "snö", " ")
NOWHERE, NOBODY = Symbol("NOWHERE"), AccountId(77)


def absurd_command(flow: Flow) -> Command:
    kinds: tuple[Callable[[Flow], Command], ...] = (_order, _order, _order, _replacement, _other, _other, _settings)
    return kinds[flow.draw.randrange(len(kinds))](flow)


def _number(flow: Flow) -> int:
    return NUMBERS[flow.draw.randrange(len(NUMBERS))]


def _maybe(flow: Flow) -> int | None:
    return _number(flow) if flow.draw.randrange(3) == 0 else None


def _sensible(flow: Flow) -> PlaceOrder:
    command = flow.order()
    while not isinstance(command, PlaceOrder):
        command = flow.order()
    return command


def _order(flow: Flow) -> Command:
    """A sensible order with one thing made absurd."""
    draw, command = flow.draw, _sensible(flow)
    special = command.special or SpecialTerms()
    wrong: tuple[Callable[[], PlaceOrder], ...] = (
        lambda: command._replace(quantity=_number(flow)),
        lambda: command._replace(limit_price_micros=_number(flow)),
        lambda: command._replace(limit_price_micros=(command.limit_price_micros or 10**7) + 1),
        lambda: command._replace(quantity=10**15),
        lambda: command._replace(account_id=NOBODY),
        lambda: command._replace(symbol=NOWHERE),
        lambda: command._replace(client_order_id=NAMES[draw.randrange(len(NAMES))]),
        lambda: command._replace(at_ns=command.at_ns - 10**12),
        lambda: command._replace(order_type=tuple(OrderType)[draw.randrange(5)]),
        lambda: command._replace(time_in_force=tuple(TimeInForce)[draw.randrange(6)]),
        lambda: command._replace(special=special._replace(order_class=tuple(OrderClass)[draw.randrange(4)])),
        lambda: command._replace(special=special._replace(post_only=not special.post_only)),
        lambda: command._replace(special=special._replace(notional_micros=_number(flow))),
        lambda: command._replace(special=_any_terms(flow)),
    )
    return wrong[draw.randrange(len(wrong))]()


def _any_terms(flow: Flow) -> SpecialTerms:
    classes = tuple(OrderClass)
    terms = SpecialTerms(_maybe(flow), _maybe(flow), _maybe(flow), _maybe(flow), flow.draw.randrange(2) == 0)
    exits = (classes[flow.draw.randrange(4)], _maybe(flow), _maybe(flow), _maybe(flow))
    return SpecialTerms(*terms[:5], *exits)


def _replacement(flow: Flow) -> Command:
    order_id = OrderId(max(flow.open, default=OrderId(1)) + flow.draw.randrange(4) - 3)
    name = NAMES[flow.draw.randrange(len(NAMES))] if flow.draw.randrange(4) == 0 else flow.name()
    given = (_maybe(flow), _maybe(flow), _maybe(flow), _maybe(flow))
    lasting = tuple(TimeInForce)[flow.draw.randrange(6)] if flow.draw.randrange(3) == 0 else None
    account_id = flow.account()
    if order_id in flow.open and flow.draw.randrange(4):
        account_id = flow.open[order_id].account_id
    return ReplaceOrder(flow.now_ns, account_id, order_id, name, *given, lasting)


def _other(flow: Flow) -> Command:
    draw, now, number = flow.draw, flow.now_ns, _number(flow)
    account_id = (flow.account(), NOBODY, AccountId(number))[draw.randrange(3)]
    symbol = (flow.symbol(), NOWHERE)[draw.randrange(2)]
    asset = (CASH, symbol)[draw.randrange(2)]
    amount = number if draw.randrange(2) else 1
    absurdities: tuple[Command, ...] = (
        CancelOrder(now, account_id, OrderId(number)),
        CancelOrder(now, flow.account(), OrderId(draw.randrange(60))),
        CancelAll(now, account_id, symbol),
        Deposit(now, account_id, asset, -abs(amount) if amount < 10**18 else amount),
        Withdraw(now, account_id, asset, amount),
        Transfer(now, account_id, flow.account(), asset, amount),
        ChangePhase(now, symbol, tuple(Phase)[draw.randrange(5)]),
        SetKillSwitch(now, account_id, False),
    )
    return absurdities[draw.randrange(len(absurdities))]


def _settings(flow: Flow) -> Command:
    draw, now, number = flow.draw, flow.now_ns, _number(flow)
    instrument = flow.instruments[flow.symbol()]
    field = Instrument._fields[draw.randrange(8)]
    other = ("", "USD", "TOO LONG FOR A SYMBOL", "É")[draw.randrange(4)] if field == "symbol" else number
    terms_of: dict[str, Any] = {field: other}
    wrong_instrument = instrument._replace(**terms_of)
    terms = AccountTerms(number, limits=Limits(*[_maybe(flow) for _ in range(5)]))
    absurdities: tuple[Command, ...] = (
        ListInstrument(now, wrong_instrument if wrong_instrument.symbol != NOWHERE else instrument),
        ChangeInstrument(now, wrong_instrument),
        ChangeInstrument(now, instrument),
        OpenAccount(now, AccountId(-abs(number)), terms),
        OpenAccount(now, flow.account(), terms._replace(multiplier=1)),
        ChangeAccount(now, flow.account(), terms._replace(multiplier=abs(number) + 3)),
        SetFees(now, FeeSchedule(number, _number(flow), 0, number, number)),
    )
    return absurdities[draw.randrange(len(absurdities))]
