"""A scoreboard that does not answer is a store that is away, whatever Ray says of it."""

import pytest
from ray.exceptions import ActorDiedError

from mesh.cluster import scoreboard
from mesh.errors import StoreAway
from mesh.settings import Settings


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (ActorDiedError(), "actor"),
        (ValueError("Failed to look up actor 'scoreboard'\nYou may"), r"actor 'scoreboard'$"),
        (TimeoutError(), r"nothing within \d+ s$"),
    ],
)
@pytest.mark.parametrize("read", [scoreboard.read_summary, scoreboard.read_exposition])
async def test_it_is_told_in_one_line(read, raised, said, monkeypatch):
    async def gone(*_, **__):
        raise raised

    monkeypatch.setattr(scoreboard, "find_or_start", gone)
    with pytest.raises(StoreAway, match=said):
        await read(Settings())
