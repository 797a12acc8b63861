"""Named Ray actors that outlive every replica: found by name, or started by whoever needs them first."""

import asyncio
from typing import Any, Final

import ray

from mesh.bounded import within

NAMESPACE: Final = "hyperstream"

_FIND_TIMEOUT_S = 10.0
_HEAD: Final = {"node:__internal_head__": 0.001}
"""A resource that Ray gives its head node, and no other."""


async def find_or_start(name: str, kind: type, *args: object, on_head: bool = False) -> Any:
    """The handle of the named actor; starts `kind(*args)` where there is none, `on_head` on the head node only.

    It takes no CPU of the cluster, is started again by Ray when it dies, and lives until it ends itself.
    Raises `TimeoutError` where Ray does not answer.
    """
    # Finding an actor asks Ray's control store and blocks: never on an event loop.
    return await within(_FIND_TIMEOUT_S, asyncio.to_thread(_find_or_start, name, kind, args, on_head))


def _find_or_start(name: str, kind: type, args: tuple[object, ...], on_head: bool) -> Any:
    options: dict[str, Any] = {
        "name": name,
        "namespace": NAMESPACE,
        "lifetime": "detached",
        "get_if_exists": True,
    }
    if on_head:
        options["resources"] = _HEAD
    return (
        ray.remote(kind).options(**options, max_restarts=-1, num_cpus=0, max_concurrency=1000).remote(*args)
    )


def lived_before() -> bool:
    """Whether this process is an actor that Ray has started again after it died."""
    return bool(ray.get_runtime_context().was_current_actor_reconstructed)


def end_this_actor() -> None:
    """End the actor that this process is, so that Ray does not start it again."""
    ray.kill(ray.get_runtime_context().current_actor, no_restart=True)
