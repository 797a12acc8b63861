"""Where answers and dead letters go: two ports, and sinks that keep them in memory for tests and trials."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ingest.record import Headers, Polled, Rejected


class Sink(Protocol):
    """Takes answers."""

    async def publish(self, model_id: str, answers: Sequence[bytes]) -> None:
        """Returns when every answer is acknowledged; waits and tries again for as long as that takes.

        Cancelling may leave some of them published.
        """
        ...

    async def close(self) -> None:
        """Let go of the connection. What is not acknowledged is not waited for."""
        ...


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that is given up: its place, key, value and headers untouched, and why."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    stage: str
    error_class: str
    message: str


def letter_of(polled: Polled, rejected: Rejected) -> DeadLetter:
    """The dead letter of a record of this poll."""
    at = rejected.position
    message = polled.messages[at]
    return DeadLetter(
        polled.topic,
        polled.partitions[at],
        polled.offsets[at],
        message.key(),
        polled.values[at],
        message.headers() or (),
        rejected.stage,
        rejected.class_name,
        rejected.reason,
    )


class DeadLetters(Protocol):
    """Takes dead letters."""

    async def send(self, letters: Sequence[DeadLetter]) -> None:
        """Returns when every letter is acknowledged; waits and tries again for as long as that takes."""
        ...

    async def close(self) -> None:
        """Let go of the connection."""
        ...


class MemorySink:
    """Keeps answers in `published`; while `available` is cleared it waits, as a sink whose server is away."""

    def __init__(self) -> None:
        self.published: list[tuple[str, bytes]] = []
        self.available = asyncio.Event()
        self.available.set()

    async def publish(self, model_id: str, answers: Sequence[bytes]) -> None:
        """See `Sink`."""
        await self.available.wait()
        self.published += [(model_id, answer) for answer in answers]

    async def close(self) -> None:
        """See `Sink`."""


class MemoryDeadLetters:
    """Keeps letters in `letters`; while `available` is cleared it waits."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []
        self.available = asyncio.Event()
        self.available.set()

    async def send(self, letters: Sequence[DeadLetter]) -> None:
        """See `DeadLetters`."""
        await self.available.wait()
        self.letters += letters

    async def close(self) -> None:
        """See `DeadLetters`."""
