"""Keep watchlists and account configurations"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


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


def downgrade() -> None:
    op.drop_table("watchlists")
