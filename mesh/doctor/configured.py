"""The configuration, and Ray's variables."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from mesh.doctor.finding import Finding
from mesh.errors import InvalidConfig
from mesh.settings import Settings
from mesh.spec import (
    MeshConfig,
    load_alerts,
    load_features,
    load_mesh,
    load_pipeline,
    load_prices,
    load_review,
    load_slos,
    load_telemetry,
)
from mesh.spec.model_file import FILE_KINDS


def configuration(folder: Path, settings: Settings) -> tuple[list[Finding], MeshConfig | None]:
    """Every file is valid and every artifact there; the mesh that they declare, where they are."""
    try:
        mesh = load_mesh(folder, settings)
        load_pipeline(folder, mesh)
        load_telemetry(folder)
        load_alerts(folder)
        load_features(folder)
        load_prices(folder)
        load_review(folder)
        if (folder / "slos.yaml").exists():
            load_slos(folder)
    except InvalidConfig as error:
        return [
            Finding("config", "problem", str(error), "correct it; hyperstream check says all mistakes")
        ], None
    found = [Finding("config", "ok", f"{folder}: {len(mesh.tables)} tables, {len(mesh.models)} models")]
    for name, model in mesh.models.items():
        if model.runtime in FILE_KINDS and model.path and not Path(model.path).exists():
            words = f"model {name}: {model.path} is not there"
            found.append(Finding("config", "problem", words, "make train, or correct its path"))
    return found, mesh


def ray_variables(environ: Mapping[str, str], wanted: Mapping[str, str]) -> Iterator[Finding]:
    """What differs from what `hyperstream up` sets."""
    other = {name: environ[name] for name in wanted if name in environ and environ[name] != wanted[name]}
    for name, value in sorted(other.items()):
        yield Finding(
            "ray", "note", f"{name}={value}; hyperstream up would set {wanted[name]}",
            f"unset {name} unless you mean it (docs/operations.md)",
        )  # fmt: skip
    unset = [name for name in wanted if name not in environ]
    if unset:
        words = f"{len(unset)} of {len(wanted)} variables are not set here"
        yield Finding("ray", "ok", f"{words}: hyperstream up sets them; serve run needs them from you")
    elif not other:
        yield Finding("ray", "ok", "all variables are as hyperstream up sets them")
