"""The files as JSON Schemas, for editors: `python -m mesh.spec.schema` writes `docs/schema/`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mesh.spec.alerts_file import AlertsFile
from mesh.spec.documented import schema_of
from mesh.spec.features_file import FeaturesFile
from mesh.spec.fields import Strict
from mesh.spec.learning_file import LearningFile
from mesh.spec.model_file import ModelsFile
from mesh.spec.pipeline_file import PipelineFile
from mesh.spec.prices_file import PricesFile
from mesh.spec.review_file import ReviewFile
from mesh.spec.rollout_file import RolloutFile
from mesh.spec.routing_file import RoutingFile
from mesh.spec.scenario_file import ScenarioFile
from mesh.spec.slos_file import SlosFile
from mesh.spec.telemetry_file import TelemetryFile
from mesh.spec.topics_file import TopicsFile

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs/schema"
FILES: Final[Mapping[str, type[Strict]]] = {
    "alerts.json": AlertsFile,
    "features.json": FeaturesFile,
    "learning.json": LearningFile,
    "models.json": ModelsFile,
    "pipeline.json": PipelineFile,
    "prices.json": PricesFile,
    "review.json": ReviewFile,
    "rollout.json": RolloutFile,
    "routing.json": RoutingFile,
    "scenario.json": ScenarioFile,
    "slos.json": SlosFile,
    "telemetry.json": TelemetryFile,
    "topics.json": TopicsFile,
}


def schema_text(model: type[Strict]) -> str:
    """The schema of one file, as it is published."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema_of(model)}
    return json.dumps(schema, indent=2) + "\n"


def main() -> None:
    """Write every schema."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, model in FILES.items():
        (FOLDER / name).write_text(schema_text(model), encoding="utf-8")


if __name__ == "__main__":
    main()
