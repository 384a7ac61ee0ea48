"""Know the epoch of the cluster, which rises with each new primary"""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    # The cluster's supervisor may have made it already: it needs it before there is a schema.
    op.execute(
        "CREATE TABLE IF NOT EXISTS cluster_epoch (id smallint NOT NULL, epoch bigint NOT NULL,"
        " changed_at timestamptz NOT NULL DEFAULT now(), CONSTRAINT pk_cluster_epoch PRIMARY KEY (id),"
        " CONSTRAINT ck_cluster_epoch_single CHECK (id = 1))"
    )
    op.execute("INSERT INTO cluster_epoch (id, epoch) VALUES (1, 1) ON CONFLICT DO NOTHING")


def downgrade() -> None:
    op.drop_table("cluster_epoch")
