"""What do risk, ledger and events cost on top of matching? Peer: the bare order book on the same messages."""

from __future__ import annotations

from flow import Message, messages
from matching import run_order_book
from rounds import alternate, report

from trading.core.commands import CancelOrder, Command, Deposit, ListInstrument, OpenAccount, PlaceOrder
from trading.core.events import CASH
from trading.core.exchange import Exchange
from trading.core.orders import AccountId, OrderId, OrderType, Side, Symbol, TimeInForce

GOAL = 200_000
ROUNDS = 5
ACCOUNTS = 20
SYMBOL = Symbol("AAA")


def account_of(order_id: int) -> AccountId:
    return AccountId(order_id % ACCOUNTS + 1)


def command(message: Message) -> Command:
    order_id, is_buy, price_micros, quantity = message
    account_id = account_of(order_id)
    if not quantity:
        return CancelOrder(order_id, account_id, OrderId(order_id))
    side = Side.BUY if is_buy else Side.SELL
    name = f"client-order-{order_id:08d}"
    return PlaceOrder(
        order_id, account_id, name, SYMBOL, side, OrderType.LIMIT, TimeInForce.GTC, quantity, price_micros
    )


def opened_exchange() -> Exchange:
    exchange = Exchange()
    exchange.apply(ListInstrument(0, SYMBOL, 10_000))
    for account_id in map(AccountId, range(1, ACCOUNTS + 1)):
        exchange.apply(OpenAccount(0, account_id))
        exchange.apply(Deposit(0, account_id, CASH, 10**16))
        exchange.apply(Deposit(0, account_id, SYMBOL, 10**9))
    return exchange


def run_exchange(commands: list[Command]) -> int:
    """How many trades there were; every command must be accepted."""
    exchange = opened_exchange()
    before, apply = exchange.sequence, exchange.apply
    for each in commands:
        apply(each)
    assert exchange.sequence == before + len(commands), "a command was refused"
    return exchange.last_trade_id


def main() -> None:
    flow = messages()
    commands = [command(message) for message in flow]
    trades, _ = run_order_book(flow)
    assert run_exchange(commands) == trades, "the exchange and its bare book disagree"
    print(f"{len(commands):,} commands, {trades:,} trades")

    def exchange() -> int:
        run_exchange(commands)
        return len(commands)

    def bare_order_book() -> int:
        run_order_book(flow)
        return len(flow)

    rates = alternate({"exchange": exchange, "bare order book": bare_order_book}, ROUNDS)
    report("exchange", unit="commands/s", goal=GOAL, rates=rates)


if __name__ == "__main__":
    main()
