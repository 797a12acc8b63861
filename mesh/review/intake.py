"""Candidates become items: once each, ranked, joined to their incident, the best of an incident at its head."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Final

import numpy as np
from sqlalchemy import Insert, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from mesh.records.database import Base
from mesh.records.turns import take_turn
from mesh.review.rules import QueueRules
from mesh.review.tables import FeaturesRow, ItemRow, LayoutRow
from mesh.review.values import Candidate
from mesh.stores.views import digest_of

TOGETHER: Final = 200
"""Candidates of one transaction."""


@dataclass(frozen=True, slots=True)
class AlertTimes:
    """What became of an alert, for those that have an item."""

    alert: str
    acknowledged_at: int | None = None
    resolved_at: int | None = None


def item_id(candidate: Candidate) -> str:
    """20 hexadecimal digits of its source and subject."""
    return blake2b(f"{candidate.source}\0{candidate.subject}".encode(), digest_size=10).hexdigest()


class Intake:
    """Writes items, in the session of its caller."""

    def __init__(self, rules: QueueRules | None = None) -> None:
        self._rules = rules or QueueRules()

    def add(self, session: Session, candidates: Sequence[Candidate], now: int) -> int:
        """Take those that are not there yet: how many that were. At most `TOGETHER` at once, so that others may write.

        Those that are there get the voices that they lack, and while they are open the rank that follows.
        """
        if len(candidates) > TOGETHER:
            raise ValueError(f"{len(candidates)} candidates at once; at most {TOGETHER}")
        take_turn(session)  # another router may be seating an item of the same incident
        some = {item_id(one): one for one in candidates}
        known = set(session.scalars(select(ItemRow.id).where(ItemRow.id.in_(some))))
        self._voices(session, {key: some[key] for key in known if some[key].prediction.voices})
        fresh = [(key, one) for key, one in some.items() if key not in known]
        if fresh:
            self._insert(session, fresh, now)
        return len(fresh)

    def _voices(self, session: Session, heard: Mapping[str, Candidate]) -> None:
        if not heard:
            return
        for row in session.scalars(select(ItemRow).where(ItemRow.id.in_(heard), ItemRow.state == "open")):
            one = heard[row.id]
            said = {**row.voices, **one.prediction.voices}
            if said != row.voices:
                row.voices = said
                told = replace(one, prediction=replace(one.prediction, voices=said))
                row.rank = self._rules.urgency.rank(told)

    def alerts(self, session: Session, times: Iterable[AlertTimes]) -> None:
        """Note when alerts were acknowledged and resolved; those without an item are passed over."""
        take_turn(session)
        for one in times:
            values = {"acknowledged_at": one.acknowledged_at, "resolved_at": one.resolved_at}
            session.execute(update(ItemRow).where(ItemRow.alert == one.alert).values(values))

    def _insert(self, session: Session, fresh: Sequence[tuple[str, Candidate]], now: int) -> None:
        rows = [self._row(key, one, now) for key, one in fresh]
        joined = [row for row in rows if row["source"] != "audit"]
        self._join(joined, _latest(session, joined, self._rules.incident_ms))
        _seat(session, joined, now)
        session.execute(_ignoring(session, ItemRow), rows)
        _keep_features(session, fresh)

    def _row(self, key: str, one: Candidate, now: int) -> dict[str, Any]:
        said, urgency = one.prediction, self._rules.urgency
        return {
            "id": key, "source": one.source, "subject": one.subject, "asset": one.asset,
            "row_time": one.row_time, "since": one.since, "severity": one.severity,
            "criticality": one.criticality, "flagged": said.flagged, "score": said.score,
            "threshold": said.threshold, "confidence": said.confidence, "model": said.model,
            "version": said.version, "route": said.route, "served_as": said.role, "rules": said.rules,
            "voices": dict(said.voices), "alert": one.alert,
            "alert_rule": one.alert_rule, "summary": one.summary,
            "topic": one.place and one.place.topic, "partition": one.place and one.place.partition,
            "offset": one.place and one.place.offset, "inclusion": one.inclusion, "twice": one.twice,
            "incident": key, "due": urgency.due(one), "rank": urgency.rank(one), "created_at": now,
            "state": "open", "head": True, "lease_from": 0, "lease_until": 0,
        }  # fmt: skip

    def _join(self, rows: Sequence[dict[str, Any]], latest: dict[str, tuple[str, int]]) -> None:
        """Give each row its incident: that of the asset's item before it, where that is near enough."""
        for row in sorted(rows, key=lambda row: row["row_time"]):
            incident, time = latest.get(row["asset"], ("", 0))
            if incident and abs(row["row_time"] - time) <= self._rules.incident_ms:
                row["incident"] = incident
            if row["row_time"] >= time:  # a late one is not what the next ones follow
                latest[row["asset"]] = (row["incident"], row["row_time"])


def _ignoring(session: Session, table: type[Base]) -> Insert:
    """An insert that leaves a row that another process wrote meanwhile as it is."""
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    return insert(table).on_conflict_do_nothing()


def _keep_features(session: Session, fresh: Sequence[tuple[str, Candidate]]) -> None:
    layouts: dict[str, list[str]] = {}
    kept = []
    for key, one in fresh:
        if one.features:
            digest = digest_of(one.names)
            layouts[digest] = list(one.names)
            kept.append({"item": key, "layout": digest, "values": np.asarray(one.features, "<f8").tobytes()})
    if kept:
        told = [{"digest": digest, "names": names} for digest, names in layouts.items()]
        session.execute(_ignoring(session, LayoutRow), told)
        session.execute(_ignoring(session, FeaturesRow), kept)


def _latest(session: Session, rows: Sequence[Mapping[str, Any]], within: int) -> dict[str, tuple[str, int]]:
    """The incident and time of the newest item of each asset, as far as it may matter to these rows."""
    if not rows:
        return {}
    earliest = min(row["row_time"] for row in rows) - within
    place = (
        func.row_number().over(partition_by=ItemRow.asset, order_by=ItemRow.row_time.desc()).label("place")
    )
    newest = (
        select(ItemRow.asset, ItemRow.incident, ItemRow.row_time, place)
        .where(ItemRow.asset.in_({row["asset"] for row in rows}), ItemRow.row_time >= earliest)
        .where(ItemRow.source != "audit")
        .subquery()
    )
    found = session.execute(
        select(newest.c.asset, newest.c.incident, newest.c.row_time).where(newest.c.place == 1)
    )
    return {asset: (incident, time) for asset, incident, time in found}


def _seat(session: Session, rows: Sequence[dict[str, Any]], now: int) -> None:
    """One open head an incident: the best of the new ones, unless an old one is better or somebody holds it."""
    best: dict[str, dict[str, Any]] = {}
    for row in rows:
        row["head"] = False
        if row["incident"] not in best or row["rank"] > best[row["incident"]]["rank"]:
            best[row["incident"]] = row
    heads = session.execute(
        select(ItemRow.id, ItemRow.incident, ItemRow.rank, ItemRow.lease_until)
        .where(ItemRow.incident.in_(best), ItemRow.head, ItemRow.state == "open", ItemRow.source != "audit")
        .order_by((ItemRow.lease_until > now).desc(), ItemRow.rank.desc(), ItemRow.id)
    ).all()
    outdone = []
    kept: set[str] = set()
    for key, incident, rank, lease_until in heads:
        # the first of an incident may stay; routers of older versions, which took no turns, left some with several
        if incident not in kept and (lease_until > now or rank >= best[incident]["rank"]):
            kept.add(incident)
        else:
            outdone.append(key)
    if outdone:
        session.execute(update(ItemRow).where(ItemRow.id.in_(outdone)).values(head=False))
    for incident, row in best.items():
        row["head"] = incident not in kept


def reseat(session: Session, incident: str) -> None:
    """After the head of an incident has left the queue: the best of its open items takes its place. The caller has the turn."""
    mine = (ItemRow.incident == incident, ItemRow.state == "open", ItemRow.source != "audit")
    best = session.scalar(select(ItemRow.id).where(*mine).order_by(ItemRow.rank.desc(), ItemRow.id).limit(1))
    session.execute(update(ItemRow).where(*mine, ItemRow.head, ItemRow.id != (best or "")).values(head=False))
    if best is not None:
        session.execute(update(ItemRow).where(ItemRow.id == best, ItemRow.head.is_(False)).values(head=True))
