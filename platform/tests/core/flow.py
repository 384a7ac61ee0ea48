"""A seeded flow of commands such as a busy market gets them: mostly sensible, now and then absurd."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from trading.core.commands import (
    EVERYBODY,
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
)
from trading.core.events import (
    CASH,
    AccountChanged,
    Event,
    InstrumentChanged,
    KillSwitchSet,
    LedgerPosted,
    OrderAccepted,
    OrderCanceled,
    OrderReplaced,
    Outcome,
    PhaseChanged,
    Traded,
)
from trading.core.orders import (
    MICROS_PER_DOLLAR,
    PLAIN,
    AccountId,
    OrderClass,
    OrderId,
    OrderType,
    Phase,
    Side,
    SpecialTerms,
    Symbol,
    TimeInForce,
)

from .absurd import absurd_command
from .listing import ACCOUNTS, CENT, FEES, INSTRUMENTS, NEXT_PHASES, POOR, SHARE, SHORT
from .settings_flow import change_of_settings, movement_of_assets


class Mood(NamedTuple):
    """How often what happens, in thousandths; the rest of the commands are new orders."""

    cancels: int = 150
    replacements: int = 130
    cancels_of_all: int = 10
    settings: int = 25
    movements: int = 25
    absurdities: int = 40
    repetitions: int = 8
    phases: int = 15  # of any market; one that is not open moves on much more often
    passive: int = 200  # of the limit orders: priced so as not to trade at once
    shares_each: int = 150
    dollars_each: int = 4_000


LIVELY = Mood()
BUSY = Mood(260, 60, 1, 1, 3, 3, 2, 1, 850, 20_000, 1_000_000)


class Flow:
    """Draws commands; what it is told of their outcomes keeps them sensible."""

    def __init__(self, draw: Random, mood: Mood) -> None:
        self.draw = draw
        self.mood = mood
        self.now_ns = 0
        self.names = 0
        self.marks = {instrument.symbol: instrument.reference_price_micros for instrument in INSTRUMENTS}
        self.phases = {instrument.symbol: Phase.CLOSED for instrument in INSTRUMENTS}
        self.instruments = {instrument.symbol: instrument for instrument in INSTRUMENTS}
        self.open: dict[OrderId, OrderAccepted] = {}
        self.ids: list[OrderId] = []  # of open orders, and of some that no longer are
        self.named: list[PlaceOrder | ReplaceOrder] = []
        self.repairs: list[SetKillSwitch | CancelAll | ChangeAccount | ChangeInstrument] = []
        self._kinds = self._kinds_of_commands()
        self._orders = self._kinds_of_orders()

    def opening(self) -> list[Command]:
        """Lists the instruments, opens and funds the accounts."""
        commands: list[Command] = [ListInstrument(0, instrument) for instrument in INSTRUMENTS]
        for account_id, terms in ACCOUNTS.items():
            commands.append(OpenAccount(0, account_id, terms))
            cash = self.mood.dollars_each * MICROS_PER_DOLLAR // (20 if account_id == POOR else 1)
            commands.append(Deposit(0, account_id, CASH, cash))
            if account_id not in SHORT:
                shares = self.mood.shares_each * SHARE
                commands += [Deposit(0, account_id, instrument.symbol, shares) for instrument in INSTRUMENTS]
        commands.append(SetFees(0, FEES))
        phases = [ChangePhase(0, instrument.symbol, Phase.CONTINUOUS) for instrument in INSTRUMENTS]
        return commands + phases

    def next(self) -> Command:
        self.now_ns += self.draw.randrange(200_000_000)
        if self.repairs and self.draw.randrange(12) == 0:
            return self.repairs.pop()._replace(at_ns=self.now_ns)
        return self._kinds[self.draw.randrange(1000)]()

    def saw(self, outcome: Outcome) -> None:
        if not isinstance(outcome, list):
            return
        for event in outcome:
            if type(event) is not LedgerPosted:
                self._saw_event(event)
        if len(self.ids) > 2 * len(self.open) + 20:
            self.ids = list(self.open)

    def _saw_event(self, event: Event) -> None:
        match event:
            case OrderAccepted():
                self.open[event.order_id] = event
                self.ids.append(event.order_id)
            case OrderCanceled() | OrderReplaced():
                del self.open[event.order_id]
            case Traded():
                self.marks[event.symbol] = event.price_micros
                if not event.maker_leaves:
                    del self.open[event.maker_order_id]
                if not event.taker_leaves:
                    del self.open[event.taker_order_id]
            case PhaseChanged():
                self.phases[event.symbol] = event.phase
            case KillSwitchSet(engaged=True):
                self.repairs.append(SetKillSwitch(0, event.account_id, False))
                self.repairs += [CancelAll(0, event.account_id, instrument.symbol) for instrument in INSTRUMENTS]
            case AccountChanged() if event.terms != ACCOUNTS[event.account_id]:
                self.repairs.append(ChangeAccount(0, event.account_id, ACCOUNTS[event.account_id]))
            case InstrumentChanged() if event.instrument != self.instruments[event.instrument.symbol]:
                self.repairs.append(ChangeInstrument(0, self.instruments[event.instrument.symbol]))

    # Which command

    def _kinds_of_commands(self) -> list[Callable[[], Command]]:
        mood = self.mood
        others: list[tuple[int, Callable[[], Command]]] = [
            (mood.cancels, self.cancel),
            (mood.replacements, self.replacement),
            (mood.cancels_of_all, self.cancel_all),
            (mood.settings, lambda: change_of_settings(self)),
            (mood.movements, lambda: movement_of_assets(self)),
            (mood.absurdities, lambda: absurd_command(self)),
            (mood.repetitions, self.repetition),
            (mood.phases, self.phase),
        ]
        kinds = [kind for weight, kind in others for _ in range(weight)]
        return [self.order] * (1000 - len(kinds)) + kinds

    def symbol(self) -> Symbol:
        return INSTRUMENTS[min(self.draw.randrange(2 * len(INSTRUMENTS)) // 2, self.draw.randrange(3))].symbol

    def account(self) -> AccountId:
        return AccountId(1 + self.draw.randrange(len(ACCOUNTS)))

    def name(self) -> str:
        self.names += 1
        return f"n{self.names}"

    def phase(self) -> Command:
        symbol = self.symbol()
        return ChangePhase(self.now_ns, symbol, self._next_phase(symbol))

    def _next_phase(self, symbol: Symbol) -> Phase:
        following = NEXT_PHASES[self.phases[symbol]]
        return following[self.draw.randrange(len(following))]

    def some_order(self) -> OrderAccepted | None:
        for _ in range(4):
            if not self.ids:
                break
            at = self.draw.randrange(len(self.ids))
            order = self.open.get(self.ids[at])
            if order is not None:
                return order
            self.ids[at] = self.ids[-1]
            self.ids.pop()
        return None

    def cancel(self) -> Command:
        order = self.some_order()
        if order is None:
            return self.order()
        return CancelOrder(self.now_ns, order.account_id, order.order_id)

    def cancel_all(self) -> Command:
        account_id = EVERYBODY if self.draw.randrange(3) == 0 else self.account()
        return CancelAll(self.now_ns, account_id, self.symbol())

    def repetition(self) -> Command:
        if not self.named:
            return self.order()
        command = self.named[self.draw.randrange(len(self.named))]._replace(at_ns=self.now_ns)
        if self.draw.randrange(2):
            return command
        return command._replace(quantity=(command.quantity or 0) + SHARE)

    def _remember(self, command: PlaceOrder | ReplaceOrder) -> None:
        if len(self.named) > 50:
            self.named.clear()
        self.named.append(command)

    # Orders

    def _kinds_of_orders(self) -> list[Callable[[Symbol, Side], PlaceOrder]]:
        kinds: list[tuple[int, Callable[[Symbol, Side], PlaceOrder]]] = [
            (46, self.limit),
            (10, self.market),
            (9, self.stop),
            (5, self.trailing),
            (10, self.group),
            (4, self.at_once),
            (4, self.for_an_auction),
            (3, self.for_dollars),
            (4, self.post_only),
        ]
        return [kind for weight, kind in kinds for _ in range(weight)]

    def order(self) -> Command:
        symbol = self.symbol()
        phase = self.phases[symbol]
        if phase is not Phase.CONTINUOUS and self.draw.randrange(6) == 0:
            return ChangePhase(self.now_ns, symbol, self._next_phase(symbol))
        side = Side.BUY if self.draw.randrange(2) else Side.SELL
        command = self._orders[self.draw.randrange(len(self._orders))](symbol, side)
        self._remember(command)
        return command

    def quantity(self, symbol: Symbol) -> int:
        return (1 + self.draw.randrange(12)) * self.instruments[symbol].lot

    def maybe_fraction(self, symbol: Symbol) -> int:
        quantity = self.quantity(symbol)
        return quantity - self.draw.randrange(SHARE) if self.draw.randrange(8) == 0 else quantity

    def lasting(self) -> TimeInForce:
        return TimeInForce.DAY if self.draw.randrange(3) else TimeInForce.GTC

    def price(self, symbol: Symbol, ticks: int) -> int:
        """So many ticks from the mark, which is drawn back a little to where it began."""
        instrument, mark = self.instruments[symbol], self.marks[symbol]
        mark += (instrument.reference_price_micros - mark) // 32
        mark += ticks * instrument.tick_micros
        tick = instrument.tick_micros if mark >= MICROS_PER_DOLLAR else instrument.sub_dollar_tick_micros
        return max(tick, mark // tick * tick)

    def near(self, symbol: Symbol) -> int:
        wide = 5 if self.draw.randrange(10) else 90
        return self.price(symbol, self.draw.randrange(2 * wide + 1) - wide)

    def placing(
        self,
        symbol: Symbol,
        side: Side,
        order_type: OrderType,
        lasting: TimeInForce,
        limit: int | None = None,
        special: SpecialTerms | None = None,
        quantity: int | None = None,
    ) -> PlaceOrder:
        shares = self.quantity(symbol) if quantity is None else quantity
        head = (self.now_ns, self.account(), self.name(), symbol, side)
        return PlaceOrder(*head, order_type, lasting, shares, limit, special)

    def limit(self, symbol: Symbol, side: Side) -> PlaceOrder:
        lasting = self.lasting()
        quantity = self.maybe_fraction(symbol) if lasting is TimeInForce.DAY else None
        price = self.near(symbol)
        if self.draw.randrange(1000) < self.mood.passive:
            price = self.price(symbol, (1 + self.draw.randrange(9)) * (-1 if side is Side.BUY else 1))
        return self.placing(symbol, side, OrderType.LIMIT, lasting, price, None, quantity)

    def market(self, symbol: Symbol, side: Side) -> PlaceOrder:
        quantity = self.maybe_fraction(symbol)
        return self.placing(symbol, side, OrderType.MARKET, TimeInForce.DAY, None, None, quantity)

    def post_only(self, symbol: Symbol, side: Side) -> PlaceOrder:
        special = SpecialTerms(post_only=True)
        return self.placing(symbol, side, OrderType.LIMIT, self.lasting(), self.near(symbol), special)

    def stop(self, symbol: Symbol, side: Side) -> PlaceOrder:
        away = self.draw.randrange(8) - 1
        sign = 1 if side is Side.BUY else -1
        special = SpecialTerms(stop_price_micros=self.price(symbol, sign * away))
        if self.draw.randrange(3):
            return self.placing(symbol, side, OrderType.STOP, self.lasting(), None, special)
        limit = self.price(symbol, sign * (away + self.draw.randrange(6)))
        return self.placing(symbol, side, OrderType.STOP_LIMIT, self.lasting(), limit, special)

    def trailing(self, symbol: Symbol, side: Side) -> PlaceOrder:
        if self.draw.randrange(2):
            special = SpecialTerms(trail_ppm=1 + self.draw.randrange(60_000))
        else:
            special = SpecialTerms(trail_micros=1 + self.draw.randrange(8 * CENT))
        return self.placing(symbol, side, OrderType.TRAILING_STOP, self.lasting(), None, special)

    def at_once(self, symbol: Symbol, side: Side) -> PlaceOrder:
        lasting = TimeInForce.FOK if self.draw.randrange(2) else TimeInForce.IOC
        if self.draw.randrange(3) == 0:
            return self.placing(symbol, side, OrderType.MARKET, lasting)
        return self.placing(symbol, side, OrderType.LIMIT, lasting, self.near(symbol))

    def for_an_auction(self, symbol: Symbol, side: Side) -> PlaceOrder:
        opens = self.phases[symbol] in {Phase.CLOSED, Phase.PRE_OPEN} and self.draw.randrange(4) > 0
        lasting = TimeInForce.OPG if opens else TimeInForce.CLS
        if self.draw.randrange(2):
            return self.placing(symbol, side, OrderType.MARKET, lasting)
        return self.placing(symbol, side, OrderType.LIMIT, lasting, self.near(symbol))

    def for_dollars(self, symbol: Symbol, side: Side) -> PlaceOrder:
        special = SpecialTerms(notional_micros=1 + self.draw.randrange(300 * MICROS_PER_DOLLAR))
        return self.placing(symbol, side, OrderType.MARKET, TimeInForce.DAY, None, special, 0)

    def group(self, symbol: Symbol, side: Side) -> PlaceOrder:
        """A bracket, an oco or an oto, with its exits a few ticks off."""
        exit_buys = side is Side.SELL
        kind = (OrderClass.BRACKET, OrderClass.OCO, OrderClass.OTO)[self.draw.randrange(3)]
        if kind is OrderClass.OCO:
            exit_buys = not exit_buys
        sign, entry = (-1 if exit_buys else 1), self.price(symbol, self.draw.randrange(5) - 2)
        profit: int | None = self.price(symbol, sign * (1 + self.draw.randrange(4)))
        loss: int | None = self.price(symbol, -sign * (1 + self.draw.randrange(4)))
        loss_limit = self.price(symbol, -sign * (3 + self.draw.randrange(4))) if self.draw.randrange(3) == 0 else None
        if kind is OrderClass.OCO:
            special = PLAIN._replace(order_class=kind, take_profit_micros=profit, stop_loss_micros=loss)
            special = special._replace(stop_loss_limit_micros=loss_limit)
            return self.placing(symbol, side, OrderType.LIMIT, self.lasting(), profit, special)
        if kind is OrderClass.OTO and self.draw.randrange(2):
            profit = None
        elif kind is OrderClass.OTO:
            loss = loss_limit = None
        special = PLAIN._replace(order_class=kind, take_profit_micros=profit, stop_loss_micros=loss)
        special = special._replace(stop_loss_limit_micros=loss_limit)
        if self.draw.randrange(2):
            return self.placing(symbol, side, OrderType.MARKET, self.lasting(), None, special)
        return self.placing(symbol, side, OrderType.LIMIT, self.lasting(), entry, special)

    # Replacements

    def replacement(self) -> Command:
        old = self.some_order()
        if old is None:
            return self.order()
        given = self._new_terms(old)
        command = ReplaceOrder(self.now_ns, old.account_id, old.order_id, self.name(), *given)
        self._remember(command)
        return command

    def _new_terms(
        self, old: OrderAccepted
    ) -> tuple[int | None, int | None, int | None, int | None, TimeInForce | None]:
        quantity = limit = stop = trail = lasting = None
        grouped = old.parent_id is not None or (old.special or PLAIN).order_class is not OrderClass.SIMPLE
        choice = self.draw.randrange(6)
        if choice < 2 and (not grouped or self.draw.randrange(10) == 0):
            quantity = max(1, old.quantity + (self.draw.randrange(4) - 2) * self.instruments[old.symbol].lot)
        elif choice < 5 and old.limit_price_micros is not None:
            limit = self.near(old.symbol)
        if choice in {1, 3, 4} and (old.special or PLAIN).stop_price_micros is not None:
            stop = self.near(old.symbol)
        if choice in {1, 3, 4} and old.order_type is OrderType.TRAILING_STOP:
            trail = 1 + self.draw.randrange(8 * CENT)
        if choice == 5:
            lasting = self.lasting()
        return quantity, limit, stop, trail, lasting
