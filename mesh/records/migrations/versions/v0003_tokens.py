"""API tokens: hashes of their secrets, never the secrets."""

import sqlalchemy as sa
from alembic import op

revision = "0003_tokens"
down_revision = "0001_audit"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The table."""
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.String(12), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("hashed", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_api_tokens"),
        sa.CheckConstraint("role IN ('viewer', 'analyst', 'operator', 'admin')", name="ck_api_tokens_role"),
    )


def downgrade() -> None:
    """All tokens are gone afterwards."""
    op.drop_table("api_tokens")
