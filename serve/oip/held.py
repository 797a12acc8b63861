"""How many bytes of requests one process keeps, over all its calls."""

from typing import Self

from mesh.errors import Overloaded


class Held:
    """Bytes of requests that are not answered yet, or whose answers nobody has taken. Lives on one event loop."""

    __slots__ = ("most", "size")

    def __init__(self, most: int) -> None:
        """`most` bounds the bytes of all together."""
        self.most = most
        self.size = 0


class Holding:
    """What one request keeps of it. A context manager: at its end it keeps nothing."""

    __slots__ = ("_held", "_size")

    def __init__(self, held: Held) -> None:
        self._held = held
        self._size = 0

    def take(self, endpoint: str, size: int) -> None:
        """Keep `size` bytes more. Raises `Overloaded`, and keeps no more, where all requests together would keep too many."""
        if self._held.size + size > self._held.most:
            raise Overloaded(endpoint, "too many large requests are under way")
        self._held.size += size
        self._size += size

    def end(self) -> None:
        """Keep nothing; may be said again."""
        self._held.size -= self._size
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
