"""Keep quotes and minute bars, and how far they were made"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "quotes",
        sa.Column("symbol", sa.Text(), nullable=False),
        *_bigints("at_ns", "symbol_sequence"),
        *_bigints("bid_price_micros", "bid_quantity", "ask_price_micros", "ask_quantity"),
        sa.PrimaryKeyConstraint("symbol", "at_ns", "symbol_sequence", name=op.f("pk_quotes")),
    )
    op.create_table(
        "minute_bars",
        sa.Column("symbol", sa.Text(), nullable=False),
        *_bigints("start_ns", "open_micros", "high_micros", "low_micros", "close_micros", "volume", "trades"),
        sa.Column("value", sa.Numeric(), nullable=False),
        *_bigints("first_trade_id", "last_trade_id"),
        sa.PrimaryKeyConstraint("symbol", "start_ns", name=op.f("pk_minute_bars")),
    )
    op.create_table(
        "market_data_progress",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        *_bigints("sequence", "last_trade_id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_market_data_progress")),
        sa.CheckConstraint("id = 1", name=op.f("ck_market_data_progress_single")),
    )


def _bigints(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=False) for name in names]
