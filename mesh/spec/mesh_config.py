"""All that the YAML files say, checked and compiled: what every process of the mesh holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mesh.routing.facts import ModelFacts
from mesh.routing.table import RouteTable
from mesh.spec.model_file import ModelSpec


@dataclass(frozen=True, slots=True)
class MeshConfig:
    """A checked configuration. Each process rebuilds it with `load_mesh`; equal files give equal hashes.

    `models` are the hosted models and `facts` what rules know of them, both by name. `tables` are the route
    tables by endpoint; a hosted model's own name is an endpoint too, and not in `tables`. `rules_hash` is the
    content hash of all tables. `topics` maps a stage of the stream to its Kafka topic. `project_root` is the
    folder that relative paths start from.
    """

    models: Mapping[str, ModelSpec]
    facts: Mapping[str, ModelFacts]
    tables: Mapping[str, RouteTable]
    default_endpoint: str
    rules_hash: str
    topics: Mapping[str, str]
    project_root: Path

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Every name that clients can address: tables first, then models."""
        return (*self.tables, *self.models)
