"""What the links to a model's replicas promise while replicas come, go and come back."""

import asyncio

import numpy as np
from hosted import NODE, FunctionModel, HostedReplica, eventually

from mesh.engine.links import Links
from mesh.routing.types import Tensors


def one_row() -> Tensors:
    return {"x": np.zeros((1, 2), np.float32)}


async def test_an_old_link_that_breaks_takes_nothing_from_the_one_that_followed_it():
    host = HostedReplica("m", FunctionModel(seconds=0.3), 0)
    lease = await host.start()
    links = Links(NODE, 2, 30.0, lambda: None)
    links.follow([lease])
    await eventually(lambda: links.choose(set()) is not None)
    old = links.choose(set())
    assert old is not None
    last = old.call(one_row(), 1)  # keeps it open while it retires
    links.follow([])
    links.follow([lease])
    await eventually(lambda: links.choose(set()) is not None)
    new = links.choose(set())
    assert new is not old
    old._pipe.abort("network")
    await asyncio.gather(last, return_exceptions=True)
    await asyncio.sleep(0.05)
    assert links.choose(set()) is new
    assert host.listener.connections == 1
    await links.close()
    await host.stop()
