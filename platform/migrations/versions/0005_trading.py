"""Keep watchlists and account configurations"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_OTHERS = "credit_account_id <> debit_account_id AND debit_bucket = 'available'"
_LEDGER_INDEXES = {
    "ix_ledger_paid": ("debit_account_id", f"debit_account_id > 0 AND credit_account_id >= 0 AND {_OTHERS}"),
    "ix_ledger_got": ("credit_account_id", f"credit_account_id > 0 AND debit_account_id >= 0 AND {_OTHERS}"),
    "ix_ledger_charged": ("debit_account_id", "debit_account_id > 0 AND credit_account_id < 0"),
    "ix_ledger_rebated": ("credit_account_id", "credit_account_id > 0 AND debit_account_id < 0"),
}

# Every account there is was opened by a record of the journal.
_OPENED = """
UPDATE accounts SET opened_at_ns = journal.at_ns FROM journal
WHERE journal.symbol IS NULL AND command->1->>0 = 'OpenAccount' AND (command->1->>2)::bigint = accounts.account_id
"""


def upgrade() -> None:
    now = sa.TIMESTAMP(timezone=True)
    op.create_table(
        "watchlists",
        sa.Column("watchlist_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("symbols", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", now, nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", now, nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("watchlist_id", name=op.f("pk_watchlists")),
        sa.UniqueConstraint("account_id", "name", name=op.f("uq_watchlists_account_id")),
    )
    op.add_column("accounts", sa.Column("opened_at_ns", sa.BigInteger(), nullable=True))
    op.execute(_OPENED)
    op.alter_column("accounts", "opened_at_ns", existing_type=sa.BigInteger(), nullable=False)
    op.create_table(
        "account_configurations",
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("suspended", sa.Boolean(), nullable=False),
        sa.Column("fractional_trading", sa.Boolean(), nullable=False),
        sa.Column("granted_multiplier", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_account_configurations")),
    )
    op.drop_index("ix_fills_account_id", table_name="fills")
    op.create_index("ix_fills_account_id", "fills", ["account_id", "sequence"])
    for name, (account, condition) in _LEDGER_INDEXES.items():
        op.create_index(name, "ledger", [account, "sequence"], postgresql_where=sa.text(condition))


def downgrade() -> None:
    for name in _LEDGER_INDEXES:
        op.drop_index(name, table_name="ledger")
    op.drop_index("ix_fills_account_id", table_name="fills")
    op.create_index("ix_fills_account_id", "fills", ["account_id", "symbol"])
    op.drop_table("account_configurations")
    op.drop_column("accounts", "opened_at_ns")
    op.drop_table("watchlists")
