"""Keep people, roles and the audit"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_OFFICERS_HAVE_NO_ACCOUNT = "(account_id IS NULL) = (role IN ('risk_officer', 'operator'))"

# A payment's last field is its reference, or its amount if it has none; orders are records of a market.
_PAYMENTS = "symbol IS NULL AND command->1->>0 IN ('Deposit', 'Withdraw', 'Transfer')"

# Not even whoever owns the table changes what is written, short of taking the trigger away.
_KEPT = """
CREATE FUNCTION audit_log_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF OLD.outcome = 'begun' AND NEW.outcome <> 'begun'
            AND (NEW.audit_id, NEW.begun_at, NEW.who, NEW.role, NEW.action, NEW.target, NEW.client, NEW.request_id)
            = (OLD.audit_id, OLD.begun_at, OLD.who, OLD.role, OLD.action, OLD.target, OLD.client, OLD.request_id)
        THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'the audit is kept as it was written' USING ERRCODE = 'insufficient_privilege';
END $$
"""


def upgrade() -> None:
    op.alter_column("api_keys", "account_id", existing_type=sa.BigInteger(), nullable=True)
    op.add_column("api_keys", sa.Column("role", sa.Text(), nullable=False, server_default="trader"))
    op.add_column("api_keys", sa.Column("name", sa.Text(), nullable=False, server_default=""))
    for name in ("role", "name"):  # only for the rows there are
        op.alter_column("api_keys", name, existing_type=sa.Text(), server_default=None)
    now = sa.Column("created_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.now())
    op.add_column("api_keys", now)
    op.add_column("api_keys", sa.Column("revoked_at", sa.TIMESTAMP(timezone=True), nullable=True))
    op.create_check_constraint(op.f("ck_api_keys_account"), "api_keys", _OFFICERS_HAVE_NO_ACCOUNT)
    op.create_index("ix_api_keys_account_id", "api_keys", ["account_id"])
    op.create_table(
        "people",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("generation", sa.Text(), nullable=False),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.CheckConstraint(_OFFICERS_HAVE_NO_ACCOUNT, name=op.f("ck_people_account")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_people")),
    )
    op.execute(f"CREATE INDEX ix_journal_reference ON journal ((command->1->>-1)) WHERE {_PAYMENTS}")
    op.create_table(
        "audit_log",
        sa.Column("audit_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("begun_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.now()),
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("who", "role", "action", "target", "client", "request_id")
        ),
        sa.Column("outcome", sa.Text(), nullable=False, server_default="begun"),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("completed_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.Column("after", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("audit_id", name=op.f("pk_audit_log")),
    )
    op.create_index("ix_audit_log_who", "audit_log", ["who", "audit_id"])
    op.execute(_KEPT)
    for when, what in (("UPDATE OR DELETE", "ROW"), ("TRUNCATE", "STATEMENT")):
        op.execute(
            f"CREATE TRIGGER audit_log_is_kept_{what.lower()} BEFORE {when} ON audit_log"
            f" FOR EACH {what} EXECUTE FUNCTION audit_log_is_kept()"
        )


def downgrade() -> None:
    op.drop_table("audit_log")
    op.execute("DROP FUNCTION audit_log_is_kept()")
    op.drop_index("ix_journal_reference", table_name="journal")
    op.drop_table("people")
    op.drop_index("ix_api_keys_account_id", table_name="api_keys")
    op.drop_constraint(op.f("ck_api_keys_account"), "api_keys", type_="check")
    for name in ("revoked_at", "created_at", "name", "role"):
        op.drop_column("api_keys", name)
    op.execute("DELETE FROM api_keys WHERE account_id IS NULL")
    op.alter_column("api_keys", "account_id", existing_type=sa.BigInteger(), nullable=False)
