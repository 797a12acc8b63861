"""What the pages of this process share. Streamlit runs them as a script, so it cannot be handed to them."""

from dataclasses import dataclass

import httpx

from serve.console.options import Options
from serve.console.sessions import Sessions


@dataclass(frozen=True, slots=True)
class Context:
    """The options, the client of the API, and who is signed in."""

    options: Options
    http: httpx.Client
    sessions: Sessions


here: Context | None = None
"""Set once, by `server.build`."""


def current() -> Context:
    """What was set. `RuntimeError` where the script runs outside the server."""
    if here is None:
        raise RuntimeError("the console's script runs in its server only: hyperstream console")
    return here
