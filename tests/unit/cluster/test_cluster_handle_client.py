"""A call through a Serve handle that ran out of time is ended at Serve, too."""

import asyncio
from collections.abc import Generator
from typing import Any

import pytest
from ray import serve

from mesh.cluster.handle_client import BY_REFERENCE_BYTES, HandleClient
from mesh.errors import Unavailable


class Response:
    """What never comes, until it is cancelled."""

    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True

    def __await__(self) -> Generator[Any, None, bytes]:
        return asyncio.get_running_loop().create_future().__await__()


class Handle:
    """Hands out responses and keeps them."""

    def __init__(self) -> None:
        self.given: list[Response] = []

    def options(self, **_: object) -> "Handle":
        return self

    def remote(self, _payload: bytes) -> Response:
        self.given.append(Response())
        return self.given[-1]


@pytest.mark.parametrize("size", [1, BY_REFERENCE_BYTES + 1])
async def test_what_ran_out_of_time_is_cancelled(monkeypatch, size):
    handle = Handle()
    monkeypatch.setattr(serve, "get_deployment_handle", lambda *_, **__: handle)
    with pytest.raises(Unavailable, match="no answer through Serve"):
        await HandleClient("app", "m", 0.01)(b"x" * size)
    assert [one.cancelled for one in handle.given] == [True]
