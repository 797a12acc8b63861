"""Where the desk of rules is: one named actor for a folder of configuration."""

from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from mesh.cluster.actors import find_or_start
from mesh.cluster.rules_desk import RulesDesk
from mesh.settings import Settings

HOSTING: Final = "serve.hosting:open_hosting"
"""Who hosts models that come while the mesh runs."""


def desk_name(folder: Path) -> str:
    """The actor's name: every folder of configuration has a desk of its own."""
    return f"hyperstream-rules-{sha256(str(folder.resolve()).encode()).hexdigest()[:12]}"


async def find_desk(folder: Path, settings: Settings) -> Any:
    """The handle of the configuration's desk; starts it where there is none. Raises as `find_or_start`."""
    return await find_or_start(desk_name(folder), RulesDesk, str(folder), settings, HOSTING)
