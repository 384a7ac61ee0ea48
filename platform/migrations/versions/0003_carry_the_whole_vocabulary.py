"""Carry the whole vocabulary of the market

What has no default here cannot be filled in for old rows: a database that was written in the journal's version 1 is
refused, as its journal would be.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_OPEN = "status IN ('held', 'new', 'partially_filled')"
_OPEN_BEFORE = "status IN ('new', 'partially_filled')"
_ORDER_COLUMNS = (
    *("parent_id", "replaces", "stop_price_micros", "high_water_mark_micros"),
    *("price_micros", "place", "replaced_by"),
)
_TERMS = ("sub_dollar_tick_micros", "lot", "reference_price_micros", "collar_ppm", "band_ppm", "halt_ns")
_FLAGS = ("tradable", "shortable", "fractionable")
_LIMITS = (
    *("order_quantity_limit", "order_value_limit_micros"),
    *("open_orders_limit", "orders_per_s_limit", "position_limit"),
)


def upgrade() -> None:
    op.alter_column("orders", "client_order_id", existing_type=sa.Text(), nullable=True)
    op.add_column("orders", sa.Column("special", sa.JSON(), nullable=True))
    op.add_column("orders", sa.Column("reduced_quantity", sa.BigInteger(), nullable=False))
    for name in _ORDER_COLUMNS:
        op.add_column("orders", sa.Column(name, sa.BigInteger(), nullable=True))
    op.drop_index("ix_orders_open", table_name="orders", postgresql_where=sa.text(_OPEN_BEFORE))
    op.create_index("ix_orders_open", "orders", ["account_id", "order_id"], postgresql_where=sa.text(_OPEN))
    op.create_index("ix_orders_parent_id", "orders", ["parent_id"], postgresql_where=sa.text("parent_id IS NOT NULL"))
    op.drop_constraint(op.f("ck_balances_available"), "balances", type_="check")
    op.add_column("balances", sa.Column("cost_micros", sa.BigInteger(), nullable=False))
    for name in _TERMS:
        op.add_column("instruments", sa.Column(name, sa.BigInteger(), nullable=False))
    for name in _FLAGS:
        op.add_column("instruments", sa.Column(name, sa.Boolean(), nullable=False))
    op.create_table(
        "markets",
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=True),
        sa.Column("reference_price_micros", sa.BigInteger(), nullable=True),
        sa.Column("last_price_micros", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("symbol", name=op.f("pk_markets")),
    )
    op.add_column("accounts", sa.Column("multiplier", sa.Integer(), nullable=False))
    op.add_column("accounts", sa.Column("self_trade", sa.Text(), nullable=False))
    op.add_column("accounts", sa.Column("blocked", sa.Boolean(), nullable=False))
    for name in _LIMITS:
        op.add_column("accounts", sa.Column(name, sa.BigInteger(), nullable=True))
    op.create_table(
        "kill_switches",
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("engaged", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_kill_switches")),
    )


def downgrade() -> None:
    op.drop_table("kill_switches")
    for name in ("multiplier", "self_trade", "blocked", *_LIMITS):
        op.drop_column("accounts", name)
    op.drop_table("markets")
    for name in (*_TERMS, *_FLAGS):
        op.drop_column("instruments", name)
    op.drop_column("balances", "cost_micros")
    op.create_check_constraint(op.f("ck_balances_available"), "balances", "available >= 0")
    op.drop_index("ix_orders_parent_id", table_name="orders")
    op.drop_index("ix_orders_open", table_name="orders")
    op.create_index("ix_orders_open", "orders", ["account_id", "order_id"], postgresql_where=sa.text(_OPEN_BEFORE))
    for name in ("special", "reduced_quantity", *_ORDER_COLUMNS):
        op.drop_column("orders", name)
    op.alter_column("orders", "client_order_id", existing_type=sa.Text(), nullable=False)
