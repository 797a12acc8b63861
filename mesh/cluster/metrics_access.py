"""Who may scrape the metrics: whoever has a token, where all calls need one."""

import os
from pathlib import Path

from mesh.cluster.metrics_port import Admit
from mesh.cluster.project import find_config
from mesh.errors import Unauthenticated
from mesh.settings import Settings


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
