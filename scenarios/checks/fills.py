"""Fills add up: per order to what the order says, per trade to two sides that agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from reports.bounds import bound_text
from reports.record import Record
from reports.rows import Fill
from scenarios.checks.charges import value_micros
from scenarios.checks.check import Check, Evidence, Findings, present
from trading.core.events import OrderReduced
from trading.core.orders import OrderId, OrderStatus, Side
from trading.wire.orders import OrderView

_UNTOUCHED: Final = (OrderStatus.HELD, OrderStatus.NEW)


def examine_orders(record: Record) -> Findings:
    """Filled quantity and value of every order are the sums of its fills, within its quantity and its limit.

    What was taken from an order without trading is what the journal took from it.
    """
    orders = present(record.orders, "order in the orders table")
    fills: dict[int, list[Fill]] = defaultdict(list)
    for fill in record.fills:
        fills[fill.order_id].append(fill)
    reduced = _reduced(record)
    violations = [
        _row(order, problem)
        for order in orders
        for problem in _order_problems(order, fills[order.order_id], reduced[order.order_id])
    ]
    known = {order.order_id for order in orders}
    violations += [
        {"order_id": order_id, "problem": f"does not exist, and has fills ({len(rows)})"}
        for order_id, rows in fills.items()
        if order_id not in known
    ]
    wrong = bound_text(len({row["order_id"] for row in violations}), len(orders), "orders do not add up")
    summary = f"{len(orders):,} orders against {len(record.fills):,} fills: {wrong}"
    return Findings(summary, violations)


def examine_trades(record: Record) -> Findings:
    """Both sides of every trade name the same symbol, price and quantity, and belong to the orders they name."""
    sides: dict[int, list[Fill]] = defaultdict(list)
    for fill in present(record.fills, "fill"):
        sides[fill.trade_id].append(fill)
    orders = {order.order_id: order for order in record.orders}
    violations = [
        {"trade_id": trade_id, "problem": problem}
        for trade_id, fills in sorted(sides.items())
        for problem in _trade_problems(fills, orders)
    ]
    disagreeing = len({row["trade_id"] for row in violations})
    return Findings(bound_text(disagreeing, len(sides), "trades disagree between their sides"), violations)


def _reduced(record: Record) -> dict[int, int]:
    """Micro-shares taken from each order without trading."""
    reduced: dict[int, int] = defaultdict(int)
    for entry in record.journal:
        for event in entry.events:
            if isinstance(event, OrderReduced):
                reduced[event.order_id] += event.quantity
    return reduced


def _order_problems(order: OrderView, fills: list[Fill], reduced: int) -> list[str]:
    quantity = sum(fill.quantity for fill in fills)
    value = sum(value_micros(fill.quantity, fill.price_micros) for fill in fills)
    problems = []
    if order.filled_quantity != quantity:
        problems.append(f"filled {order.filled_quantity} micro-shares, its fills make {quantity}")
    if order.reduced_quantity != reduced:
        problems.append(f"reduced by {order.reduced_quantity} micro-shares, the journal took {reduced}")
    if order.filled_value_micros != value:
        problems.append(f"filled for {order.filled_value_micros} micro-dollars, its fills make {value}")
    leaves = order.quantity - quantity - reduced
    if leaves < 0:
        problems.append(f"filled {quantity} and reduced by {reduced} of {order.quantity} micro-shares")
    if (order.status is OrderStatus.FILLED) != (leaves == 0):
        problems.append(f"is {order.status} with {leaves} of {order.quantity} micro-shares left")
    if (order.status in _UNTOUCHED and quantity) or (order.status is OrderStatus.PARTIALLY_FILLED and not quantity):
        problems.append(f"is {order.status} with {quantity} micro-shares filled")
    if any(_beyond_limit(order, fill) for fill in fills):
        problems.append("was filled at a price beyond its limit")
    return problems


def _beyond_limit(order: OrderView, fill: Fill) -> bool:
    if order.limit_price_micros is None:
        return False
    if order.side is Side.BUY:
        return fill.price_micros > order.limit_price_micros
    return fill.price_micros < order.limit_price_micros


def _trade_problems(fills: list[Fill], orders: Mapping[OrderId, OrderView]) -> list[str]:
    if sorted(fill.side for fill in fills) != ["buy", "sell"]:
        return [f"has the sides {[fill.side for fill in fills]}"]
    problems = []
    if sorted(fill.liquidity for fill in fills) not in (["maker", "taker"], ["auction", "auction"]):
        problems.append(f"has the liquidity {[fill.liquidity for fill in fills]}")
    if len({(fill.symbol, fill.price_micros, fill.quantity, fill.sequence) for fill in fills}) != 1:
        problems.append("its sides differ in symbol, price, quantity or sequence")
    for fill in fills:
        order = orders.get(OrderId(fill.order_id))
        if order and (order.side, order.symbol, order.account_id) != (fill.side, fill.symbol, fill.account_id):
            problems.append(f"its {fill.side} side is not the order {fill.order_id} it names")
    return problems


def _row(order: OrderView, problem: str) -> Evidence:
    return {"order_id": order.order_id, "client_order_id": order.client_order_id, "problem": problem}


ORDERS_CHECK = Check("fills_add_up", "Filled quantity and value are the sum of fills", examine_orders)
TRADES_CHECK = Check("trades_agree", "Both sides of every trade agree", examine_trades)
