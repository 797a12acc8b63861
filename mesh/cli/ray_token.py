"""Ray's own door: a token of this run, without which its ports and its dashboard answer nobody.

Ray reads `RAY_AUTH_MODE` and `RAY_AUTH_TOKEN_PATH` when its processes start (https://docs.ray.io/en/latest/ray-security/token-auth.html).
"""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

MODE: Final = "RAY_AUTH_MODE"
PATH: Final = "RAY_AUTH_TOKEN_PATH"
_NAMED: Final = ("RAY_AUTH_TOKEN", PATH)


def ray_token(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """What to add to `environ`: a new token in a file of `folder` that only its user reads. What the user has set stands."""
    if MODE in environ:
        return {}
    added = {MODE: "token"}
    if not any(environ.get(name) for name in _NAMED):
        file = folder / "ray-token"
        file.touch(mode=0o600)
        file.write_text(secrets.token_hex(32), encoding="ascii")
        added[PATH] = str(file)
    return added
