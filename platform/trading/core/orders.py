"""The vocabulary of an order: its closed sets of values and the ids and units everything else uses.

Units: prices (per share) and money are micro-dollars (10**-6 USD), quantities are micro-shares (10**-6 share), rates
are parts per million or billion, times are nanoseconds since the Unix epoch. All are integers.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple, NewType

AccountId = NewType("AccountId", int)
OrderId = NewType("OrderId", int)
TradeId = NewType("TradeId", int)
Symbol = NewType("Symbol", str)

MICROS_PER_DOLLAR: Final = 1_000_000
MICROS_PER_SHARE: Final = 1_000_000
PPM: Final = 1_000_000
PPB: Final = 1_000_000_000
NS_PER_S: Final = 1_000_000_000

# Bounds keep every stored amount and every sum of balances inside PostgreSQL's bigint.
MAX_QUANTITY: Final = 1_000_000_000 * MICROS_PER_SHARE
MAX_PRICE_MICROS: Final = 1_000_000 * MICROS_PER_DOLLAR
MAX_ORDER_VALUE_MICROS: Final = 1_000_000_000 * MICROS_PER_DOLLAR
MAX_AMOUNT: Final = 10**17  # of one deposit, withdrawal or transfer
MAX_CLIENT_ORDER_ID_LENGTH: Final = 48


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


# Reading a member off its enum class costs 15 times a global's lookup, and the core asks for the side all the time.
BUY: Final = Side.BUY
SELL: Final = Side.SELL


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"


class TimeInForce(StrEnum):
    DAY = "day"
    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    OPG = "opg"  # the next opening auction only
    CLS = "cls"  # the next closing auction only


LIMIT_TYPES: Final = (OrderType.LIMIT, OrderType.STOP_LIMIT)
STOP_TYPES: Final = (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP)
LASTING: Final = (TimeInForce.DAY, TimeInForce.GTC)  # what is left of such an order may rest


class OrderClass(StrEnum):
    SIMPLE = "simple"
    BRACKET = "bracket"  # an entry with a take-profit and a stop-loss that wait until it is filled
    OCO = "oco"  # a take-profit, which is the order itself, and a stop-loss: one cancels the other
    OTO = "oto"  # an entry with one of the two


class OrderStatus(StrEnum):
    """Alpaca's order states, as far as the core can reach them.

    The pending and accepted ones are never seen: an order is durable before it is answered.
    """

    HELD = "held"  # a leg whose entry is not filled yet
    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REPLACED = "replaced"


OPEN_STATUSES: Final = frozenset({OrderStatus.HELD, OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})


class Phase(StrEnum):
    """What an instrument's market does with orders: only in CONTINUOUS do they trade at once."""

    CLOSED = "closed"
    PRE_OPEN = "pre_open"
    CONTINUOUS = "continuous"
    HALTED = "halted"
    PRE_CLOSE = "pre_close"


class SelfTrade(StrEnum):
    """What happens when an order would trade with another one of its own account."""

    CANCEL_NEWEST = "cancel_newest"
    CANCEL_OLDEST = "cancel_oldest"
    CANCEL_BOTH = "cancel_both"
    DECREMENT = "decrement"


class CancelReason(StrEnum):
    CLIENT = "client"
    UNFILLED = "unfilled"  # what may not wait: a market, ioc or fok remainder, or one an auction left over
    SESSION_CLOSED = "session_closed"
    SELF_TRADE = "self_trade"
    KILL_SWITCH = "kill_switch"
    GROUP = "group"  # another order of its group traded or ended
    NOT_COVERED = "not_covered"  # a leg whose account could no longer pay for or deliver it


class RejectReason(StrEnum):
    """Why a command was refused; a refused command changes nothing."""

    CLOCK_WENT_BACKWARDS = "clock_went_backwards"
    DEADLINE_PASSED = "deadline_passed"
    UNKNOWN_ACCOUNT = "unknown_account"
    UNKNOWN_SYMBOL = "unknown_symbol"
    UNKNOWN_ORDER = "unknown_order"
    ALREADY_EXISTS = "already_exists"
    NOTHING_TO_CHANGE = "nothing_to_change"
    INVALID_SETTING = "invalid_setting"
    CLIENT_ORDER_ID_REUSED = "client_order_id_reused"
    INVALID_CLIENT_ORDER_ID = "invalid_client_order_id"
    INVALID_QUANTITY = "invalid_quantity"
    INVALID_PRICE = "invalid_price"
    INVALID_TERMS = "invalid_terms"
    INVALID_AMOUNT = "invalid_amount"
    NOT_FRACTIONABLE = "not_fractionable"
    ORDER_VALUE_TOO_LARGE = "order_value_too_large"
    KILL_SWITCH = "kill_switch"
    ACCOUNT_BLOCKED = "account_blocked"
    NOT_TRADABLE = "not_tradable"
    NOT_SHORTABLE = "not_shortable"
    WRONG_PHASE = "wrong_phase"
    ORDER_QUANTITY_LIMIT = "order_quantity_limit"
    ORDER_VALUE_LIMIT = "order_value_limit"
    OPEN_ORDER_LIMIT = "open_order_limit"
    ORDER_RATE_LIMIT = "order_rate_limit"
    POSITION_LIMIT = "position_limit"
    PRICE_OUTSIDE_COLLAR = "price_outside_collar"
    NO_LIQUIDITY = "no_liquidity"
    WOULD_TAKE = "would_take"
    INSUFFICIENT_BUYING_POWER = "insufficient_buying_power"
    INSUFFICIENT_SHARES = "insufficient_shares"
    NOT_CANCELABLE = "not_cancelable"
    NOT_REPLACEABLE = "not_replaceable"


class Instrument(NamedTuple):
    """The terms of trading one symbol."""

    symbol: Symbol
    tick_micros: int  # for prices from one dollar on; divides a dollar
    sub_dollar_tick_micros: int  # for prices below one dollar; divides tick_micros
    lot: int  # quantities are multiples of it, unless fractionable; whole shares
    reference_price_micros: int  # of the first day: the price before any trade
    collar_ppm: int  # how far beyond the mark an order may reach
    band_ppm: int  # how far from the reference price continuous trading may go before it halts; 0: anywhere
    halt_ns: int  # how long such a halt lasts
    tradable: bool = True
    shortable: bool = False
    fractionable: bool = False


class Limits(NamedTuple):
    """An account's own bounds; None: only the exchange's."""

    order_quantity: int | None = None
    order_value_micros: int | None = None
    open_orders: int | None = None
    orders_per_s: int | None = None
    position: int | None = None  # of each symbol, long or short, open orders included


class AccountTerms(NamedTuple):
    multiplier: int = 1  # 1: cash account; 2: margin account, which may borrow and sell short
    self_trade: SelfTrade = SelfTrade.CANCEL_NEWEST
    blocked: bool = False
    limits: Limits = Limits()


class FeeSchedule(NamedTuple):
    """Rates in parts per billion of a trade's value. A negative maker rate is a rebate."""

    taker_ppb: int = 0
    maker_ppb: int = 0
    regulatory_ppb: int = 0  # on sales
    regulatory_nanos_per_share: int = 0  # on sales, in nano-dollars
    regulatory_cap_micros: int = 0  # of the charge per share, for one trade


class SpecialTerms(NamedTuple):
    """What only some orders have; a plain market or limit order has none of it."""

    stop_price_micros: int | None = None  # stop, stop_limit
    trail_micros: int | None = None  # trailing_stop: one of the two
    trail_ppm: int | None = None
    notional_micros: int | None = None  # instead of a quantity
    post_only: bool = False
    order_class: OrderClass = OrderClass.SIMPLE
    take_profit_micros: int | None = None
    stop_loss_micros: int | None = None
    stop_loss_limit_micros: int | None = None


PLAIN: Final = SpecialTerms()
