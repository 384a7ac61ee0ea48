"""The primary database's tables: the journal, and what is projected from it in the same transaction."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    JSON,
    TIMESTAMP,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)

from trading.infra.columns import CHARGED, GOT, PAID, REBATED

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_OFFICERS_HAVE_NO_ACCOUNT = "(account_id IS NULL) = (role IN ('risk_officer', 'operator'))"

# Of the servers, not of the engines: each promotion of a server raises it.
cluster_epoch = Table(
    "cluster_epoch",
    metadata,
    Column("id", SmallInteger, CheckConstraint("id = 1", name="single"), primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("changed_at", TIMESTAMP(timezone=True), nullable=False, server_default=func.now()),
)

# Two single-row tables: batches lock the epoch, renewals write the lease, so neither waits for the other.
leader_epoch = Table(
    "leader_epoch",
    metadata,
    Column("id", SmallInteger, CheckConstraint("id = 1", name="single"), primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
)

leader_lease = Table(
    "leader_lease",
    metadata,
    Column("id", SmallInteger, CheckConstraint("id = 1", name="single"), primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("holder", Text, nullable=False),
    Column("expires_at", TIMESTAMP(timezone=True), nullable=False),
)

journal = Table(
    "journal",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("symbol", Text),
    Column("symbol_sequence", BigInteger),
    Column("command", JSON, nullable=False),
    Column("events", JSON, nullable=False),
    # Finds a payment by its reference, the last field of its command; no order is in it.
    Index(
        "ix_journal_reference",
        text("((command -> 1) ->> '-1'::integer)"),
        postgresql_where=text("symbol IS NULL AND command->1->>0 IN ('Deposit', 'Withdraw', 'Transfer')"),
    ),
)
Index("ix_journal_symbol_symbol_sequence", journal.c.symbol, journal.c.symbol_sequence, unique=True)

# What the leader's state was after a record: every standby must come to the same.
state_hashes = Table(
    "state_hashes",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
)

# Where recovery may begin instead of at the first record; only the newest few are kept.
snapshots = Table(
    "snapshots",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("state_hash", Text, nullable=False),
    Column("checksum", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),  # compressed
)

# Quantities are micro-shares, prices and values micro-dollars. A leg has no client_order_id of its own.
orders = Table(
    "orders",
    metadata,
    Column("order_id", BigInteger, primary_key=True, autoincrement=False),
    Column("account_id", BigInteger, nullable=False),
    Column("client_order_id", Text),
    Column("symbol", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("order_type", Text, nullable=False),
    Column("time_in_force", Text, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("limit_price_micros", BigInteger),
    Column("special", JSON),  # the journal's array; null for plain orders
    Column("parent_id", BigInteger),
    Column("replaces", BigInteger),
    Column("status", Text, nullable=False),
    Column("filled_quantity", BigInteger, nullable=False),
    Column("filled_value_micros", BigInteger, nullable=False),
    Column("reduced_quantity", BigInteger, nullable=False),
    Column("stop_price_micros", BigInteger),
    Column("high_water_mark_micros", BigInteger),
    Column("price_micros", BigInteger),  # where it rests in the book
    Column("place", BigInteger),
    Column("replaced_by", BigInteger),
    Column("submitted_at_ns", BigInteger, nullable=False),
    Column("updated_at_ns", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    UniqueConstraint("account_id", "client_order_id"),
)
Index(
    "ix_orders_open",
    orders.c.account_id,
    orders.c.order_id,
    postgresql_where=orders.c.status.in_(["held", "new", "partially_filled"]),
)
Index("ix_orders_account_id", orders.c.account_id, orders.c.order_id)
Index("ix_orders_parent_id", orders.c.parent_id, postgresql_where=orders.c.parent_id.is_not(None))

# Two rows a trade, one per side.
fills = Table(
    "fills",
    metadata,
    Column("trade_id", BigInteger, primary_key=True, autoincrement=False),
    Column("side", Text, primary_key=True),
    Column("order_id", BigInteger, nullable=False),
    Column("account_id", BigInteger, nullable=False),
    Column("symbol", Text, nullable=False),
    Column("price_micros", BigInteger, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("liquidity", Text, nullable=False),  # maker | taker | auction
    Column("sequence", BigInteger, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
)
Index("ix_fills_account_id", fills.c.account_id, fills.c.sequence)
Index("ix_fills_symbol", fills.c.symbol, fills.c.trade_id)

# One row a posting: the amount leaves the debit side and arrives at the credit side. Account 0 is the outside, -1 gets
# the fees, -2 what rounding them up left over.
ledger = Table(
    "ledger",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("line", Integer, primary_key=True, autoincrement=False),
    Column("debit_account_id", BigInteger, nullable=False),
    Column("debit_bucket", Text, nullable=False),  # available | reserved
    Column("credit_account_id", BigInteger, nullable=False),
    Column("credit_bucket", Text, nullable=False),
    Column("asset", Text, nullable=False),  # USD (micro-dollars) or a symbol (micro-shares)
    Column("amount", BigInteger, CheckConstraint("amount > 0", name="positive"), nullable=False),
)
for _name, _account, _condition in (
    ("ix_ledger_paid", ledger.c.debit_account_id, PAID),
    ("ix_ledger_got", ledger.c.credit_account_id, GOT),
    ("ix_ledger_charged", ledger.c.debit_account_id, CHARGED),
    ("ix_ledger_rebated", ledger.c.credit_account_id, REBATED),
):
    Index(_name, _account, ledger.c.sequence, postgresql_where=text(_condition))

# A margin account may have less than nothing available: it owes cash, or has sold shares short.
balances = Table(
    "balances",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("asset", Text, primary_key=True),
    Column("available", BigInteger, nullable=False),
    Column("reserved", BigInteger, CheckConstraint("reserved >= 0", name="reserved"), nullable=False),
    Column("cost_micros", BigInteger, nullable=False),  # of a position; 0 for cash
)

# The terms as they are now; reference_price_micros is the listing's.
instruments = Table(
    "instruments",
    metadata,
    Column("symbol", Text, primary_key=True),
    Column("tick_micros", BigInteger, nullable=False),
    Column("sub_dollar_tick_micros", BigInteger, nullable=False),
    Column("lot", BigInteger, nullable=False),
    Column("reference_price_micros", BigInteger, nullable=False),
    Column("collar_ppm", BigInteger, nullable=False),
    Column("band_ppm", BigInteger, nullable=False),
    Column("halt_ns", BigInteger, nullable=False),
    Column("tradable", Boolean, nullable=False),
    Column("shortable", Boolean, nullable=False),
    Column("fractionable", Boolean, nullable=False),
)

# What moves, one row an instrument. A batch writes only what changed, hence the nulls; from the listing on phase and
# reference price are there, from the first trade on the last price.
markets = Table(
    "markets",
    metadata,
    Column("symbol", Text, primary_key=True),
    Column("phase", Text),
    Column("reference_price_micros", BigInteger),
    Column("last_price_micros", BigInteger),
)

accounts = Table(
    "accounts",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("multiplier", Integer, nullable=False),
    Column("self_trade", Text, nullable=False),
    Column("blocked", Boolean, nullable=False),
    Column("order_quantity_limit", BigInteger),
    Column("order_value_limit_micros", BigInteger),
    Column("open_orders_limit", BigInteger),
    Column("orders_per_s_limit", BigInteger),
    Column("position_limit", BigInteger),
    Column("opened_at_ns", BigInteger, nullable=False),
)

# What the owner of an account chose for it; without a row all is as the account was given. ``suspended``: the owner is
# who blocked it. ``granted_multiplier``: what it had before the owner made it a cash account.
account_configurations = Table(
    "account_configurations",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("suspended", Boolean, nullable=False),
    Column("fractional_trading", Boolean, nullable=False),
    Column("granted_multiplier", Integer, nullable=False),
)

# Account 0: everybody.
kill_switches = Table(
    "kill_switches",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("engaged", Boolean, nullable=False),
)

# Officers' keys have no account. A revoked key stays, for those who read what it did.
api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("account_id", BigInteger),
    Column("secret_hash", LargeBinary, nullable=False),  # keyed hash; the secret itself is stored nowhere
    Column("role", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at", TIMESTAMP(timezone=True), nullable=False, server_default=func.now()),
    Column("revoked_at", TIMESTAMP(timezone=True)),
    CheckConstraint(_OFFICERS_HAVE_NO_ACCOUNT, name="account"),
)
Index("ix_api_keys_account_id", api_keys.c.account_id)

# Who logs in with a password. A session counts only while it carries the same generation: changing that ends them all,
# also those that Redis would bring back.
people = Table(
    "people",
    metadata,
    Column("name", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("account_id", BigInteger),
    Column("password_hash", Text, nullable=False),  # argon2id, with its salt and parameters
    Column("generation", Text, nullable=False),
    Column("created_at", TIMESTAMP(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint(_OFFICERS_HAVE_NO_ACCOUNT, name="account"),
)

# Every administrative call, written before it is executed and completed after. A trigger refuses everything else.
audit_log = Table(
    "audit_log",
    metadata,
    Column("audit_id", BigInteger, Identity(always=True), primary_key=True),
    Column("begun_at", TIMESTAMP(timezone=True), nullable=False, server_default=func.now()),
    Column("who", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("action", Text, nullable=False),  # method and route, as in PUT /admin/v1/kill_switch
    Column("target", Text, nullable=False),  # the path that was asked for
    Column("client", Text, nullable=False),  # its address
    Column("request_id", Text, nullable=False),
    Column("outcome", Text, nullable=False, server_default="begun"),  # begun | done | refused | failed | unknown
    Column("status", Integer),  # of the answer
    Column("completed_at", TIMESTAMP(timezone=True)),
    Column("before", JSON),
    Column("after", JSON),
)
Index("ix_audit_log_who", audit_log.c.who, audit_log.c.audit_id)

# Market data made from the journal by the feed's recorder, to be made again from it whenever it is lost. A quote is
# there for every record that changed the best bid or offer; time does not go back from one symbol_sequence to the next.
quotes = Table(
    "quotes",
    metadata,
    Column("symbol", Text, primary_key=True),
    Column("at_ns", BigInteger, primary_key=True, autoincrement=False),
    Column("symbol_sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("bid_price_micros", BigInteger, nullable=False),
    Column("bid_quantity", BigInteger, nullable=False),
    Column("ask_price_micros", BigInteger, nullable=False),
    Column("ask_quantity", BigInteger, nullable=False),
)

# The last one of each symbol grows as trades come in.
minute_bars = Table(
    "minute_bars",
    metadata,
    Column("symbol", Text, primary_key=True),
    Column("start_ns", BigInteger, primary_key=True, autoincrement=False),
    Column("open_micros", BigInteger, nullable=False),
    Column("high_micros", BigInteger, nullable=False),
    Column("low_micros", BigInteger, nullable=False),
    Column("close_micros", BigInteger, nullable=False),
    Column("volume", BigInteger, nullable=False),
    Column("trades", BigInteger, nullable=False),
    Column("value", Numeric, nullable=False),  # the sum of price times quantity, which no bigint holds
    Column("first_trade_id", BigInteger, nullable=False),
    Column("last_trade_id", BigInteger, nullable=False),
)

# Up to where the journal is in the two tables above: its last record, and the last trade in it.
market_data_progress = Table(
    "market_data_progress",
    metadata,
    Column("id", SmallInteger, CheckConstraint("id = 1", name="single"), primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
    Column("last_trade_id", BigInteger, nullable=False),
)

watchlists = Table(
    "watchlists",
    metadata,
    Column("watchlist_id", Uuid, primary_key=True),
    Column("account_id", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("symbols", ARRAY(Text), nullable=False),  # in the client's order
    Column("created_at", TIMESTAMP(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", TIMESTAMP(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("account_id", "name"),
)
