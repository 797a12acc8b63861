"""The default model that the environment defines, and the one that is there when nothing defines any."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mesh.errors import InvalidConfig
from mesh.settings import Settings
from mesh.spec.model_file import ModelEntry, ModelSpec
from mesh.spec.routing_file import DEFAULT_ENDPOINT

DEFAULT_MODEL: Final = "default-model"
"""The name of the model that `ML_MODEL_FRAMEWORK` and `ML_MODEL_PATH` define."""

IDENTITY_MODEL: Final = "identity"
"""The model that answers `default` where neither files nor environment say who does."""


def default_model(
    settings: Settings, models: Mapping[str, ModelSpec], root: Path, *, defined: bool
) -> ModelSpec | None:
    """The model that is to answer the endpoint `default`; None where the files define that endpoint.

    `defined` says whether they do; the environment goes before them. A relative `ML_MODEL_PATH` starts from
    `root`, the project's folder: Ray's workers have working directories of their own. Raises `InvalidConfig`
    naming the variable.
    """
    framework, path = settings.model_framework, settings.model_path
    if framework is None and path is None:
        if defined:
            return None
        return _identity(models, root)
    if framework is None:
        raise InvalidConfig(
            "environment", 0, "ML_MODEL_FRAMEWORK", "must be torch or tensorflow where ML_MODEL_PATH is set"
        )
    if path is None:
        raise InvalidConfig(
            "environment", 0, "ML_MODEL_PATH", "must name the artifact where ML_MODEL_FRAMEWORK is set"
        )
    for name in (DEFAULT_MODEL, DEFAULT_ENDPOINT):
        if name in models:
            reason = (
                f"defines the default model, but models.yaml has a model '{name}': rename that, or unset this"
            )
            raise InvalidConfig("environment", 0, "ML_MODEL_PATH", reason)
    entry = ModelEntry.model_validate({"runtime": framework, "path": path})
    return ModelSpec.of(DEFAULT_MODEL, entry, root)


def _identity(models: Mapping[str, ModelSpec], root: Path) -> ModelSpec:
    there = models.get(IDENTITY_MODEL)
    if there is not None:
        return there
    return ModelSpec.of(IDENTITY_MODEL, ModelEntry(runtime="identity"), root)
