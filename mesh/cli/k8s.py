"""`hyperstream k8s`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import typer
import yaml

from mesh.cli.launch import serve_document
from mesh.cli.ray_variables import RAY_VARIABLES
from mesh.errors import InvalidConfig, MeshError
from mesh.kubernetes import Project, rendered
from mesh.settings import Settings
from mesh.spec import (
    check_rollouts,
    load_alerts,
    load_features,
    load_mesh,
    load_pipeline,
    load_scenarios,
    load_telemetry,
    rollouts_folder,
    scenarios_folder,
)

app = typer.Typer(help="What Kubernetes must be told of the mesh.", no_args_is_help=True)

_DEAD_LETTER_SUFFIX: Final = ".dlq"
_ONE_MACHINE: Final = frozenset(
    {
        "RAY_ADDRESS",  # a cluster of its own on this machine
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER",  # keeps Ray on the loopback
        # How long a stop may take when somebody waits at a terminal; pods have time, and clients that must notice.
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S",
        "RAY_SERVE_PROXY_MIN_DRAINING_PERIOD_S",
        "RAY_SERVE_SHUTDOWN_TIER_TIMEOUT_S",
        "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S",
    }
)
"""Variables of `hyperstream up` that have no place in a cluster."""


class Drifted(MeshError):
    """Files that are generated differ from what they are generated from."""


@app.callback()
def _group() -> None:
    """Keeps `render` a command of its own while it is the only one."""


@app.command()
def render(
    *,
    root: Annotated[
        Path, typer.Option(help="The folder with serve_config.yaml, config/ and observability/.")
    ] = Path(),
    out: Annotated[Path, typer.Option(help="Where the files go.")] = Path("k8s/base/generated"),
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit status 1 where a file differs.")
    ] = False,
) -> None:
    """Write what `k8s/base` is built on: serveConfigV2, ConfigMaps of config/, Kafka topics, alert rules.

    For example:

    - `hyperstream k8s render`
    - `hyperstream k8s render --check`
    """
    files = rendered(read_project(root))
    if check:
        different = differing(files, out)
        if different:
            raise Drifted(f"{out}: {', '.join(different)} differ; run: hyperstream k8s render")
        typer.echo(f"{out}: {len(files)} files are as they should be")
        return
    for name in differing(files, out):
        if name in files:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_text(files[name], encoding="utf-8")
        else:
            (out / name).unlink()
        typer.echo(str(out / name))


def read_project(root: Path) -> Project:
    """What is rendered, from a checked configuration. Raises `InvalidConfig`."""
    folder, settings = root / "config", Settings.from_environ({})
    mesh = load_mesh(folder, settings)
    plan, telemetry = load_pipeline(folder, mesh), load_telemetry(folder)
    load_alerts(folder)
    load_features(folder)
    check_rollouts(rollouts_folder(folder, settings), folder, mesh)
    load_scenarios(scenarios_folder(folder, settings), telemetry)
    late = (plan.late_topic,) if plan.late_topic else ()
    return Project(
        serve_document=serve_document(
            root / "serve_config.yaml", stream=True, telemetry=bool(telemetry.sensors)
        ),
        settings=_texts(folder),
        rollouts=_texts(rollouts_folder(folder, settings)),
        scenarios=_texts(scenarios_folder(folder, settings)),
        ray_variables={name: value for name, value in RAY_VARIABLES.items() if name not in _ONE_MACHINE},
        topics=(settings.kafka_inference_topic, *mesh.topics.values(), *late),
        # With a head that is gone, so is the proof that the log was not rewritten.
        kept_topics=(mesh.topics["audit"],),
        dead_letter_suffix=_DEAD_LETTER_SUFFIX,
        alert_rules=_rule_files(root / "observability" / "prometheus"),
    )


def _texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.y*ml"))}


def differing(files: Mapping[str, str], out: Path) -> list[str]:
    """Names of files under `out` that are missing, differ, or should not be there."""
    there = {
        str(path.relative_to(out)): path.read_text(encoding="utf-8")
        for path in out.rglob("*")
        if path.is_file()
    }
    return sorted(name for name in files.keys() | there.keys() if files.get(name) != there.get(name))


def _rule_files(folder: Path) -> dict[str, dict[str, object]]:
    """Documents of Prometheus rule files by name: those with `groups`, so not the tests beside them."""
    found = {}
    for path in sorted(folder.glob("*.y*ml")):
        try:
            document = yaml.safe_load(path.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise InvalidConfig(str(path), 0, "", f"is no YAML: {error}") from None
        if isinstance(document, dict) and "groups" in document:
            found[path.name] = document
    return found
