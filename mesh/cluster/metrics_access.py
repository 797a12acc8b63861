"""Who may scrape the metrics: whoever has a token, where all calls need one; over TLS, where the mesh speaks it."""

import os
from collections.abc import Callable
from pathlib import Path

from mesh.cluster.metrics_port import Admit, MetricsPort
from mesh.cluster.project import find_config
from mesh.errors import Unauthenticated
from mesh.security.tls import server_context
from mesh.settings import Settings


def guarded_port(settings: Settings, host: str, port: int, exposition: Callable[[], bytes]) -> MetricsPort:
    """The port as `settings` would have it seen. Raises `InvalidConfig` for TLS or a database that cannot be had."""
    context = None if settings.tls is None else server_context(settings.tls)
    return MetricsPort(host, port, exposition, scrapers(settings), context)


def scrapers(settings: Settings) -> Admit | None:
    """What the port asks before it answers; None where reading is free.

    The database is opened at its first use. Raises `InvalidConfig` for a wrong `MESH_DATABASE_URL`.
    """
    if settings.access != "all":
        return None
    # Only here: every process of the mesh imports this room, and few know SQLAlchemy.
    from mesh.records.bearer import HOW, Bearers  # noqa: PLC0415
    from mesh.records.opened import records_of  # noqa: PLC0415

    root: Path = find_config({}, os.environ).resolve().parent
    bearers = Bearers(records_of(settings, root).token)

    async def admit(authorization: str | None) -> None:
        if authorization is None:
            raise Unauthenticated(f"the metrics need a token here: {HOW}")
        await bearers.actor(authorization)

    return admit
