"""What do risk, ledger and events cost on top of matching? Peer: the bare order book on the same messages.

Buyers and sellers are different accounts; where each account does both, the exchange must look out for trades of an
account with itself, which is measured beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from flow import Message, again_and_again, messages
from matching import run_order_book
from rounds import alternate, report

from trading.core.commands import CancelOrder, ChangePhase, Command, Deposit, ListInstrument, OpenAccount, PlaceOrder
from trading.core.events import CASH
from trading.core.exchange import Exchange
from trading.core.orders import (
    MICROS_PER_DOLLAR,
    MICROS_PER_SHARE,
    AccountId,
    Instrument,
    OrderId,
    OrderType,
    Phase,
    Side,
    Symbol,
    TimeInForce,
)

GOAL = 200_000
ROUNDS = 3
HISTORY = 10
ACCOUNTS = 20
SYMBOL = Symbol("AAA")
INSTRUMENT = Instrument(
    symbol=SYMBOL,
    tick_micros=10_000,
    sub_dollar_tick_micros=100,
    lot=MICROS_PER_SHARE,
    reference_price_micros=100 * MICROS_PER_DOLLAR,
    collar_ppm=100_000,
    band_ppm=0,
    halt_ns=0,
)
MESSAGE_NS = 5_000


def commands(flow: list[Message], first_ns: int = 0, *, apart: bool = True) -> list[Command]:
    """One per message. ``apart``: half of the accounts buys and half of them sells."""
    made: list[Command] = []
    accounts: dict[int, AccountId] = {}
    for number, (order_id, is_buy, price_micros, quantity) in enumerate(flow):
        at_ns = first_ns + number * MESSAGE_NS
        if not quantity:
            made.append(CancelOrder(at_ns, accounts.pop(order_id), OrderId(order_id)))
            continue
        side = Side.BUY if is_buy else Side.SELL
        owner = order_id % ACCOUNTS // 2 * 2 + is_buy if apart else order_id % ACCOUNTS
        account_id = accounts[order_id] = AccountId(owner + 1)
        name = f"client-order-{order_id:010d}"
        terms = (SYMBOL, side, OrderType.LIMIT, TimeInForce.GTC, quantity, price_micros)
        made.append(PlaceOrder(at_ns, account_id, name, *terms))
    return made


def opening() -> list[Command]:
    """What is to be done before the first order: accounts with plenty of everything, and an open market."""
    todo: list[Command] = [ListInstrument(0, INSTRUMENT)]
    for account_id in map(AccountId, range(1, ACCOUNTS + 1)):
        todo += [OpenAccount(0, account_id), *(Deposit(0, account_id, asset, 10**17) for asset in (CASH, SYMBOL))]
    return [*todo, ChangePhase(0, SYMBOL, Phase.CONTINUOUS)]


def opened_exchange() -> Exchange:
    exchange = Exchange()
    run_exchange(exchange, opening())
    return exchange


def run_exchange(exchange: Exchange, todo: list[Command]) -> int:
    apply = exchange.apply
    for each in todo:
        apply(each)
    return len(todo)


def checked(flow: list[Message], todo: list[Command]) -> int:
    """How many trades there were: as many as in the bare book, and every command is accepted."""
    exchange = opened_exchange()
    before = exchange.sequence
    run_exchange(exchange, todo)
    assert exchange.sequence == before + len(todo), "a command was refused"
    trades, _ = run_order_book(flow)
    assert exchange.last_trade_id == trades, "the exchange and its bare book disagree"
    return trades


def commands_without_end(flow: list[Message]) -> Iterator[list[Command]]:
    next_ns = 0
    for once in again_and_again(flow):
        yield commands(once, next_ns)
        next_ns += len(once) * MESSAGE_NS


def exchange_with_history(flow: list[Message]) -> tuple[Exchange, Iterator[list[Command]]]:
    """An exchange that has gone through the flow many times, and the commands of one more time for every round."""
    exchange, passes = opened_exchange(), commands_without_end(flow)
    for todo in islice(passes, HISTORY):
        run_exchange(exchange, todo)
    return exchange, iter(list(islice(passes, ROUNDS)))


def main() -> None:
    flow = messages()
    todo, mixed = commands(flow), commands(flow, apart=False)
    print(f"{len(todo):,} commands, {checked(flow, todo):,} trades")
    old, later = exchange_with_history(flow)
    rates = alternate(
        {
            "exchange": lambda: run_exchange(opened_exchange(), todo),
            f"itself after {HISTORY} x the commands": lambda: run_exchange(old, next(later)),
            "itself, each account on both sides": lambda: run_exchange(opened_exchange(), mixed),
            "bare order book": lambda: len(flow) if run_order_book(flow) else 0,
        },
        ROUNDS,
    )
    report("exchange", unit="commands/s", goal=GOAL, rates=rates)


if __name__ == "__main__":
    main()
