"""Create the journal and its projections"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_accounts")),
    )
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_api_keys")),
    )
    op.create_table(
        "balances",
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("asset", sa.Text(), nullable=False),
        sa.Column("available", sa.BigInteger(), nullable=False),
        sa.Column("reserved", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "asset", name=op.f("pk_balances")),
        sa.CheckConstraint("available >= 0", name=op.f("ck_balances_available")),
        sa.CheckConstraint("reserved >= 0", name=op.f("ck_balances_reserved")),
    )
    op.create_table(
        "fills",
        sa.Column("trade_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("price_micros", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("liquidity", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("trade_id", "side", name=op.f("pk_fills")),
    )
    op.create_index("ix_fills_account_id", "fills", ["account_id", "symbol"], unique=False)
    op.create_index("ix_fills_symbol", "fills", ["symbol", "trade_id"], unique=False)
    op.create_table(
        "instruments",
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("tick_micros", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("symbol", name=op.f("pk_instruments")),
    )
    op.create_table(
        "journal",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=True),
        sa.Column("symbol_sequence", sa.BigInteger(), nullable=True),
        sa.Column("command", sa.JSON(), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_journal")),
    )
    op.create_index("ix_journal_symbol_symbol_sequence", "journal", ["symbol", "symbol_sequence"], unique=True)
    op.create_table(
        "leader_epoch",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leader_epoch")),
        sa.CheckConstraint("id = 1", name=op.f("ck_leader_epoch_single")),
    )
    op.create_table(
        "leader_lease",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leader_lease")),
        sa.CheckConstraint("id = 1", name=op.f("ck_leader_lease_single")),
    )
    op.create_table(
        "ledger",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("line", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("debit_account_id", sa.BigInteger(), nullable=False),
        sa.Column("debit_bucket", sa.Text(), nullable=False),
        sa.Column("credit_account_id", sa.BigInteger(), nullable=False),
        sa.Column("credit_bucket", sa.Text(), nullable=False),
        sa.Column("asset", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", "line", name=op.f("pk_ledger")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_ledger_positive")),
    )
    op.create_table(
        "orders",
        sa.Column("order_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("client_order_id", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("order_type", sa.Text(), nullable=False),
        sa.Column("time_in_force", sa.Text(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("limit_price_micros", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("filled_quantity", sa.BigInteger(), nullable=False),
        sa.Column("filled_value_micros", sa.BigInteger(), nullable=False),
        sa.Column("submitted_at_ns", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_ns", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_orders")),
        sa.UniqueConstraint("account_id", "client_order_id", name=op.f("uq_orders_account_id")),
    )
    op.create_index("ix_orders_account_id", "orders", ["account_id", "order_id"], unique=False)
    op.create_index(
        "ix_orders_open",
        "orders",
        ["account_id", "order_id"],
        unique=False,
        postgresql_where=sa.text("status IN ('new', 'partially_filled')"),
    )
    op.execute("INSERT INTO leader_epoch (id, epoch) VALUES (1, 0)")
    op.execute("INSERT INTO leader_lease (id, epoch, holder, expires_at) VALUES (1, 0, '', '-infinity')")


def downgrade() -> None:
    op.drop_index(
        "ix_orders_open", table_name="orders", postgresql_where=sa.text("status IN ('new', 'partially_filled')")
    )
    op.drop_index("ix_orders_account_id", table_name="orders")
    op.drop_table("orders")
    op.drop_table("ledger")
    op.drop_table("leader_lease")
    op.drop_table("leader_epoch")
    op.drop_index("ix_journal_symbol_symbol_sequence", table_name="journal")
    op.drop_table("journal")
    op.drop_table("instruments")
    op.drop_index("ix_fills_symbol", table_name="fills")
    op.drop_index("ix_fills_account_id", table_name="fills")
    op.drop_table("fills")
    op.drop_table("balances")
    op.drop_table("api_keys")
    op.drop_table("accounts")
