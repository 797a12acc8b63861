"""The generated folder of `k8s/base`: every file, as text. `hyperstream k8s render` writes it, a test compares it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from mesh.kubernetes.serve_config import serve_config
from mesh.kubernetes.topics import topics

NAME: Final = "hyperstream-mesh"
ROUTING: Final = "hyperstream-routing"
SETTINGS: Final = "hyperstream-settings"
ENVIRONMENT: Final = "hyperstream-ray"
KAFKA_CLUSTER: Final = "hyperstream-kafka"
ROLLOUTS: Final = "hyperstream-rollouts"
SCENARIOS: Final = "hyperstream-scenarios"
ROUTING_FILE: Final = "routing.yaml"
_HEAD: Final = "# Made by `hyperstream k8s render`; change what it is made from instead.\n"


@dataclass(frozen=True, slots=True)
class Project:
    """What is rendered.

    `settings` are the texts of `config/` by file name, `rollouts` and `scenarios` those of the folders in it; `ray_variables`
    what every Ray process needs in its environment; `topics` the Kafka topics that the mesh reads or writes, `kept_topics` those
    of them that are kept for ever; `alert_rules` the documents of Prometheus' rule files by name.
    """

    serve_document: Mapping[str, Any]
    settings: Mapping[str, str]
    rollouts: Mapping[str, str]
    scenarios: Mapping[str, str]
    ray_variables: Mapping[str, str]
    topics: tuple[str, ...]
    kept_topics: tuple[str, ...]
    dead_letter_suffix: str
    alert_rules: Mapping[str, Mapping[str, Any]]


def rendered(project: Project) -> Mapping[str, str]:
    """File name to text of everything in `k8s/base/generated`, its kustomization included.

    The routing table, the plans of rollouts and the scenarios are plain ConfigMaps: their names stay, so a change reaches
    running pods as files. The other settings and Ray's variables carry a hash of their content in the name: a change makes
    new pods, and KubeRay a new cluster.
    """
    settings = {name: text for name, text in project.settings.items() if name != ROUTING_FILE}
    resources = {
        "routing.yaml": [_config_map(ROUTING, {ROUTING_FILE: project.settings.get(ROUTING_FILE, "")})],
        "rollouts.yaml": [_config_map(ROLLOUTS, project.rollouts)],
        "scenarios.yaml": [_config_map(SCENARIOS, project.scenarios)],
        "topics.yaml": list(
            topics(project.topics, KAFKA_CLUSTER, project.dead_letter_suffix, project.kept_topics)
        ),
    }
    if project.alert_rules:
        resources["alert-rules.yaml"] = [_rules(project.alert_rules)]
    return {
        **{name: _HEAD + yaml_of(objects) for name, objects in resources.items()},
        **{f"config/{name}": text for name, text in settings.items()},
        "serve-config.yaml": _HEAD + yaml_of([_serve_patch(project.serve_document)]),
        "kustomization.yaml": _HEAD + yaml_of([_kustomization(project, resources, settings)]),
    }


def yaml_of(objects: Iterable[Mapping[str, Any]]) -> str:
    """Documents in the order of their keys as given; long texts as blocks."""
    return "---\n".join(
        yaml.dump(one, Dumper=_Dumper, sort_keys=False, width=130, allow_unicode=True) for one in objects
    )


def _serve_patch(document: Mapping[str, Any]) -> Mapping[str, Any]:
    text = yaml.dump(dict(serve_config(document)), Dumper=_Dumper, sort_keys=False, width=130)
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {"name": NAME},
        "spec": {"serveConfigV2": text},
    }


def _config_map(name: str, data: Mapping[str, str]) -> Mapping[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": dict(data)}


def _rules(files: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    groups = [group for name in sorted(files) for group in files[name]["groups"]]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": NAME},
        "spec": {"groups": groups},
    }


def _kustomization(project: Project, resources: Iterable[str], settings: Iterable[str]) -> Mapping[str, Any]:
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": list(resources),
        "configMapGenerator": [
            {"name": SETTINGS, "files": [f"config/{name}" for name in sorted(settings)]},
            {
                "name": ENVIRONMENT,
                "literals": [f"{name}={value}" for name, value in sorted(project.ray_variables.items())],
            },
        ],
    }


class _Dumper(yaml.SafeDumper):
    """Lists indented under their key, texts of several lines as blocks."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, indentless=False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
