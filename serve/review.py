"""Reviewing in one router: its routes, and what keeps the queue in step. Put together in one place."""

from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter

from mesh.errors import InvalidConfig, MeshError
from mesh.records.opened import Records
from mesh.review.feed import RedisCandidates
from mesh.review.follow import ReviewFollower
from mesh.review.from_alerts import AlertReading
from mesh.review.metering import ReviewGauges, ReviewMetering
from mesh.review.origin import Origin, origin_of
from mesh.review.ports import Signals
from mesh.review.reviewing import reviewing
from mesh.review.signals import FirstSignals, History, HistorySignals, NewestSignals
from mesh.settings import Settings
from mesh.spec import MeshConfig, load_alerts, load_features, load_pipeline, load_review, load_telemetry
from mesh.stores.alerts import RedisAlerts
from mesh.stores.online import OnlineStore
from mesh.stores.redis_online import RedisOnlineStore
from mesh.stores.views import FeatureStore, FeatureView
from mesh.telemetry.recorder import Recorder
from serve.api.review import review_router
from serve.api.review_case import Surroundings


@dataclass(frozen=True, slots=True)
class Review:
    """Open from `open_review` to `close`."""

    router: APIRouter
    _follower: ReviewFollower
    _gauges: ReviewGauges
    _source: RedisCandidates

    async def close(self) -> None:
        """Stop following. The records belong to the door."""
        await self._follower.stop()
        await self._gauges.stop()
        await self._source.close()


def open_review(
    settings: Settings,
    config: MeshConfig,
    folder: Path,
    alerts: RedisAlerts,
    online: RedisOnlineStore,
    records: Records,
    process: str,
    recorder: Recorder,
) -> Review:
    """Reviewing over `records`, on the event loop that runs. Reads files: they were checked before."""
    policy, plan = load_alerts(folder), load_review(folder)
    store = load_features(folder, settings.features_history)
    view = store.views.get("telemetry") or next(iter(store.views.values()), None)
    conditions = {rule.name: rule.when.text for rule in policy.rules}
    parts = reviewing(records.database, plan.queue, policy.budget)
    metering = ReviewMetering(recorder)
    gauges = ReviewGauges(parts, records.transactions, metering)
    gauges.start()
    criticality, origin = _declared(folder, config)
    reading = AlertReading(conditions, origin, criticality, view.columns if view else (), plan.audit)
    source = RedisCandidates(settings.redis_url, process)
    follower = ReviewFollower(
        records.transactions, parts.intake, alerts, alerts, reading, source,
        (view, online) if view else None,
    )  # fmt: skip
    follower.start()
    around = Surroundings(
        _signals(store, view, online, config.project_root), alerts, conditions, parts.rules.urgency
    )
    router = review_router(parts, around, records.ledger, records.transactions, metering=metering)
    return Review(router, follower, gauges, source)


def _declared(folder: Path, config: MeshConfig) -> tuple[dict[str, float], Origin]:
    """How critical assets are and what scores their rows; nothing where there is no telemetry chain."""
    try:
        telemetry, plan = load_telemetry(folder), load_pipeline(folder, config)
    except InvalidConfig:
        # A mesh without sensors serves all the same; the chain's own start says what is wrong
        return {}, Origin()
    endpoints = [name for stage in plan.stages for name in stage.endpoints.values()]
    versions = {name: spec.version for name, spec in config.models.items()}
    origin = origin_of(endpoints[0], versions, config.rules_hash) if endpoints else Origin()
    return dict(telemetry.criticality), origin


def _signals(store: FeatureStore, view: FeatureView | None, online: OnlineStore, root: Path) -> Signals:
    """History where it is kept, else the newest row."""
    if view is None:
        return FirstSignals(())
    known = view

    def open_history() -> History:
        try:
            from mesh.stores.delta_reader import DeltaReader  # noqa: PLC0415 - its packages are an extra
        except ImportError as error:
            extra = "pip install 'hyperstream-mesh[features]'"
            raise MeshError(f"history needs the package {error.name}: {extra}") from None
        return DeltaReader(store.address_of(known, root), known)

    return FirstSignals((HistorySignals(known, open_history), NewestSignals(known, online)))
