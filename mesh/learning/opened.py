"""A bench from the files of a configuration: what the command line and Ray's workers build, each in its own process."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from mesh.errors import InvalidConfig, NotFound
from mesh.learning.anomaly.simulated import Machines, healthy_windows, signal_scenarios
from mesh.learning.anomaly.windows import Layout, WindowSet
from mesh.learning.bench import Bench
from mesh.learning.feedback.label_file import read_labels
from mesh.learning.feedback.labels import AdjudicatedLabels
from mesh.learning.feedback.reviewed import ReviewedLabels
from mesh.learning.feedback.training_set import History
from mesh.learning.frozen import frozen
from mesh.learning.plan import REVIEW, LearningPlan
from mesh.records.database import Database, database_url, late_database
from mesh.registry import Audit
from mesh.registry.configured import open_registry
from mesh.registry.logged import LogAudit
from mesh.registry.reference import is_reference
from mesh.settings import Settings
from mesh.signals.sensors import Telemetry
from mesh.spec import (
    load_features,
    load_learning,
    load_mesh,
    load_scenarios,
    load_telemetry,
    load_topics,
    scenarios_folder,
)
from mesh.stores.delta_reader import DeltaReader
from mesh.stores.errors import NoHistory
from mesh.stores.views import FeatureView

_CACHE = Path(".run/learning")


@contextmanager
def open_bench(
    config_dir: Path, labels: AdjudicatedLabels | None = None, audit: Audit | None = None
) -> Iterator[Bench]:
    """What `retrain` and `update` need, until it is left: then its database is closed.

    Raises `InvalidConfig`, `NotFound`, `StoreFailed` where the history cannot be read, `InvalidInput` for a bad file of labels.
    """
    root, settings = config_dir.resolve().parent, Settings.from_environ(os.environ)
    database = late_database(database_url(settings.database_url, root))
    try:
        yield _bench(config_dir, settings, labels, audit or LogAudit(database, "cli"), database)
    finally:
        database.close()


def _bench(
    config_dir: Path, settings: Settings, labels: AdjudicatedLabels | None, audit: Audit, database: Database
) -> Bench:
    root = config_dir.resolve().parent
    plan, telemetry = load_learning(config_dir), load_telemetry(config_dir)
    if not telemetry.sensors:
        raise InvalidConfig(
            str(config_dir / "telemetry.yaml"), 0, "sensors", "declares none: there is nothing to learn"
        )
    layout = Layout.of(telemetry)
    return Bench(
        plan=plan,
        layout=layout,
        labels=labels or _labels(config_dir, root, plan.labels, database),
        history=_history(config_dir, root, plan, layout),
        registry=open_registry(config_dir, audit),
        benchmark=partial(
            frozen,
            telemetry,
            signal_scenarios(load_scenarios(scenarios_folder(config_dir, settings), telemetry)),
            plan.benchmark,
            root / _CACHE,
        ),
        simulated=partial(_simulated, telemetry, plan),
        shipped=_shipped(config_dir, plan.model, os.environ),
    )


def _labels(config_dir: Path, root: Path, source: str, database: Database) -> AdjudicatedLabels:
    if source != REVIEW:
        return read_labels(root / source)
    return ReviewedLabels(database, load_topics(config_dir)["raw"])


def _simulated(telemetry: Telemetry, plan: LearningPlan) -> WindowSet | None:
    replay = plan.replay
    if not replay.simulated:
        return None
    return healthy_windows(telemetry, Machines(replay.simulated, replay.simulated_s), plan.seed)


def _history(config_dir: Path, root: Path, plan: LearningPlan, layout: Layout) -> History | None:
    """The view's Delta table; None while there is none. One that is away is not none: it would be learned from too little."""
    store = load_features(config_dir, Settings.from_environ(os.environ).features_history)
    view = store.views.get(plan.view)
    if view is None:
        raise NotFound(
            f"learning.yaml: view '{plan.view}' is not one of features.yaml: {', '.join(store.views)}"
        )
    _check(config_dir, view, layout)
    try:
        return DeltaReader(store.address_of(view, root), view)
    except NoHistory:
        return None


def _check(config_dir: Path, view: FeatureView, layout: Layout) -> None:
    if view.columns != layout.names:
        raise InvalidConfig(
            str(config_dir / "learning.yaml"),
            0,
            "view",
            f"'{view.name}' has other columns than the windows of telemetry.yaml: name a view with `columns: telemetry`",
        )


def _shipped(config_dir: Path, model: str, environ: Mapping[str, str]) -> bytes | None:
    """The file that models.yaml hosts under this name; None where it has none, or takes it from a registry."""
    spec = load_mesh(config_dir, Settings.from_environ(environ)).models.get(model)
    if spec is None or spec.path is None or spec.runtime != "onnx" or is_reference(spec.path):
        return None
    path = Path(spec.path)
    return path.read_bytes() if path.is_file() else None
