"""Links outlive their leases only as long as calls are out, and never the engine."""

import asyncio

from mesh.engine.links import Links


class Retiring:
    """A link whose replica does not answer."""

    calls_in_flight = 1
    closed = False

    async def close(self):
        await asyncio.sleep(0)
        self.closed = True


async def test_a_link_whose_lease_has_ended_is_closed_with_the_others():
    links = Links("here", 2, 30.0, lambda: None)
    link = Retiring()
    links._links["gone"] = link
    links._leases = {"gone": None}
    links.follow([])
    await asyncio.sleep(0)
    assert not link.closed
    await links.close()
    assert link.closed
