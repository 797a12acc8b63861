"""From what a client says that it has seen to a place in the log."""

import re
from typing import Final

from mesh.errors import InvalidInput
from mesh.stores.predictions import BEGINNING, Entry, PredictionLog, checked_cursor
from mesh.stores.predictions.entry import place
from serve.graphql.refusals import LogTrimmed

SEARCHED: Final = 2_000
"""Entries of one read by the search for an inference's id."""

_INFERENCE: Final = re.compile(r".{1,249}-[0-9]{1,10}-[0-9]{1,19}")


async def cursor_of(log: PredictionLog, after: str) -> str:
    """The cursor that `after` is, or that of the inference that it names.

    An inference may stand in the log twice; the first counts, so that nothing is left out. Raises `InvalidInput`, `LogTrimmed`
    where it is not there, and `StoreAway`.
    """
    if _INFERENCE.fullmatch(after):
        return await _search(log, after)
    checked_cursor(after, "after")
    if place(after) > place(await log.newest()) and place(after) != place(BEGINNING):
        raise InvalidInput(
            "after", f"'{after}' is past the newest prediction; take the cursor of one that you have got"
        )
    if (await log.after(after, 1)).trimmed:
        raise LogTrimmed(after)
    return after


async def _search(log: PredictionLog, inference_id: str) -> str:
    wanted = b'"inference_id":"%b"' % inference_id.encode()
    cursor = BEGINNING
    while True:
        found = (await log.after(cursor, SEARCHED)).entries
        for entry in found:
            if wanted in entry.document and _is_of(entry, inference_id):
                return entry.cursor
        if len(found) < SEARCHED:
            raise LogTrimmed(inference_id)
        cursor = found[-1].cursor


def _is_of(entry: Entry, inference_id: str) -> bool:
    """Metadata may name another inference, as of the mesh that a record came from."""
    found = entry.prediction()
    return found is not None and found.inference_id == inference_id
