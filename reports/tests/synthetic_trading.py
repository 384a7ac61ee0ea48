"""What clients and operators do in a synthetic record: orders of every kind, fees, margin, a halt in between."""

from __future__ import annotations

import json
import random
from typing import Any

from reports.tests.synthetic_platform import MS, START_NS, SYMBOLS, Plan, S, Simulation
from trading.core.commands import (
    CancelOrder,
    ChangePhase,
    Command,
    Deposit,
    ListInstrument,
    OpenAccount,
    PlaceOrder,
    ReplaceOrder,
    SetFees,
    Transfer,
    Withdraw,
)
from trading.core.events import CASH
from trading.core.orders import (
    MICROS_PER_SHARE,
    OPEN_STATUSES,
    AccountId,
    AccountTerms,
    FeeSchedule,
    Instrument,
    OrderClass,
    OrderType,
    Phase,
    SelfTrade,
    Side,
    SpecialTerms,
    TimeInForce,
)
from trading.wire.orders import OrderView, decimal_text, order_uuid, public_order

ACCOUNTS = tuple(AccountId(number) for number in range(1, 9))
MARGIN_ACCOUNT = ACCOUNTS[-1]  # with little cash and no shares
PRICE_MICROS, TICK_MICROS = 100_000_000, 10_000
FEES = FeeSchedule(
    taker_ppb=300_000,
    maker_ppb=-100_000,
    regulatory_ppb=27_800,
    regulatory_nanos_per_share=166_000,
    regulatory_cap_micros=8_300_000,
)
_SELF_TRADE = dict(zip(ACCOUNTS, SelfTrade, strict=False))
_IMMEDIATE = (TimeInForce.IOC, TimeInForce.FOK)
_LASTING = (TimeInForce.DAY, TimeInForce.GTC)

Terms = tuple[OrderType, TimeInForce, int | None, SpecialTerms | None]


def open_markets(simulation: Simulation) -> None:
    at_ns = START_NS
    for symbol in SYMBOLS:
        terms = Instrument(
            symbol,
            tick_micros=TICK_MICROS,
            sub_dollar_tick_micros=100,
            lot=MICROS_PER_SHARE,
            reference_price_micros=PRICE_MICROS,
            collar_ppm=200_000,
            band_ppm=100_000,
            halt_ns=5 * S,
            shortable=True,
            fractionable=True,
        )
        simulation.apply(ListInstrument(at_ns, terms))
        simulation.apply(ChangePhase(at_ns, symbol, Phase.CONTINUOUS))
    simulation.apply(SetFees(at_ns, FEES))
    for account in ACCOUNTS:
        margin = account == MARGIN_ACCOUNT
        self_trade = _SELF_TRADE.get(account, SelfTrade.CANCEL_NEWEST)
        simulation.apply(OpenAccount(at_ns, account, AccountTerms(2 if margin else 1, self_trade)))
        simulation.apply(Deposit(at_ns, account, "USD", 3 * 10**9 if margin else 10**12))
        for symbol in () if margin else SYMBOLS:
            simulation.apply(Deposit(at_ns, account, symbol, 10_000 * MICROS_PER_SHARE))


def trade(simulation: Simulation) -> None:
    plan, rng = simulation.plan, simulation.rng
    number = int((plan.end_s - plan.warm_up_s) * plan.rate_per_s)
    span_ns = int((plan.end_s - plan.warm_up_s) * S)
    intended = sorted(START_NS + int(plan.warm_up_s * S) + rng.randrange(span_ns) for _ in range(number))
    drawn = [(at_ns, _latency_ns(plan, rng, at_ns), operation_id) for operation_id, at_ns in enumerate(intended)]
    reader = random.Random(plan.seed)  # one of its own: who looks draws nothing away from who trades
    for done, (at_ns, latency_ns, operation_id) in enumerate(sorted(drawn, key=lambda draw: draw[0] + draw[1])):
        times = (at_ns, at_ns + rng.randrange(200_000), at_ns + latency_ns)
        for command in _operators_commands(times[2] - MS, done * 100 // number, (done - 1) * 100 // number):
            simulation.apply(command)
        operation = _about_an_open_order(simulation, times, operation_id) or _place(simulation, times, operation_id)
        simulation.operations.append(operation | _identity(operation_id))
        simulation.operations += _questions(simulation, reader, times[2] - MS)
    simulation.operations.sort(key=lambda operation: (operation["intended_ns"], operation["source"]))


def _questions(simulation: Simulation, rng: random.Random, at_ns: int) -> list[dict[str, Any]]:
    """Now and then somebody of the market looks up an order, lists an account's open ones, or asks for its cash."""
    draw, account = rng.random(), rng.choice(ACCOUNTS)
    mine = [order for order in simulation.orders.values() if order.account_id == account and order.client_order_id]
    question: dict[str, Any] = {"kind": "read", "account_id": account}
    if draw < 0.10 and mine:
        order = rng.choice(mine[-20:])
        question |= {"kind": "lookup", "client_order_id": order.client_order_id, "symbol": order.symbol}
        question |= {"order_id": order_uuid(order.order_id), "answer": json.dumps(public_order(order))}
    elif draw < 0.12:
        listed = [public_order(order) for order in mine if order.status in OPEN_STATUSES]
        question["answer"] = json.dumps(listed)
    elif draw < 0.18:
        cash = simulation.exchange.venue.accounts[account].holding(CASH)
        question["answer"] = json.dumps({"cash": decimal_text(cash.available + cash.reserved)})
    else:
        return []
    number = sum(operation["source"] == "market" for operation in simulation.operations)
    times = (at_ns - MS // 4, at_ns, at_ns + MS // 2)
    identity = {"source": "market", "operation_id": number, "endpoint": "http://127.0.0.1:8000"}
    return [{**question, **identity, **_times(times), "outcome": "ok", "http_status": 200}]


def _operators_commands(at_ns: int, percent: int, percent_before: int) -> list[Command]:
    """What happens when so much of the trading is done, once each."""
    if percent == percent_before:
        return []
    match percent:
        case 40:
            shares = 7 * MICROS_PER_SHARE
            return [
                Withdraw(at_ns, ACCOUNTS[0], "USD", 12_345_678),
                Transfer(at_ns, ACCOUNTS[0], ACCOUNTS[1], SYMBOLS[0], shares),
            ]
        case 50:
            return [ChangePhase(at_ns, SYMBOLS[1], Phase.HALTED)]
        case 53:
            return [ChangePhase(at_ns, SYMBOLS[1], Phase.CONTINUOUS)]
        case _:
            return []


def _identity(operation_id: int) -> dict[str, Any]:
    return {"source": "load", "operation_id": operation_id, "endpoint": f"http://127.0.0.1:{8000 + operation_id % 2}"}


def _latency_ns(plan: Plan, rng: random.Random, at_ns: int) -> int:
    since_s = (at_ns - START_NS) / S
    latency_ns = int((3 + rng.expovariate(1 / 4)) * MS)
    if plan.slow[0] <= since_s < plan.slow[1]:
        latency_ns += int(plan.slow_ms * MS)
    if plan.kill_s <= since_s + latency_ns / S and since_s < plan.kill_s + plan.kill_lasts_s:
        latency_ns += int((plan.kill_s + plan.kill_lasts_s - since_s) * S)
    return latency_ns


# -- orders ----------------------------------------------------------------------------------------


def _place(simulation: Simulation, times: tuple[int, int, int], operation_id: int) -> dict[str, Any]:
    rng = simulation.rng
    side = rng.choice(list(Side))
    order_type, time_in_force, limit_micros, special = _terms(rng, side)
    quantity = rng.randrange(1, 20) * MICROS_PER_SHARE
    if special is None and time_in_force is TimeInForce.DAY and rng.random() < 0.1:
        quantity += rng.randrange(1, MICROS_PER_SHARE)
    command = PlaceOrder(
        at_ns=times[2] - MS,
        account_id=rng.choice(ACCOUNTS),
        client_order_id=f"load-{simulation.plan.seed}-{operation_id}",
        symbol=rng.choice(SYMBOLS),
        side=side,
        order_type=order_type,
        time_in_force=time_in_force,
        quantity=quantity,
        limit_price_micros=limit_micros,
        special=special,
    )
    fields = {name: value for name, value in command._asdict().items() if name not in ("at_ns", "special")}
    lost = times[2] - times[0] > 500 * MS and rng.random() < 0.3
    if lost:
        if rng.random() < 0.5:
            simulation.apply(command)
        answer: dict[str, Any] = {"outcome": "unknown", "http_status": 504, "order_id": None, "answer": '{"code": 504}'}
    else:
        answer = _answer(simulation, command)
    return {"kind": "place", **fields, **_times(times), **answer}


def _terms(rng: random.Random, side: Side) -> Terms:
    """Mostly plain market and limit orders; some stops, brackets and pairs of exits."""
    sign = 1 if side is Side.SELL else -1
    price = PRICE_MICROS + sign * TICK_MICROS * rng.randrange(-3, 12)
    beyond = TICK_MICROS * rng.randrange(10, 25)  # a stop lies against the order, a profit's limit with it
    match rng.choices(("market", "limit", "stop", "trailing_stop", "bracket", "oco"), weights=(10, 75, 5, 3, 5, 3))[0]:
        case "market":
            return OrderType.MARKET, TimeInForce.DAY, None, None
        case "stop":
            return OrderType.STOP, TimeInForce.GTC, None, SpecialTerms(PRICE_MICROS - sign * beyond // 2)
        case "trailing_stop":
            return OrderType.TRAILING_STOP, TimeInForce.DAY, None, SpecialTerms(trail_micros=beyond // 2)
        case "bracket":
            special = SpecialTerms(
                order_class=OrderClass.BRACKET,
                take_profit_micros=price - sign * beyond,
                stop_loss_micros=price + sign * beyond,
            )
            return OrderType.LIMIT, TimeInForce.DAY, price, special
        case "oco":
            special = SpecialTerms(
                order_class=OrderClass.OCO,
                take_profit_micros=price,
                stop_loss_micros=price - sign * (beyond + 15 * TICK_MICROS),
            )
            return OrderType.LIMIT, TimeInForce.GTC, price, special
        case _:
            return OrderType.LIMIT, rng.choice((*_LASTING, *_IMMEDIATE)), price, None


def _about_an_open_order(
    simulation: Simulation, times: tuple[int, int, int], operation_id: int
) -> dict[str, Any] | None:
    """A cancel or a replacement; None when it is not the time for one."""
    share = simulation.rng.random()
    orders = [order for order in simulation.orders.values() if order.status in OPEN_STATUSES and order.client_order_id]
    if share >= 0.25 or not orders or times[2] - times[0] > 500 * MS:
        return None
    order = simulation.rng.choice(orders)
    if share < 0.2:
        return _cancel(simulation, times, order)
    if order.order_type is OrderType.LIMIT and order.special is None and order.time_in_force in _LASTING:
        return _replace(simulation, times, order, operation_id)
    return None


def _cancel(simulation: Simulation, times: tuple[int, int, int], order: OrderView) -> dict[str, Any]:
    simulation.apply(CancelOrder(times[2] - MS, order.account_id, order.order_id))
    found = {"account_id": order.account_id, "client_order_id": order.client_order_id, "symbol": order.symbol}
    answer = {"outcome": "ok", "http_status": 204, "order_id": order_uuid(order.order_id)}
    return {"kind": "cancel", **found, **_times(times), **answer}


def _replace(
    simulation: Simulation, times: tuple[int, int, int], order: OrderView, operation_id: int
) -> dict[str, Any]:
    """By a smaller order at the same price, or by one that is a tick away."""
    rng, smaller, moved = simulation.rng, None, None
    if rng.random() < 0.5 and order.leaves >= 2 * MICROS_PER_SHARE:
        smaller = order.quantity - MICROS_PER_SHARE
    else:
        moved = (order.limit_price_micros or 0) + rng.choice((-1, 1)) * TICK_MICROS
    client_order_id = f"load-{simulation.plan.seed}-{operation_id}"
    command = ReplaceOrder(times[2] - MS, order.account_id, order.order_id, client_order_id, smaller, moved)
    asked = {
        "account_id": order.account_id,
        "client_order_id": client_order_id,
        "symbol": order.symbol,
        "quantity": smaller,
        "limit_price_micros": moved,
    }
    return {"kind": "replace", **asked, **_times(times), **_answer(simulation, command)}


def _answer(simulation: Simulation, command: PlaceOrder | ReplaceOrder) -> dict[str, Any]:
    if not isinstance(simulation.apply(command), list):
        return {"outcome": "fail", "http_status": 422, "order_id": None, "answer": '{"code": 422}'}
    order_id = simulation.exchange.known_order(command.account_id, command.client_order_id)
    assert order_id is not None
    answer = json.dumps(public_order(simulation.orders[order_id]))
    return {"outcome": "ok", "http_status": 200, "order_id": order_uuid(order_id), "answer": answer}


def _times(times: tuple[int, int, int]) -> dict[str, int]:
    return dict(zip(("intended_ns", "sent_ns", "done_ns"), times, strict=True))
