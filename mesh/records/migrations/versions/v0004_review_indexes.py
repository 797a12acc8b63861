"""Indexes for who holds what, and for the open items of an incident.

Without statistics SQLite takes the index on `state` for both, and reads every open item.
"""

from alembic import op

revision = "0004_review_indexes"
down_revision = "0002_review"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One more, and one with a second column."""
    op.create_index("ix_review_items_holder", "review_items", ["lease_by", "lease_until"])
    op.drop_index("ix_review_items_incident", "review_items")
    op.create_index("ix_review_items_incident", "review_items", ["incident", "state"])


def downgrade() -> None:
    """As before."""
    op.drop_index("ix_review_items_holder", "review_items")
    op.drop_index("ix_review_items_incident", "review_items")
    op.create_index("ix_review_items_incident", "review_items", ["incident"])
