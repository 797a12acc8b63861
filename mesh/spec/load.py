"""From a folder of YAML files and the environment to one checked `MeshConfig`."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from mesh.alerts.rules import Policy
from mesh.costs import Prices
from mesh.errors import InvalidConfig
from mesh.learning.plan import LearningPlan
from mesh.pipeline.plan import PipelinePlan
from mesh.review.plan import ReviewPlan
from mesh.routing.problems import nearest
from mesh.settings import Settings
from mesh.signals.sensors import Telemetry
from mesh.slo.objective import Slos
from mesh.spec.alerts_file import AlertsFile
from mesh.spec.alerts_policy import compile_alerts
from mesh.spec.default_model import default_model
from mesh.spec.document import Document, read_document
from mesh.spec.features_file import FeaturesFile
from mesh.spec.learning_file import LearningFile
from mesh.spec.mesh_config import MeshConfig
from mesh.spec.model_checks import model_problems
from mesh.spec.model_file import ModelsFile, ModelSpec
from mesh.spec.pipeline_file import PipelineFile, unknown_endpoints
from mesh.spec.prices_file import PricesFile
from mesh.spec.problems import one_or_all, validate
from mesh.spec.review_file import ReviewFile
from mesh.spec.routing_file import DEFAULT_ENDPOINT, RoutingFile
from mesh.spec.slos_file import SlosFile
from mesh.spec.tables import compile_tables, hash_of, plain_table
from mesh.spec.telemetry_file import TelemetryFile
from mesh.spec.topics_file import TopicsFile
from mesh.stores.views import FeatureStore

MODELS, ROUTING, TOPICS = "models.yaml", "routing.yaml", "topics.yml"
TELEMETRY, PIPELINE, ALERTS, FEATURES = "telemetry.yaml", "pipeline.yaml", "alerts.yaml", "features.yaml"
PRICES, LEARNING, SLOS, REVIEW = "prices.yaml", "learning.yaml", "slos.yaml", "review.yaml"
_MISTAKEN = {
    "models.yml": MODELS,
    "routing.yml": ROUTING,
    "topics.yaml": TOPICS,
    "telemetry.yml": TELEMETRY,
    "pipeline.yml": PIPELINE,
    "alerts.yml": ALERTS,
    "features.yml": FEATURES,
    "prices.yml": PRICES,
    "slos.yml": SLOS,
    "learning.yml": LEARNING,
    "review.yml": REVIEW,
}


def load_mesh(config_dir: Path, settings: Settings) -> MeshConfig:
    """Read `models.yaml`, `routing.yaml` and `topics.yml` in `config_dir`; each may be absent.

    Raises `InvalidConfig` (an `InvalidConfigs` with all of a file's problems where there are several) before
    anything starts. Artifacts are not opened: a missing one is its model's own failure, and the others serve.
    """
    _refuse_mistaken_names(config_dir)
    models, routing = _document(config_dir / MODELS), _document(config_dir / ROUTING)
    return mesh_of(models, routing, config_dir, settings)


def mesh_of(
    models_document: Document, document: Document, config_dir: Path, settings: Settings
) -> MeshConfig:
    """As `load_mesh`, for what the two files say, wherever it comes from; topics are read in `config_dir`."""
    root = config_dir.resolve().parent
    models = _models(models_document, root)
    routing = validate(RoutingFile, document, document.data)
    facts = {name: model.facts() for name, model in models.items()}
    tables = compile_tables(document, routing, facts)
    default = default_model(settings, models, root, defined=DEFAULT_ENDPOINT in (*tables, *models))
    if default is not None:
        models.setdefault(default.name, default)
        facts.setdefault(default.name, default.facts())
        tables[DEFAULT_ENDPOINT] = plain_table(DEFAULT_ENDPOINT, default.name)
    return MeshConfig(
        models=models,
        facts=facts,
        tables=tables,
        default_endpoint=_default_endpoint(settings, (*tables, *models)),
        rules_hash=hash_of(table.rules_hash for table in tables.values()),
        topics=load_topics(config_dir),
        project_root=root,
    )


def load_topics(config_dir: Path) -> dict[str, str]:
    """The Kafka topic of each stage by `topics.yml` in `config_dir`, or its default. Raises as `load_mesh` does."""
    document = _document(config_dir / TOPICS)
    return {stage: entry.topic for stage, entry in validate(TopicsFile, document, document.data)}


def load_telemetry(config_dir: Path) -> Telemetry:
    """Read `telemetry.yaml` in `config_dir`; without one there are no sensors. Raises as `load_mesh` does."""
    _refuse_mistaken_names(config_dir)
    return _telemetry(_document(config_dir / TELEMETRY))


def read_telemetry(path: Path) -> Telemetry:
    """Read a file such as `telemetry.yaml`. Raises as `load_mesh` does."""
    return _telemetry(read_document(path))


def _telemetry(document: Document) -> Telemetry:
    return validate(TelemetryFile, document, document.data).telemetry()


def load_pipeline(config_dir: Path, mesh: MeshConfig) -> PipelinePlan:
    """Read `pipeline.yaml` in `config_dir`; without one, the chain ends at its own detector. Raises as `load_mesh` does."""
    _refuse_mistaken_names(config_dir)
    document = _document(config_dir / PIPELINE)
    plan = validate(PipelineFile, document, document.data).plan(document)
    unknown = unknown_endpoints(document, plan, (*mesh.tables, *mesh.models))
    if unknown:
        raise one_or_all(unknown)
    return plan


def load_alerts(config_dir: Path) -> Policy:
    """Read `alerts.yaml` in `config_dir`; without one there are no rules. Raises as `load_mesh` does."""
    _refuse_mistaken_names(config_dir)
    document = _document(config_dir / ALERTS)
    return compile_alerts(document, validate(AlertsFile, document, document.data))


def load_features(config_dir: Path, history: str | None = None) -> FeatureStore:
    """Read `features.yaml` in `config_dir`, with `telemetry.yaml` and `topics.yml`, which it follows; each may be absent.

    `history` takes the place of the file's own (`Settings.features_history`). Raises as `load_mesh` does.
    """
    telemetry = load_telemetry(config_dir)
    document = _document(config_dir / FEATURES)
    store = validate(FeaturesFile, document, document.data).store(telemetry, load_topics(config_dir))
    return store if history is None else replace(store, history=history)


def load_prices(config_dir: Path) -> Prices:
    """Read `prices.yaml` in `config_dir`; without one everything costs nothing. Raises as `load_mesh` does."""
    _refuse_mistaken_names(config_dir)
    document = _document(config_dir / PRICES)
    return validate(PricesFile, document, document.data).prices()


def load_slos(config_dir: Path) -> Slos:
    """Read `slos.yaml` in `config_dir`, which must be there. Raises as `load_mesh` does."""
    _refuse_mistaken_names(config_dir)
    document = read_document(config_dir / SLOS)
    return validate(SlosFile, document, document.data).compiled()


def load_learning(config_dir: Path) -> LearningPlan:
    """Read `learning.yaml` in `config_dir`; without one the defaults hold. Raises as `load_mesh` does."""
    _refuse_mistaken_names(config_dir)
    document = _document(config_dir / LEARNING)
    return validate(LearningFile, document, document.data).plan()


def load_review(config_dir: Path) -> ReviewPlan:
    """Read `review.yaml` in `config_dir`; without one the defaults hold. Raises as `load_mesh` does."""
    _refuse_mistaken_names(config_dir)
    document = _document(config_dir / REVIEW)
    return validate(ReviewFile, document, document.data).plan()


def _refuse_mistaken_names(config_dir: Path) -> None:
    """A file that nobody reads looks like one that is obeyed."""
    for mistaken, name in _MISTAKEN.items():
        if (config_dir / mistaken).exists():
            raise InvalidConfig(str(config_dir / mistaken), 0, "", f"is not read: name it {name}")


def _document(path: Path) -> Document:
    return read_document(path) if path.exists() else Document(str(path), {}, {(): 0})


def _models(document: Document, root: Path) -> dict[str, ModelSpec]:
    file = validate(ModelsFile, document, document.data)
    problems = model_problems(document, file)
    if problems:
        raise one_or_all(problems)
    return {name: ModelSpec.of(name, entry, root) for name, entry in file.models.items()}


def _default_endpoint(settings: Settings, endpoints: Collection[str]) -> str:
    """The endpoint of records without `model_id`."""
    wanted = settings.default_model_id
    if wanted not in endpoints:
        reason = f"no endpoint or model '{wanted}'{nearest(wanted, endpoints)}"
        raise InvalidConfig("environment", 0, "ML_DEFAULT_MODEL_ID", reason)
    return wanted
