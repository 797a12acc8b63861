"""The machines with alerts that are not over, as the mesh says: they send everything."""

import time
from collections.abc import Callable, Collection
from typing import Final

from mesh.cli.alert_client import AlertClient, shown
from mesh.cli.api import ApiFailed

_LOOK_S: Final = 1.0
_AWAY_S: Final = 10.0
_TIMEOUT_S: Final = 2.0
_PAGE: Final = 200
_PAGES: Final = 5
"""At most so many pages of alerts are read in one look: 1,000 of the newest."""


class WatchedAssets:
    """Asks the API at `url` at most once a second; while it does not answer, what it said last stands."""

    def __init__(self, url: str, tell: Callable[[str], None]) -> None:
        """`tell` is told once of each time that the API is away. Raises `InvalidInput` for a URL that is not HTTP."""
        self._client = AlertClient(url, _TIMEOUT_S)
        self._tell = tell
        self._found: frozenset[str] = frozenset()
        self._next, self._away = 0.0, False

    def __call__(self) -> Collection[str]:
        """The machines whose alerts are open or acknowledged."""
        now = time.monotonic()
        if now >= self._next:
            try:
                self._found, self._away, self._next = self._look(), False, now + _LOOK_S
            except ApiFailed as error:
                if not self._away:
                    self._tell(f"which alerts are open is not known: {error}")
                self._away, self._next = True, now + _AWAY_S
        return self._found

    def _look(self) -> frozenset[str]:
        found: set[str] = set()
        for state in ("open", "acknowledged"):
            cursor: str | None = None
            for _ in range(_PAGES):
                page, cursor = self._client.page({"state": state, "limit": _PAGE, "cursor": cursor})
                found.update(shown(alert).asset for alert in page)
                if cursor is None:
                    break
        return frozenset(found)
