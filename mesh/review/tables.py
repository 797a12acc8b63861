"""The tables of reviewing. Times are epoch milliseconds; what was said is only ever added to (migration `0002_review`)."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Float, ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from mesh.records.database import Base


class ItemRow(Base):
    """What people are asked; `head` means in the queue's view. Most of it is written once."""

    __tablename__ = "review_items"
    __table_args__ = (
        Index("ix_review_items_queue", "head", "rank", "id"),
        Index("ix_review_items_view", "head", "asset", "rank", "id"),
        Index("ix_review_items_state", "state"),
        Index("ix_review_items_lease", "lease_until"),
        Index("ix_review_items_holder", "lease_by", "lease_until"),
        Index("ix_review_items_asset", "asset", "row_time"),
        Index("ix_review_items_incident", "incident", "state"),
        Index("ix_review_items_alert", "alert"),
        Index("ix_review_items_source", "source", "head", "id"),
        Index("ix_review_items_time", "source", "row_time"),
        Index("ix_review_items_decided", "decided_at"),
    )

    id: Mapped[str] = mapped_column(String(20), primary_key=True)
    source: Mapped[str] = mapped_column(String(8))
    subject: Mapped[str] = mapped_column(String(512))
    asset: Mapped[str] = mapped_column(String(256))
    row_time: Mapped[int] = mapped_column(BigInteger)
    since: Mapped[int | None] = mapped_column(BigInteger)
    severity: Mapped[str] = mapped_column(String(8))
    criticality: Mapped[float] = mapped_column(Float)
    flagged: Mapped[bool] = mapped_column(Boolean)
    score: Mapped[float | None] = mapped_column(Float)
    threshold: Mapped[float | None] = mapped_column(Float)
    confidence: Mapped[float | None] = mapped_column(Float)
    model: Mapped[str] = mapped_column(String(128))
    version: Mapped[str] = mapped_column(String(64))
    route: Mapped[str] = mapped_column(String(128))
    served_as: Mapped[str] = mapped_column(String(16))
    rules: Mapped[str] = mapped_column(String(64))
    voices: Mapped[dict[str, float]] = mapped_column(JSON)
    alert: Mapped[str] = mapped_column(String(64))
    alert_rule: Mapped[str] = mapped_column(String(128))
    summary: Mapped[str] = mapped_column(Text)
    topic: Mapped[str | None] = mapped_column(String(255))
    partition: Mapped[int | None] = mapped_column(BigInteger)
    offset: Mapped[int | None] = mapped_column(BigInteger)
    inclusion: Mapped[float | None] = mapped_column(Float)
    twice: Mapped[bool] = mapped_column(Boolean)
    incident: Mapped[str] = mapped_column(String(20))
    due: Mapped[int] = mapped_column(BigInteger)
    rank: Mapped[float] = mapped_column(Float)
    created_at: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(10))
    head: Mapped[bool] = mapped_column(Boolean)
    decided_at: Mapped[int | None] = mapped_column(BigInteger)
    lease_by: Mapped[str | None] = mapped_column(String(128))
    lease_from: Mapped[int] = mapped_column(BigInteger)
    lease_until: Mapped[int] = mapped_column(BigInteger)
    acknowledged_at: Mapped[int | None] = mapped_column(BigInteger)
    resolved_at: Mapped[int | None] = mapped_column(BigInteger)


class LayoutRow(Base):
    """Names of features, in order; `digest` is `mesh.stores.views.digest_of` them."""

    __tablename__ = "review_layouts"

    digest: Mapped[str] = mapped_column(String(16), primary_key=True)
    names: Mapped[list[str]] = mapped_column(JSON)


class FeaturesRow(Base):
    """The features of an item's row, little-endian float64; beside the item, because the queue never reads them."""

    __tablename__ = "review_features"
    __table_args__ = (Index("ix_review_features_layout", "layout"),)

    item: Mapped[str] = mapped_column(String(20), ForeignKey("review_items.id"), primary_key=True)
    layout: Mapped[str] = mapped_column(String(16))
    values: Mapped[bytes] = mapped_column(LargeBinary)


class DecisionRow(Base):
    """What a person did with an item: before and after, why, with what in view, how long it took, what it undoes."""

    __tablename__ = "review_decisions"
    __table_args__ = (
        Index("ix_review_decisions_item", "item"),
        Index("ix_review_decisions_undo", "undo_of"),
        Index("ix_review_decisions_at", "at"),
        Index("ix_review_decisions_bulk", "bulk"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    item: Mapped[str] = mapped_column(String(20), ForeignKey("review_items.id"))
    actor: Mapped[str] = mapped_column(String(128))
    role: Mapped[str] = mapped_column(String(16))
    action: Mapped[str] = mapped_column(String(16))
    before: Mapped[str] = mapped_column(String(16))
    after: Mapped[str | None] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(String(32))
    note: Mapped[str] = mapped_column(Text)
    tags: Mapped[list[str]] = mapped_column(JSON)
    onset: Mapped[int | None] = mapped_column(BigInteger)
    model: Mapped[str] = mapped_column(String(128))
    version: Mapped[str] = mapped_column(String(64))
    rules: Mapped[str] = mapped_column(String(64))
    blind: Mapped[bool] = mapped_column(Boolean)
    evidence: Mapped[dict[str, Any]] = mapped_column(JSON)
    seconds: Mapped[float] = mapped_column(Float)
    bulk: Mapped[str | None] = mapped_column(String(32))
    undo_of: Mapped[str | None] = mapped_column(String(32))
    at: Mapped[int] = mapped_column(BigInteger)


class LabelRow(Base):
    """A label that stood, or stands while `excluded_at` is NULL; `decisions` carry it."""

    __tablename__ = "review_labels"
    __table_args__ = (
        Index("ix_review_labels_item", "item"),
        Index("ix_review_labels_at", "at"),
        Index("uq_review_labels_standing", "standing", unique=True),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    item: Mapped[str] = mapped_column(String(20), ForeignKey("review_items.id"))
    label: Mapped[str] = mapped_column(String(16))
    basis: Mapped[str] = mapped_column(String(16))
    decisions: Mapped[list[str]] = mapped_column(JSON)
    actors: Mapped[list[str]] = mapped_column(JSON)
    at: Mapped[int] = mapped_column(BigInteger)
    standing: Mapped[str | None] = mapped_column(String(20))
    excluded_by: Mapped[str | None] = mapped_column(String(32))
    excluded_at: Mapped[int | None] = mapped_column(BigInteger)


class PassedRow(Base):
    """Until when an item is not offered to a person again: for ever once they judged it, an hour once they skipped it."""

    __tablename__ = "review_passed"

    item: Mapped[str] = mapped_column(String(20), ForeignKey("review_items.id"), primary_key=True)
    actor: Mapped[str] = mapped_column(String(128), primary_key=True)
    until: Mapped[int] = mapped_column(BigInteger)
