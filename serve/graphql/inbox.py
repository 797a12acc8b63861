"""What waits for one subscriber: bounded, and never in the way of others."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import Generic, TypeVar

from mesh.errors import MeshError

Item = TypeVar("Item")


class Inbox(Generic[Item]):
    """Items in the order that they were put, for one reader. Belongs to one event loop."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._waiting: deque[Item] = deque()
        self._there = asyncio.Event()
        self._failure: MeshError | None = None
        self.full = False

    def put(self, item: Item) -> None:
        """Leave an item. One too many is not kept, nor is any after it: the reader learns that it was too slow."""
        if len(self._waiting) >= self._size:
            self.full = True
        if not self.full and self._failure is None:
            self._waiting.append(item)
        self._there.set()

    def fail(self, failure: MeshError) -> None:
        """After what waits the reader gets this."""
        self._failure = self._failure or failure
        self._there.set()

    @property
    def size(self) -> int:
        """How many items may wait."""
        return self._size

    async def items(self) -> AsyncGenerator[Item, None]:
        """Every item; ends after the last where the inbox was full, raises what it failed with."""
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            if self.full:
                return
            if self._failure is not None:
                raise self._failure
            self._there.clear()
            await self._there.wait()
