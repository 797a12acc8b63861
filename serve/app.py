"""The application `mesh`: the router as ingress, and one deployment per model. The one place that binds."""

import os
from typing import Any, Final

from ray import serve

from mesh.cluster.autoscaling import POLICY
from mesh.cluster.project import find_config
from mesh.errors import InvalidConfig
from mesh.records.database import check_url
from mesh.rules.opening import newest_rules
from mesh.security.own_ports import check_own_ports
from mesh.settings import Settings
from mesh.spec import ModelSpec, load_alerts, load_features, load_learning
from serve.model_host import ModelHost
from serve.router import Router

ROUTER: Final = "router"

_DRAINING: Final = {"graceful_shutdown_wait_loop_s": 0.2, "graceful_shutdown_timeout_s": 10.0}
_WATCHED: Final = {"health_check_period_s": 1.0, "health_check_timeout_s": 30.0}
"""A killed replica is missed at its next health check, so the period is part of what a crash costs."""
_ROUTER_OPTIONS: Final = {
    "name": ROUTER,
    "ray_actor_options": {"num_cpus": 0.1},
    "max_ongoing_requests": 1000,
    **_DRAINING,
    **_WATCHED,
}
_MEASURING: Final = {"metrics_interval_s": 1.0, "look_back_period_s": 5.0}
"""Load is sampled and sent once a second, and averaged over five."""


def build(args: dict[str, object]) -> serve.Application:
    """The application for the configuration that `args` (key `config`) or `MESH_CONFIG` names.

    Its models are those of the newest accepted rules. Runs wherever Serve builds applications. Raises `InvalidConfig` or
    `StoreAway`, which Serve shows as the application's status.
    """
    folder = find_config(args, os.environ)
    settings = Settings.from_environ(os.environ)
    check_own_ports(settings)
    config = newest_rules(folder, settings)
    load_alerts(folder)  # what is wrong with it is said here, not by routers
    check_url(settings.database_url)
    load_features(folder)  # read again by each router, as is the next; their mistakes stop the start
    load_learning(folder)
    if ROUTER in config.models:
        file = str(folder / "models.yaml")
        raise InvalidConfig(file, 0, f"models.{ROUTER}", "is the router's name; take another")
    models = {
        name: serve.deployment(ModelHost).options(**host_options(spec)).bind(spec, str(folder))
        for name, spec in config.models.items()
    }
    # ingress() without an app: Serve asks the instance for it, by `__serve_build_asgi_app__`.
    router = serve.deployment(serve.ingress()(Router)).options(
        num_replicas=settings.routers, **_ROUTER_OPTIONS
    )
    return router.bind(str(folder), models)


def host_options(spec: ModelSpec) -> dict[str, Any]:
    """The options of one model's deployment."""
    return {
        "name": spec.name,
        "ray_actor_options": _actor_options(spec),
        "max_ongoing_requests": 256,
        "max_constructor_retry_count": 3,
        **_scaling(spec),
        **_DRAINING,
        **_WATCHED,
    }


def _actor_options(spec: ModelSpec) -> dict[str, Any]:
    options: dict[str, Any] = {"num_cpus": spec.num_cpus, "num_gpus": spec.num_gpus}
    if spec.env:
        options["runtime_env"] = {"env_vars": dict(spec.env)}
    return options


def _scaling(spec: ModelSpec) -> dict[str, Any]:
    scaling = spec.scaling
    if scaling.min_replicas == scaling.max_replicas:
        return {"num_replicas": scaling.min_replicas}
    return {
        "autoscaling_config": {
            "min_replicas": scaling.min_replicas,
            # A model that may sleep is loaded once first: a broken artifact shows at the start, not at the
            # first call.
            "initial_replicas": max(1, scaling.min_replicas),
            "max_replicas": scaling.max_replicas,
            "target_ongoing_requests": scaling.target_ongoing_requests,
            "upscale_delay_s": scaling.upscale_delay_s,
            "downscale_delay_s": scaling.downscale_delay_s,
            "policy": {"policy_function": POLICY},
            **_MEASURING,
        }
    }
