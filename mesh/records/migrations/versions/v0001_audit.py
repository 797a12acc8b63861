"""The audit log, to which entries can only be added: the database itself refuses everything else.

The trigger on INSERT also keeps REPLACE (SQLite) and inserts by hand from breaking the chain.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001_audit"
down_revision = None
branch_labels = None
depends_on = None

_GENESIS = "0" * 64
_LAST = "SELECT hash FROM audit_entries ORDER BY seq DESC LIMIT 1"
_NEXT = f"""NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM audit_entries)
    OR NEW.prev <> COALESCE(({_LAST}), '{_GENESIS}')"""  # noqa: S608 - constants
_SQLITE = (
    """CREATE TRIGGER audit_entries_no_update BEFORE UPDATE ON audit_entries
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
    """CREATE TRIGGER audit_entries_no_delete BEFORE DELETE ON audit_entries
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
    f"""CREATE TRIGGER audit_entries_next BEFORE INSERT ON audit_entries WHEN {_NEXT}
    BEGIN SELECT RAISE(ABORT, 'the entry does not follow the last one of the audit log'); END""",
)
_POSTGRESQL = (
    """CREATE FUNCTION audit_entries_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'restrict_violation'; END $$""",
    f"""CREATE FUNCTION audit_entries_follow() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF {_NEXT} THEN
            RAISE EXCEPTION 'the entry does not follow the last one of the audit log'
                USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN NEW;
    END $$""",
    """CREATE TRIGGER audit_entries_no_change BEFORE UPDATE OR DELETE ON audit_entries
    FOR EACH ROW EXECUTE FUNCTION audit_entries_refuse()""",
    """CREATE TRIGGER audit_entries_no_truncate BEFORE TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION audit_entries_refuse()""",
    """CREATE TRIGGER audit_entries_next BEFORE INSERT ON audit_entries
    FOR EACH ROW EXECUTE FUNCTION audit_entries_follow()""",
)


def upgrade() -> None:
    """Table, indexes, triggers."""
    op.create_table(
        "audit_entries",
        sa.Column("seq", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("via", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("prev", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit_entries"),
    )
    for column in ("at", "actor", "action", "target"):
        op.create_index(f"ix_audit_entries_{column}", "audit_entries", [column, "seq"])
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL:
        op.execute(statement)


def downgrade() -> None:
    """There is no way back: what was logged stays."""
    raise NotImplementedError("the audit log is never taken away")
