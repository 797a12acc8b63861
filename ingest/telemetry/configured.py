"""Everything that the files say of the telemetry chain, in one value."""

from dataclasses import dataclass, field
from pathlib import Path

from mesh.alerts import Policy
from mesh.drift import DriftPolicy
from mesh.pipeline.plan import Level, PipelinePlan
from mesh.review.origin import NOBODY, Origin, origin_of
from mesh.review.plan import ReviewPlan
from mesh.signals.features import feature_names
from mesh.signals.sensors import Telemetry
from mesh.spec import (
    MeshConfig,
    load_alerts,
    load_features,
    load_learning,
    load_pipeline,
    load_review,
    load_telemetry,
)
from mesh.stores.views import FeatureView, digest_of


@dataclass(frozen=True, slots=True)
class Topics:
    """Where the chain reads and writes."""

    raw: str
    features: str
    alerts: str


@dataclass(frozen=True, slots=True)
class ChainConfig:
    """`view` is the feature view that the chain's rows are of; None where `features.yaml` has none for them.

    `origin` says what scores its rows.
    """

    telemetry: Telemetry
    plan: PipelinePlan
    topics: Topics
    policy: Policy
    view: FeatureView | None
    origin: Origin = NOBODY
    drift: DriftPolicy = field(default_factory=DriftPolicy)
    review: ReviewPlan = field(default_factory=ReviewPlan)

    @property
    def features(self) -> tuple[str, ...]:
        """The columns of a flattened row."""
        return feature_names([sensor.name for sensor in self.telemetry.sensors], self.telemetry.features)


def load_chain(folder: Path, mesh: MeshConfig) -> ChainConfig:
    """Read `telemetry.yaml`, `pipeline.yaml`, `alerts.yaml`, `features.yaml`, `learning.yaml` and `review.yaml`.

    Raises `InvalidConfig`.
    """
    telemetry = load_telemetry(folder)
    topics = Topics(mesh.topics["raw"], mesh.topics["features"], mesh.topics["alerts"])
    names = feature_names([sensor.name for sensor in telemetry.sensors], telemetry.features)
    digest = digest_of(names)
    views = load_features(folder).views.values()
    view = next((one for one in views if (one.topic, one.transform) == (topics.features, digest)), None)
    plan = load_pipeline(folder, mesh)
    scores = [stage.endpoint_at(Level.FULL) for stage in plan.stages if stage.kind == "score"]
    versions = {name: spec.version for name, spec in mesh.models.items()}
    origin = next((origin_of(name, versions, mesh.rules_hash) for name in scores if name), NOBODY)
    return ChainConfig(
        telemetry, plan, topics, load_alerts(folder), view, origin, load_learning(folder).drift,
        load_review(folder),
    )  # fmt: skip
