"""A simulated run as polls of the raw topic, with Kafka's times set to those at which the records leave."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ingest.record import Headers, Polled, Span
from mesh.simulation.run import Run, Sent

TOPIC: Final = "played"


@dataclass(frozen=True, slots=True)
class PlayedMessage:
    """A record that never saw a broker."""

    sent: Sent
    at_ms: int

    def key(self) -> bytes | None:
        """See `ingest.record.Message`."""
        return self.sent.key

    def headers(self) -> Headers | None:
        """See `ingest.record.Message`."""
        return None

    def timestamp(self) -> tuple[int, int]:
        """See `ingest.record.Message`."""
        return (1, self.at_ms)


def polls(run: Run, records: int) -> Iterator[Polled]:
    """The run in one partition, so many records at a time."""
    held: list[PlayedMessage] = []
    first = 0
    for sent in run.records():
        held.append(PlayedMessage(sent, run.start_ms + int(sent.seconds * 1e3)))
        if len(held) == records:
            yield _polled(held, first)
            first, held = first + len(held), []
    if held:
        yield _polled(held, first)


def _polled(held: list[PlayedMessage], first: int) -> Polled:
    n = len(held)
    return Polled(
        TOPIC,
        [message.sent.value for message in held],
        [0] * n,
        list(range(first, first + n)),
        held,
        (Span(0, first, first + n - 1, n),),
        0.0,
        held[-1].at_ms / 1e3,
    )
