"""The exchange's specification: slow, obvious, written from RULES.md and not from the code it judges."""

from __future__ import annotations

from collections.abc import Callable

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
from trading.core.events import (
    CASH,
    AccountChanged,
    AccountOpened,
    FeesSet,
    InstrumentChanged,
    InstrumentListed,
    KillSwitchSet,
    OrderAccepted,
    OrderActivated,
    OrderReplaced,
    Outcome,
    Refused,
    Repeated,
    StopMoved,
)
from trading.core.orders import (
    MAX_AMOUNT,
    MAX_QUANTITY,
    AccountTerms,
    CancelReason,
    FeeSchedule,
    Instrument,
    OrderClass,
    OrderId,
    OrderType,
    Phase,
    RejectReason,
    TimeInForce,
)

from .naive_matching import Matching
from .naive_prices import DOLLAR, SHARE, is_price
from .naive_records import AVAILABLE, Account, Market, Order, RefusedError, require

ALLOWED = {
    Phase.CLOSED: {Phase.PRE_OPEN, Phase.CONTINUOUS},
    Phase.PRE_OPEN: {Phase.CONTINUOUS, Phase.HALTED, Phase.CLOSED},
    Phase.CONTINUOUS: {Phase.HALTED, Phase.PRE_CLOSE, Phase.CLOSED},
    Phase.HALTED: {Phase.CONTINUOUS, Phase.PRE_CLOSE, Phase.CLOSED},
    Phase.PRE_CLOSE: {Phase.CLOSED, Phase.HALTED},
}
OF_A_MARKET = (PlaceOrder, ReplaceOrder, CancelOrder, CancelAll, ChangePhase)


class NaiveExchange(Matching):
    def apply(self, command: Command) -> Outcome:
        self.events = []
        stops_before = self._trailing_stops()
        try:
            require(command.at_ns >= self.now_ns, RejectReason.CLOCK_WENT_BACKWARDS)
            now, self.now_ns = self.now_ns, command.at_ns
            repeated = self._dispatch(command)
        except RefusedError as error:
            assert not self.events, "a refused command changes nothing"
            if error.reason is not RejectReason.CLOCK_WENT_BACKWARDS:
                self.now_ns = now
            return Refused(error.reason, "")
        if repeated is not None:
            self.now_ns = now
            return repeated
        self.work_off_the_queue()
        self._tell_moved_stops(stops_before)
        self.sequence += 1
        return self.events

    def _trailing_stops(self) -> dict[OrderId, int]:
        trailing = [o for o in self.open if o.is_stop and o.order_type is OrderType.TRAILING_STOP]
        return {order.order_id: self.stop_price(order) for order in trailing}

    def _tell_moved_stops(self, before: dict[OrderId, int]) -> None:
        for order_id, stop in sorted(self._trailing_stops().items()):
            if before.get(order_id) != stop:
                order = next(order for order in self.open if order.order_id == order_id)
                assert order.high_water_mark is not None
                self.events.append(StopMoved(order_id, order.symbol, order.high_water_mark, stop))

    def _dispatch(self, command: Command) -> Repeated | None:
        if isinstance(command, PlaceOrder):
            return self._named(command, self._place)
        if isinstance(command, ReplaceOrder):
            return self._named(command, self._replace)
        handlers: dict[type, Callable[..., None]] = {
            ListInstrument: self._list,
            ChangeInstrument: self._change_instrument,
            ChangePhase: self._change_phase,
            OpenAccount: self._open_account,
            ChangeAccount: self._change_account,
            SetKillSwitch: self._set_kill_switch,
            SetFees: self._set_fees,
            Deposit: self._deposit,
            Withdraw: self._withdraw,
            Transfer: self._transfer,
            CancelOrder: self._cancel,
            CancelAll: self._cancel_all,
        }
        handlers[type(command)](command)
        return None

    # Instruments and accounts

    def _list(self, command: ListInstrument) -> None:
        instrument = command.instrument
        require(is_possible_instrument(instrument), RejectReason.INVALID_SETTING)
        require(instrument.symbol not in self.markets, RejectReason.ALREADY_EXISTS)
        self.markets[instrument.symbol] = Market(instrument, instrument.reference_price_micros)
        self.events.append(InstrumentListed(instrument))

    def _change_instrument(self, command: ChangeInstrument) -> None:
        market, new = self._market(command.instrument.symbol), command.instrument
        require(is_possible_instrument(new) and new[:5] == market.instrument[:5], RejectReason.INVALID_SETTING)
        require(new != market.instrument, RejectReason.NOTHING_TO_CHANGE)
        market.instrument = new
        self.events.append(InstrumentChanged(new))

    def _open_account(self, command: OpenAccount) -> None:
        require(1 <= command.account_id < 2**63, RejectReason.UNKNOWN_ACCOUNT)
        require(are_possible_terms(command.terms), RejectReason.INVALID_SETTING)
        require(command.account_id not in self.accounts, RejectReason.ALREADY_EXISTS)
        self.accounts[command.account_id] = Account(command.account_id, command.terms)
        self.events.append(AccountOpened(command.account_id, command.terms))

    def _change_account(self, command: ChangeAccount) -> None:
        account, terms = self._account(command.account_id), command.terms
        assets = [CASH, *self.markets]
        borrows = any(self.balance(command.account_id, asset)[0] < 0 for asset in assets)
        possible = are_possible_terms(terms) and not (terms.multiplier == 1 and borrows)
        require(possible, RejectReason.INVALID_SETTING)
        require(terms != account.terms, RejectReason.NOTHING_TO_CHANGE)
        account.terms = terms
        self.events.append(AccountChanged(command.account_id, terms))

    def _set_kill_switch(self, command: SetKillSwitch) -> None:
        if command.account_id == 0:
            require(self.everybody_killed is not command.engaged, RejectReason.NOTHING_TO_CHANGE)
            self.everybody_killed = command.engaged
        else:
            account = self._account(command.account_id)
            require(account.killed is not command.engaged, RejectReason.NOTHING_TO_CHANGE)
            account.killed = command.engaged
        self.events.append(KillSwitchSet(command.account_id, command.engaged))

    def _set_fees(self, command: SetFees) -> None:
        require(are_possible_fees(command.fees), RejectReason.INVALID_SETTING)
        require(command.fees != self.fees, RejectReason.NOTHING_TO_CHANGE)
        require(not self.open, RejectReason.WRONG_PHASE)
        self.fees = command.fees
        self.events.append(FeesSet(command.fees))

    def _market(self, symbol: str) -> Market:
        require(symbol in self.markets, RejectReason.UNKNOWN_SYMBOL)
        return self.markets[symbol]

    def _account(self, account_id: int) -> Account:
        require(account_id in self.accounts, RejectReason.UNKNOWN_ACCOUNT)
        return self.accounts[account_id]

    # Money and shares in, out and across

    def _deposit(self, command: Deposit) -> None:
        self._account(command.account_id)
        self._check_amount(command.asset, command.amount)
        issued = self.issued(command.asset) + command.amount
        require(issued <= 9 * 10**18, RejectReason.INVALID_AMOUNT)
        self._count_arrival(command.account_id, command.asset, command.amount)
        self.post((0, AVAILABLE), (command.account_id, AVAILABLE), command.asset, command.amount)

    def _count_arrival(self, account: int, asset: str, amount: int) -> None:
        if asset != CASH:
            self.costs[account, asset] = self.cost_after_buying(account, asset, amount, 0)

    def _withdraw(self, command: Withdraw) -> None:
        self._account(command.account_id)
        self._move(command.account_id, 0, command.asset, command.amount)

    def _transfer(self, command: Transfer) -> None:
        self._account(command.account_id)
        self._account(command.to_account_id)
        require(command.account_id != command.to_account_id, RejectReason.UNKNOWN_ACCOUNT)
        self._move(command.account_id, command.to_account_id, command.asset, command.amount)

    def _check_amount(self, asset: str, amount: int) -> None:
        require(asset == CASH or asset in self.markets, RejectReason.UNKNOWN_SYMBOL)
        require(1 <= amount <= MAX_AMOUNT, RejectReason.INVALID_AMOUNT)

    def _move(self, account: int, to: int, asset: str, amount: int) -> None:
        self._check_amount(asset, amount)
        reason = RejectReason.INSUFFICIENT_BUYING_POWER if asset == CASH else RejectReason.INSUFFICIENT_SHARES
        require(amount <= self.balance(account, asset)[0], reason)
        multiplier = self.accounts[account].terms.multiplier
        if multiplier == 2:
            weight = multiplier * amount
            if asset != CASH:
                weight = (multiplier - 1) * (amount * self.markets[asset].mark // SHARE)
            require(weight <= self.buying_power(account), reason)
        if asset != CASH:
            self.costs[account, asset] -= self.cost(account, asset) * amount // self.total(account, asset)
        if to != 0:
            self._count_arrival(to, asset, amount)
        self.post((account, AVAILABLE), (to, AVAILABLE), asset, amount)

    # Orders

    def _named(self, command: PlaceOrder | ReplaceOrder, accept: Callable[..., OrderId]) -> Repeated | None:
        """The same terms under a name used before are the same order."""
        account = self._account(command.account_id)
        if command.client_order_id in account.named:
            order_id, before = account.named[command.client_order_id]
            same = type(before) is type(command) and before[1:] == command[1:]
            require(same, RejectReason.CLIENT_ORDER_ID_REUSED)
            return Repeated(order_id)
        order_id = accept(command)
        account.named[command.client_order_id] = (order_id, command)
        account.orders_in[command.at_ns // 10**9] += 1
        return None

    def _place(self, command: PlaceOrder) -> OrderId:
        market = self._market(command.symbol)
        self.check_name(command.client_order_id)
        quantity = self.check_placing(command, market)
        market.sequence += 1
        order = self.order_of(command, market, quantity)
        self._accept(order, command.client_order_id)
        self._accept_legs(order)
        self.reserve(order)
        if order.sibling is not None:
            order.sibling.held = False
            self.events.append(OrderActivated(order.sibling.order_id))
        self.enter(order)
        return order.order_id

    def _accept(self, order: Order, name: str, replaces: OrderId | None = None) -> None:
        self.last_order_id += 1
        assert order.order_id == self.last_order_id
        self.open.append(order)
        of = (order.order_id, order.account, name, order.symbol, order.side, order.order_type, order.lasting)
        terms = (order.quantity, order.limit, order.special)
        self.events.append(OrderAccepted(*of, *terms, order.parent_id, replaces))

    def _accept_legs(self, order: Order) -> None:
        terms, is_oco = order.terms, order.terms.order_class is OrderClass.OCO
        legs = []
        if terms.take_profit_micros is not None and not is_oco:
            legs.append(self.leg_of(order, OrderType.LIMIT, terms.take_profit_micros, None))
            self._accept(legs[0], "")
        if terms.stop_loss_micros is not None:
            legs.append(self.stop_loss_of(order))
            self._accept(legs[-1], "")
        if is_oco:
            order.sibling, legs[0].sibling = legs[0], order
        else:
            order.legs = legs
        if len(legs) == 2:
            legs[0].sibling, legs[1].sibling = legs[1], legs[0]

    def _replace(self, command: ReplaceOrder) -> OrderId:
        old = self._open_order(command.account_id, command.order_id, RejectReason.NOT_REPLACEABLE)
        new = self.check_replacing(command, old)
        market = self.markets[old.symbol]
        market.sequence += 1
        sibling = old.sibling
        of_pair = 0 if sibling is None else self.reservation(sibling)[1]
        self.open.remove(old)
        of_old = (old.order_id, old.account, old.symbol, old.side, old.rests_at, old.leaves)
        self.events.append(OrderReplaced(*of_old, new.order_id))
        self._accept(new, command.client_order_id, old.order_id)
        self.release(old)
        self.reserve(new)
        if sibling is not None:
            sibling.sibling = new
            self._reserve_anew(sibling, of_pair)
        same_place = old.place is not None and new.price == old.price and new.leaves <= old.leaves
        if same_place:
            self.rest(new, old.place)
        else:
            self.enter(new)
        return new.order_id

    def _reserve_anew(self, order: Order, before: int) -> None:
        if self.reservation(order)[1] != before:
            self.release(order, before)
            self.reserve(order)

    def _open_order(self, account_id: int, order_id: int, not_open: RejectReason) -> Order:
        found = [o for o in self.open if o.order_id == order_id and o.account == account_id]
        if not found:
            require(1 <= order_id <= self.last_order_id, RejectReason.UNKNOWN_ORDER)
            raise RefusedError(not_open)
        return found[0]

    def _cancel(self, command: CancelOrder) -> None:
        self._account(command.account_id)
        order = self._open_order(command.account_id, command.order_id, RejectReason.NOT_CANCELABLE)
        self.markets[order.symbol].sequence += 1
        self.end(order, CancelReason.CLIENT)

    def _cancel_all(self, command: CancelAll) -> None:
        killed = self.everybody_killed
        if command.account_id != 0:
            killed = self._account(command.account_id).killed or killed
        market = self._market(command.symbol)
        orders = [o for o in self.in_order_of_ids(command.symbol) if command.account_id in {0, o.account}]
        require(bool(orders), RejectReason.NOT_CANCELABLE)
        market.sequence += 1
        self._end_all(orders, CancelReason.KILL_SWITCH if killed else CancelReason.CLIENT)

    def _end_all(self, orders: list[Order], reason: CancelReason) -> None:
        for order in orders:
            if order in self.open:
                self.end(order, reason)

    # The day

    def _change_phase(self, command: ChangePhase) -> None:
        market = self._market(command.symbol)
        before, after = market.phase, command.phase
        require(after in ALLOWED[before], RejectReason.WRONG_PHASE)
        market.sequence += 1
        if after is Phase.CONTINUOUS or (before, after) == (Phase.PRE_CLOSE, Phase.CLOSED):
            self.call_auction(market, was_halted=before is Phase.HALTED)
            only = TimeInForce.OPG if after is Phase.CONTINUOUS else TimeInForce.CLS
            resting = [o for o in self.in_order_of_ids(command.symbol) if o.place is not None]
            self._end_all([o for o in resting if o.limit is None or o.lasting is only], CancelReason.UNFILLED)
        self.change_phase(market, after)
        orders = self.in_order_of_ids(command.symbol)
        if after is Phase.PRE_CLOSE:
            for order in orders:
                if order.lasting is TimeInForce.CLS and order.place is None:
                    self.rest(order)
        if after is Phase.CLOSED:
            kept = TimeInForce.GTC
            self._end_all([order for order in orders if order.lasting is not kept], CancelReason.SESSION_CLOSED)


def is_possible_instrument(instrument: Instrument) -> bool:
    symbol, tick, fine, lot, reference = instrument[:5]
    if not (1 <= len(symbol) <= 16 and all("!" <= letter <= "~" for letter in symbol) and symbol != CASH):
        return False
    if tick <= 0 or DOLLAR % tick or fine <= 0 or tick % fine:
        return False
    if not 0 < lot <= MAX_QUANTITY or lot % SHARE or not is_price(instrument, reference):
        return False
    rates = 1 <= instrument.collar_ppm <= 10**6 and 0 <= instrument.band_ppm <= 10**6
    return rates and 0 <= instrument.halt_ns <= 10**15


def are_possible_terms(terms: AccountTerms) -> bool:
    return terms.multiplier in {1, 2} and all(limit is None or 0 <= limit <= 10**18 for limit in terms.limits)


def are_possible_fees(fees: FeeSchedule) -> bool:
    rates = 0 <= fees.taker_ppb <= 10**8 and abs(fees.maker_ppb) <= fees.taker_ppb
    regulatory = 0 <= fees.regulatory_ppb <= 10**8 and 0 <= fees.regulatory_nanos_per_share <= 10**9
    return rates and regulatory and 0 <= fees.regulatory_cap_micros <= 10**9
