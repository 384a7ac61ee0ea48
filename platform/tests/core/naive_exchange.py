"""The exchange's specification: slow, obvious, written from the rules and not from the code it judges.

One list of open orders and one list of postings; everything else is searched or summed when it is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

from trading.core.commands import CancelOrder, CloseSession, Command, Deposit, ListInstrument, OpenAccount, PlaceOrder
from trading.core.events import (
    AccountOpened,
    Bucket,
    Event,
    InstrumentListed,
    LedgerPosted,
    OrderAccepted,
    OrderCanceled,
    OrderRested,
    Outcome,
    Refused,
    Repeated,
    SessionClosed,
    Traded,
)
from trading.core.orders import AccountId, CancelReason, OrderId, OrderType, RejectReason, Side, TimeInForce, TradeId

AVAILABLE, RESERVED = Bucket.AVAILABLE, Bucket.RESERVED


@dataclass
class Open:
    order_id: OrderId
    command: PlaceOrder
    leaves: int

    @property
    def price(self) -> int:
        assert self.command.limit_price_micros is not None
        return self.command.limit_price_micros


class RefusedError(Exception):
    def __init__(self, reason: RejectReason) -> None:
        super().__init__(reason)
        self.reason = reason


class NaiveExchange:
    def __init__(self) -> None:
        self.instruments: dict[str, int] = {}
        self.accounts: list[int] = []
        self.placed: list[tuple[OrderId, PlaceOrder]] = []
        self.open: list[Open] = []
        self.postings: list[LedgerPosted] = []
        self.events: list[Event] = []
        self.trades = 0

    def apply(self, command: Command) -> Outcome:
        self.events = []
        try:
            repeated = self._dispatch(command)
        except RefusedError as error:
            assert not self.events, "a refused command changes nothing"
            return Refused(error.reason, "")
        return repeated or self.events

    def balance(self, account: int, asset: str) -> tuple[int, int]:
        return self._held(account, asset, AVAILABLE), self._held(account, asset, RESERVED)

    def _held(self, account: int, asset: str, bucket: Bucket) -> int:
        mine = [posting for posting in self.postings if posting.asset == asset]
        gained = sum(p.amount for p in mine if (p.credit_account_id, p.credit_bucket) == (account, bucket))
        lost = sum(p.amount for p in mine if (p.debit_account_id, p.debit_bucket) == (account, bucket))
        return gained - lost

    def _post(self, debit: tuple[int, Bucket], credit: tuple[int, Bucket], asset: str, amount: int) -> None:
        if amount:
            posting = LedgerPosted(AccountId(debit[0]), debit[1], AccountId(credit[0]), credit[1], asset, amount)
            self.postings.append(posting)
            self.events.append(posting)

    def _dispatch(self, command: Command) -> Repeated | None:
        match command:
            case ListInstrument():
                require(command.symbol not in self.instruments, RejectReason.ALREADY_EXISTS)
                self.instruments[command.symbol] = command.tick_micros
                self.events.append(InstrumentListed(command.symbol, command.tick_micros))
            case OpenAccount():
                require(command.account_id not in self.accounts, RejectReason.ALREADY_EXISTS)
                self.accounts.append(command.account_id)
                self.events.append(AccountOpened(command.account_id))
            case Deposit():
                require(command.account_id in self.accounts, RejectReason.UNKNOWN_ACCOUNT)
                require(command.asset in {"USD", *self.instruments}, RejectReason.UNKNOWN_SYMBOL)
                require(0 < command.amount <= 10**17, RejectReason.INVALID_AMOUNT)
                self._post((0, AVAILABLE), (command.account_id, AVAILABLE), command.asset, command.amount)
            case PlaceOrder():
                return self._place(command)
            case CancelOrder():
                self._cancel(command)
            case CloseSession():
                require(command.symbol in self.instruments, RejectReason.UNKNOWN_SYMBOL)
                self.events.append(SessionClosed(command.symbol))
                for order in sorted(self.open, key=lambda order: order.order_id):
                    if (order.command.symbol, order.command.time_in_force) == (command.symbol, TimeInForce.DAY):
                        self._withdraw(order, CancelReason.SESSION_CLOSED)
        return None

    def _cancel(self, command: CancelOrder) -> None:
        require(command.account_id in self.accounts, RejectReason.UNKNOWN_ACCOUNT)
        found = [order for order in self.open if order.order_id == command.order_id]
        was_placed = any(order_id == command.order_id for order_id, _ in self.placed)
        require(bool(found) or not was_placed, RejectReason.NOT_CANCELABLE)
        require(bool(found) and found[0].command.account_id == command.account_id, RejectReason.UNKNOWN_ORDER)
        self._withdraw(found[0], CancelReason.CLIENT)

    def _withdraw(self, order: Open, reason: CancelReason) -> None:
        self.open.remove(order)
        self._canceled(order, order.price, reason)

    def _canceled(self, order: Open, rested_at: int | None, reason: CancelReason) -> None:
        command = order.command
        self.events.append(
            OrderCanceled(
                order.order_id, command.account_id, command.symbol, command.side, rested_at, order.leaves, reason
            )
        )
        account = command.account_id
        if command.side is Side.SELL:
            self._post((account, RESERVED), (account, AVAILABLE), command.symbol, order.leaves)
        elif command.limit_price_micros is not None:
            self._post((account, RESERVED), (account, AVAILABLE), "USD", order.leaves * command.limit_price_micros)

    def _place(self, command: PlaceOrder) -> Repeated | None:
        require(command.account_id in self.accounts, RejectReason.UNKNOWN_ACCOUNT)
        for order_id, earlier in self.placed:
            if earlier[1:3] == command[1:3]:
                require(earlier[1:] == command[1:], RejectReason.CLIENT_ORDER_ID_REUSED)
                return Repeated(order_id)
        self._check_terms(command)
        fills = self._fills(command)
        self._reserve(command, fills)
        order_id = OrderId(len(self.placed) + 1)
        self.placed.append((order_id, command))
        self.events.insert(0, OrderAccepted(order_id, *command[1:]))
        order = Open(order_id, command, command.quantity)
        for maker, quantity in fills:
            self._trade(order, maker, quantity)
        if order.leaves and (command.limit_price_micros is None or command.time_in_force is TimeInForce.IOC):
            self._canceled(order, None, CancelReason.UNFILLED)
        elif order.leaves:
            self.open.append(order)
            self.events.append(OrderRested(order_id, command.symbol, command.side, order.price, order.leaves))
        return None

    def _check_terms(self, command: PlaceOrder) -> None:
        require(command.symbol in self.instruments, RejectReason.UNKNOWN_SYMBOL)
        printable = 1 <= len(command.client_order_id) <= 48 and command.client_order_id.isprintable()
        require(printable, RejectReason.INVALID_CLIENT_ORDER_ID)
        require(1 <= command.quantity <= 10**9, RejectReason.INVALID_QUANTITY)
        price = command.limit_price_micros
        if command.order_type is OrderType.MARKET:
            require(price is None, RejectReason.INVALID_PRICE)
            return
        tick = self.instruments[command.symbol]
        require(price is not None and 1 <= price <= 10**12 and price % tick == 0, RejectReason.INVALID_PRICE)
        require((price or 0) * command.quantity <= 10**15, RejectReason.ORDER_VALUE_TOO_LARGE)

    def _fills(self, command: PlaceOrder) -> list[tuple[Open, int]]:
        """Whom the order will trade with, best price first, then the longest waiting."""
        buying, limit = command.side is Side.BUY, command.limit_price_micros
        makers = [
            order
            for order in self.open
            if order.command.symbol == command.symbol
            and order.command.side is not command.side
            and (limit is None or (order.price <= limit if buying else order.price >= limit))
        ]
        makers.sort(key=lambda order: (order.price if buying else -order.price, order.order_id))
        fills, wanted = [], command.quantity
        for maker in makers:
            if wanted:
                fills.append((maker, min(wanted, maker.leaves)))
                wanted -= fills[-1][1]
        return fills

    def _reserve(self, command: PlaceOrder, fills: list[tuple[Open, int]]) -> None:
        if command.limit_price_micros is None:
            require(bool(fills), RejectReason.NO_LIQUIDITY)
            cost = sum(maker.price * quantity for maker, quantity in fills)
        else:
            cost = command.quantity * command.limit_price_micros
        buying, account = command.side is Side.BUY, command.account_id
        asset, needed = ("USD", cost) if buying else (command.symbol, command.quantity)
        enough = self.balance(account, asset)[0] >= needed
        require(enough, RejectReason.INSUFFICIENT_BUYING_POWER if buying else RejectReason.INSUFFICIENT_SHARES)
        self._post((account, AVAILABLE), (account, RESERVED), asset, needed)

    def _trade(self, taker: Open, maker: Open, quantity: int) -> None:
        self.trades += 1
        taker.leaves -= quantity
        maker.leaves -= quantity
        if not maker.leaves:
            self.open.remove(maker)
        symbol, side, price = taker.command.symbol, taker.command.side, maker.price
        of_maker = (maker.order_id, maker.command.account_id, maker.leaves)
        of_taker = (taker.order_id, taker.command.account_id, taker.leaves)
        self.events.append(Traded(TradeId(self.trades), symbol, price, quantity, side, *of_maker, *of_taker))
        buyer, seller = (taker.command, maker.command) if side is Side.BUY else (maker.command, taker.command)
        self._post((buyer.account_id, RESERVED), (seller.account_id, AVAILABLE), "USD", quantity * price)
        self._post((seller.account_id, RESERVED), (buyer.account_id, AVAILABLE), symbol, quantity)
        if buyer.limit_price_micros is not None:
            saved = quantity * (buyer.limit_price_micros - price)
            self._post((buyer.account_id, RESERVED), (buyer.account_id, AVAILABLE), "USD", saved)


def require(fulfilled: bool, reason: RejectReason) -> None:
    if not fulfilled:
        raise RefusedError(reason)
