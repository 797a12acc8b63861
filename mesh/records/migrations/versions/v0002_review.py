"""Items that people review, what they said, and the labels that stand. Decisions are only added; labels are never deleted."""

import sqlalchemy as sa
from alembic import op

revision = "0002_review"
down_revision = "0001_audit"
branch_labels = None
depends_on = None

_KEPT = {"review_decisions": "UPDATE OR DELETE", "review_labels": "DELETE", "review_items": "DELETE"}
_SQLITE = """CREATE TRIGGER {table}_no_{lower} BEFORE {event} ON {table}
    BEGIN SELECT RAISE(ABORT, 'what was reviewed is kept: {table} takes no {event}'); END"""
_POSTGRESQL = """CREATE TRIGGER {table}_kept BEFORE {events} ON {table}
    FOR EACH ROW EXECUTE FUNCTION review_refuse()"""
_REFUSE = """CREATE FUNCTION review_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'what was reviewed is kept: % takes no %', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation'; END $$"""


def upgrade() -> None:
    """Tables, indexes, triggers."""
    _items()
    _layouts()
    _features()
    _decisions()
    _labels()
    _passed()
    if op.get_bind().dialect.name == "sqlite":
        for table, events in _KEPT.items():
            for event in events.split(" OR "):
                op.execute(_SQLITE.format(table=table, lower=event.lower(), event=event))
        return
    op.execute(_REFUSE)
    for table, events in _KEPT.items():
        op.execute(_POSTGRESQL.format(table=table, events=events))


def downgrade() -> None:
    """There is no way back: what people said stays."""
    raise NotImplementedError("decisions are never taken away")


def _items() -> None:
    op.create_table(
        "review_items",
        sa.Column("id", sa.String(20), nullable=False),
        sa.Column("source", sa.String(8), nullable=False),
        sa.Column("subject", sa.String(512), nullable=False),
        sa.Column("asset", sa.String(256), nullable=False),
        sa.Column("row_time", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=True),
        sa.Column("severity", sa.String(8), nullable=False),
        sa.Column("criticality", sa.Float(), nullable=False),
        sa.Column("flagged", sa.Boolean(), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("threshold", sa.Float(), nullable=True),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("route", sa.String(128), nullable=False),
        sa.Column("served_as", sa.String(16), nullable=False),
        sa.Column("rules", sa.String(64), nullable=False),
        sa.Column("voices", sa.JSON(), nullable=False),
        sa.Column("alert", sa.String(64), nullable=False),
        sa.Column("alert_rule", sa.String(128), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("topic", sa.String(255), nullable=True),
        sa.Column("partition", sa.BigInteger(), nullable=True),
        sa.Column("offset", sa.BigInteger(), nullable=True),
        sa.Column("inclusion", sa.Float(), nullable=True),
        sa.Column("twice", sa.Boolean(), nullable=False),
        sa.Column("incident", sa.String(20), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("rank", sa.Float(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("head", sa.Boolean(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("lease_by", sa.String(128), nullable=True),
        sa.Column("lease_from", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger(), nullable=True),
        sa.Column("resolved_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_review_items"),
    )
    op.create_index("ix_review_items_queue", "review_items", ["head", "rank", "id"])
    op.create_index("ix_review_items_view", "review_items", ["head", "asset", "rank", "id"])
    op.create_index("ix_review_items_state", "review_items", ["state"])
    op.create_index("ix_review_items_lease", "review_items", ["lease_until"])
    op.create_index("ix_review_items_asset", "review_items", ["asset", "row_time"])
    op.create_index("ix_review_items_incident", "review_items", ["incident"])
    op.create_index("ix_review_items_alert", "review_items", ["alert"])
    op.create_index("ix_review_items_source", "review_items", ["source", "head", "id"])
    op.create_index("ix_review_items_time", "review_items", ["source", "row_time"])
    op.create_index("ix_review_items_decided", "review_items", ["decided_at"])


def _layouts() -> None:
    op.create_table(
        "review_layouts",
        sa.Column("digest", sa.String(16), nullable=False),
        sa.Column("names", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_review_layouts"),
    )


def _features() -> None:
    op.create_table(
        "review_features",
        sa.Column("item", sa.String(20), nullable=False),
        sa.Column("layout", sa.String(16), nullable=False),
        sa.Column("values", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("item", name="pk_review_features"),
        sa.ForeignKeyConstraint(["item"], ["review_items.id"], name="fk_review_features_item_review_items"),
    )
    op.create_index("ix_review_features_layout", "review_features", ["layout"])


def _decisions() -> None:
    op.create_table(
        "review_decisions",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("item", sa.String(20), nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("before", sa.String(16), nullable=False),
        sa.Column("after", sa.String(16), nullable=True),
        sa.Column("reason", sa.String(32), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("onset", sa.BigInteger(), nullable=True),
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("rules", sa.String(64), nullable=False),
        sa.Column("blind", sa.Boolean(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("bulk", sa.String(32), nullable=True),
        sa.Column("undo_of", sa.String(32), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_review_decisions"),
        sa.ForeignKeyConstraint(["item"], ["review_items.id"], name="fk_review_decisions_item_review_items"),
    )
    op.create_index("ix_review_decisions_item", "review_decisions", ["item"])
    op.create_index("ix_review_decisions_undo", "review_decisions", ["undo_of"])
    op.create_index("ix_review_decisions_at", "review_decisions", ["at"])
    op.create_index("ix_review_decisions_bulk", "review_decisions", ["bulk"])


def _labels() -> None:
    op.create_table(
        "review_labels",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("item", sa.String(20), nullable=False),
        sa.Column("label", sa.String(16), nullable=False),
        sa.Column("basis", sa.String(16), nullable=False),
        sa.Column("decisions", sa.JSON(), nullable=False),
        sa.Column("actors", sa.JSON(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("standing", sa.String(20), nullable=True),
        sa.Column("excluded_by", sa.String(32), nullable=True),
        sa.Column("excluded_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_review_labels"),
        sa.ForeignKeyConstraint(["item"], ["review_items.id"], name="fk_review_labels_item_review_items"),
    )
    op.create_index("ix_review_labels_item", "review_labels", ["item"])
    op.create_index("ix_review_labels_at", "review_labels", ["at"])
    op.create_index("uq_review_labels_standing", "review_labels", ["standing"], unique=True)


def _passed() -> None:
    op.create_table(
        "review_passed",
        sa.Column("item", sa.String(20), nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("item", "actor", name="pk_review_passed"),
        sa.ForeignKeyConstraint(["item"], ["review_items.id"], name="fk_review_passed_item_review_items"),
    )
