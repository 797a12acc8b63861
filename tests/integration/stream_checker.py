"""The offset-by-offset check of the stream: each record in exactly one of predictions and dead letters, none lost.

Produces numbered records, some of them poison, and remembers from the delivery reports which number stands at which
offset. Afterwards it reads the Redis log and the dead letters' topic, and compares offset by offset.
"""

import json
import time
from collections import Counter
from dataclasses import dataclass, field

import redis
from confluent_kafka import Consumer, Message, Producer

Place = tuple[int, int]
FLUSH_S = 240.0
"""A broker that was killed under it is back by then, also where it needs two tries of a minute."""

POISONS = (
    b"not json",
    b"",
    None,
    b'{"model_id": "default"}',
    b'{"model_id": "default", "features": [[1, 2]]}',
    b'{"model_id": "default", "features": [["a", "b", "c", "d"]]}',
    b'{"model_id": "nobody", "features": [[1, 2, 3, 4]]}',
    b'{"model_id": "default", "features": [[1e39, 2, 3, 4]]}',
    b"[" * 10_000,
    b"[1, 2, 3]",
)


@dataclass(slots=True)
class Produced:
    """What went in: the number of each record by its place, and the places of the poison."""

    topic: str
    numbers: dict[Place, int] = field(default_factory=dict)
    poison: set[Place] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came out. `lost`, `both`, `misjudged` and `wrong` must be empty; `repeated` may count a few."""

    produced: int
    answered: int
    dead: int
    lost: tuple[Place, ...]
    both: tuple[Place, ...]
    misjudged: tuple[Place, ...]
    wrong: tuple[str, ...]
    repeated: int

    @property
    def holds(self) -> bool:
        """Every record is in exactly one of predictions and dead letters, and in the right one."""
        return not (self.lost or self.both or self.misjudged or self.wrong)


def value_of(number: int, width: int = 4) -> bytes:
    """A good record; its first feature is its number modulo 1,000."""
    features = [number % 1000, *range(width - 1)]
    return json.dumps(
        {
            "model_id": "default",
            "input_id": f"event-{number}",
            "features": [features],
            "metadata": {"n": number},
        }
    ).encode()


class Numbering:
    """A producer of numbered records; one in `poison_every` is poison, of every kind in turn."""

    def __init__(self, bootstrap: str, topic: str, poison_every: int = 100, width: int = 4) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 5,
                "log_level": 2,
                "queue.buffering.max.messages": 1_000_000,
            }
        )
        self._every, self._width = poison_every, width
        self._next = 0
        self.produced = Produced(topic)

    def send(self, records: int) -> None:
        """Produce so many more; returns when all are acknowledged."""
        for number in range(self._next, self._next + records):
            bad = number % self._every == self._every - 1
            value = POISONS[number // self._every % len(POISONS)] if bad else value_of(number, self._width)
            self._producer.produce(
                self.produced.topic,
                value,
                f"key-{number}".encode(),
                on_delivery=self._note(number, poison=bad),
            )
            if number % 1000 == 0:
                self._producer.poll(0)
        self._next += records
        assert self._producer.flush(FLUSH_S) == 0

    def _note(self, number: int, *, poison: bool):
        def delivered(error: object, message: Message) -> None:
            assert error is None, error
            place = (message.partition(), message.offset())
            self.produced.numbers[place] = number
            if poison:
                self.produced.poison.add(place)

        return delivered


def answers_in_log(client: redis.Redis, log: str) -> Counter[Place]:
    """How often each place was answered."""
    return Counter(_place(answer["inference_id"]) for answer in _entries(client, log))


def _entries(client: redis.Redis, log: str):
    last = "-"
    while page := client.xrange(log, last, count=5_000):
        for _, fields in page:
            yield json.loads(fields[b"data"])
        last = b"(" + page[-1][0]


def _place(inference_id: str) -> Place:
    _, partition, offset = inference_id.rsplit("-", 2)
    return int(partition), int(offset)


def dead_letters(bootstrap: str, topic: str, patience_s: float = 90.0) -> list[Message]:
    """Every message of a dead letters' topic, in no order; none where the topic does not exist."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"checker-{time.monotonic_ns()}",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "enable.auto.commit": False,
        }
    )
    if topic not in consumer.list_topics(timeout=60).topics:
        consumer.close()
        return []
    partitions = len(consumer.list_topics(topic, timeout=60).topics[topic].partitions)
    consumer.subscribe([topic])
    found: list[Message] = []
    ended: set[int] = set()
    ends = time.monotonic() + patience_s
    while len(ended) < partitions and time.monotonic() < ends:
        for message in consumer.consume(1_000, 0.2):
            if message.error() is None:
                found.append(message)
            else:
                ended.add(message.partition())
    consumer.close()
    assert len(ended) == partitions, f"{topic} was not read to its end"
    return found


def judge(produced: Produced, client: redis.Redis, log: str, bootstrap: str, suffix: str = ".dlq") -> Verdict:
    """Compare what came out with what went in, offset by offset."""
    answered: Counter[Place] = Counter()
    wrong = []
    for answer in _entries(client, log):
        place = _place(answer["inference_id"])
        answered[place] += 1
        number = produced.numbers.get(place)
        good = number is not None and answer["input_id"] == f"event-{number}"
        if not good or answer["metadata"] != {"n": number} or answer["predictions"][0][0] != number % 1000:
            wrong.append(f"{answer['inference_id']}: {answer['input_id']} {answer['predictions']}")
    dead: Counter[Place] = Counter()
    for letter in dead_letters(bootstrap, produced.topic + suffix):
        headers = dict(letter.headers() or [])
        place = (int(headers["__connect.errors.partition"]), int(headers["__connect.errors.offset"]))
        dead[place] += 1
        number = produced.numbers.get(place)
        if number is None or letter.key() != f"key-{number}".encode():
            wrong.append(f"dead letter {place}: key {letter.key()!r}")
    there = answered.keys() | dead.keys()
    misjudged = (produced.poison & answered.keys()) | (dead.keys() - produced.poison)
    return Verdict(
        produced=len(produced.numbers),
        answered=len(answered),
        dead=len(dead),
        lost=tuple(sorted(produced.numbers.keys() - there)[:20]),
        both=tuple(sorted(answered.keys() & dead.keys())[:20]),
        misjudged=tuple(sorted(misjudged)[:20]),
        wrong=tuple(wrong[:20]),
        repeated=sum(answered.values()) + sum(dead.values()) - len(answered) - len(dead),
    )
