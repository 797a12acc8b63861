"""`serveConfigV2` of a RayService: `serve_config.yaml`, as it must be where other machines ask."""

from collections.abc import Mapping
from typing import Any, Final

ROUTER_APPLICATION: Final = "serve.app:build"
ROUTER: Final = "router"
EDGE: Final = "edge"
"""A Ray resource: each pod that clients reach has one, and a router takes one. So every such pod has a router of its own
and answers on the mesh's own ports, which no Serve proxy forwards."""
ROUTER_CPUS: Final = 0.1
"""What the router's deployment declares. Serve replaces `ray_actor_options` whole, so it is said again beside the resource."""


def serve_config(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """`document` (a Serve config) on all interfaces of a pod, its router bound to pods with the resource `edge`.

    Which of its interfaces others reach is the NetworkPolicy's to say.
    """
    http = {**document.get("http_options", {}), "host": "0.0.0.0"}  # noqa: S104 - a pod's, see above
    applications = [_placed(application) for application in document["applications"]]
    return {**document, "http_options": http, "applications": applications}


def _placed(application: Mapping[str, Any]) -> Mapping[str, Any]:
    if application.get("import_path") != ROUTER_APPLICATION:
        return application
    options = {"num_cpus": ROUTER_CPUS, "resources": {EDGE: 1}}
    return {**application, "deployments": [{"name": ROUTER, "ray_actor_options": options}]}
