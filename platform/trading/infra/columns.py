"""What is written into the tables in bulk, column by column, and which rows of the ledger are what.

Said here for the programs that run: SQLAlchemy, in which ``tables`` declares the same for the migrations, costs each
of them a fifth of a second of computing to import, and 14 MB. A test compares the two.
"""

from __future__ import annotations

from typing import Final


def _columns(*described: str) -> dict[str, str]:
    """Each "name" or "name:TYPE"; most are BIGINT."""
    pairs = (text.partition(":") for text in described)
    return {name: kind or "BIGINT" for name, _, kind in pairs}


# Table by table, column name -> PostgreSQL type, in the tables' order. First what a batch of the journal writes, in the
# order in which its statement does.
JOURNALED: Final[dict[str, dict[str, str]]] = {
    "journal": _columns("sequence", "epoch", "at_ns", "symbol:TEXT", "symbol_sequence", "command:JSON", "events:JSON"),
    "orders": _columns(
        *("order_id", "account_id", "client_order_id:TEXT", "symbol:TEXT", "side:TEXT", "order_type:TEXT"),
        *("time_in_force:TEXT", "quantity", "limit_price_micros", "special:JSON", "parent_id", "replaces"),
        *("status:TEXT", "filled_quantity", "filled_value_micros", "reduced_quantity", "stop_price_micros"),
        *("high_water_mark_micros", "price_micros", "place", "replaced_by", "submitted_at_ns", "updated_at_ns"),
        "sequence",
    ),
    "fills": _columns(
        *("trade_id", "side:TEXT", "order_id", "account_id", "symbol:TEXT", "price_micros", "quantity"),
        *("liquidity:TEXT", "sequence", "at_ns"),
    ),
    "ledger": _columns(
        *("sequence", "line:INTEGER", "debit_account_id", "debit_bucket:TEXT", "credit_account_id"),
        *("credit_bucket:TEXT", "asset:TEXT", "amount"),
    ),
    "balances": _columns("account_id", "asset:TEXT", "available", "reserved", "cost_micros"),
    "instruments": _columns(
        *("symbol:TEXT", "tick_micros", "sub_dollar_tick_micros", "lot", "reference_price_micros", "collar_ppm"),
        *("band_ppm", "halt_ns", "tradable:BOOLEAN", "shortable:BOOLEAN", "fractionable:BOOLEAN"),
    ),
    "markets": _columns("symbol:TEXT", "phase:TEXT", "reference_price_micros", "last_price_micros"),
    "accounts": _columns(
        *("account_id", "multiplier:INTEGER", "self_trade:TEXT", "blocked:BOOLEAN", "order_quantity_limit"),
        *("order_value_limit_micros", "open_orders_limit", "orders_per_s_limit", "position_limit", "opened_at_ns"),
    ),
    "kill_switches": _columns("account_id", "engaged:BOOLEAN"),
    "state_hashes": _columns("sequence", "epoch", "hash:TEXT"),
}

RECORDED: Final[dict[str, dict[str, str]]] = {
    "quotes": _columns(
        *("symbol:TEXT", "at_ns", "symbol_sequence"),
        *("bid_price_micros", "bid_quantity", "ask_price_micros", "ask_quantity"),
    ),
    "minute_bars": _columns(
        *("symbol:TEXT", "start_ns", "open_micros", "high_micros", "low_micros", "close_micros", "volume", "trades"),
        *("value:NUMERIC", "first_trade_id", "last_trade_id"),
    ),
}

# Conditions on rows of the ledger: what an account paid and got beside its trades, and what its trades cost it. The
# postings of an order without a fee are in none of the four. A query finds an index only where it repeats one.
_OTHERS: Final = "credit_account_id <> debit_account_id AND debit_bucket = 'available'"
PAID: Final = f"debit_account_id > 0 AND credit_account_id >= 0 AND {_OTHERS}"
GOT: Final = f"credit_account_id > 0 AND debit_account_id >= 0 AND {_OTHERS}"
CHARGED: Final = "debit_account_id > 0 AND credit_account_id < 0"
REBATED: Final = "credit_account_id > 0 AND debit_account_id < 0"
