"""Predictions as they come out of Redis: the log, which can be resumed from any id, and one line for each."""

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import redis
from redis.exceptions import ConnectionError as RedisAway
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisSlow

from mesh.errors import InvalidConfig, InvalidInput, MeshError
from mesh.security.redacted import shown_url, url_reason
from mesh.settings import Settings
from mesh.spec.durations import read_duration

BLOCK_MS: Final = 1000
_COUNT: Final = 500


class RedisFailed(MeshError):
    """Redis does not answer, or says no; the message names the address and the variable that sets it."""


def begins(since: str, now_ms: int) -> str:
    """The id in the log after which `--since` reads on: an id itself, or how long before `now_ms` (ms since 1970), such as `10m`.

    Ids begin with the time of their entry. `InvalidInput` for what is neither.
    """
    if re.fullmatch(r"[0-9]{1,19}(-[0-9]{1,19})?", since):
        return since
    try:
        return f"{max(0, now_ms - read_duration(since))}-0"
    except ValueError as error:
        raise InvalidInput("--since", f"{error}, or the id of a line, such as 1764000000000-0") from None


class Log:
    """The stream of predictions in Redis."""

    def __init__(self, settings: Settings, since: str | None = None) -> None:
        """Read on after the entry `since`; without it, after what is there now."""
        self._key = f"{settings.redis_channel}:log"
        self._where = f"{shown_url(settings.redis_url)} (REDIS_URL sets the address)"
        try:
            self._redis: Any = redis.Redis.from_url(settings.redis_url, socket_timeout=BLOCK_MS / 1000 + 5)
        except ValueError as error:
            reason = url_reason(settings.redis_url, error)
            raise InvalidConfig("environment", 0, "REDIS_URL", reason) from None
        self.last = since or self._newest()

    def read(self) -> list[tuple[str, bytes]]:
        """What has come since the last call, waiting up to a second for it: id and JSON of each."""
        try:
            found = self._redis.xread({self._key: self.last}, count=_COUNT, block=BLOCK_MS)
        except (RedisAway, RedisSlow) as error:
            raise RedisFailed(f"Redis does not answer at {self._where}: {error}") from None
        except RedisError as error:
            raise RedisFailed(f"Redis refuses to read '{self._key}' after '{self.last}': {error}") from None
        entries = [(str(entry.decode()), _payload(fields)) for _, some in found for entry, fields in some]
        if entries:
            self.last = entries[-1][0]
        return entries

    def begins_after(self, entry: str) -> bool:
        """Something that came after this entry has been taken off the log since, to make room."""
        try:
            told = self._redis.xinfo_stream(self._key)
        except ResponseError:  # nobody has predicted anything yet
            return False
        except RedisError as error:
            raise RedisFailed(f"Redis does not answer at {self._where}: {error}") from None
        first = told["first-entry"]
        return (
            bool(first)
            and told["entries-added"] > told["length"]
            and _place(first[0].decode()) > _place(entry)
        )

    def close(self) -> None:
        """Let go of the connection."""
        self._redis.close()

    def _newest(self) -> str:
        try:
            newest = self._redis.xrevrange(self._key, count=1)
        except RedisError as error:
            raise RedisFailed(f"Redis does not answer at {self._where}: {error}") from None
        return str(newest[0][0].decode()) if newest else "0-0"


def _place(entry: str) -> tuple[int, int]:
    """The two numbers of an id."""
    ms, _, number = entry.partition("-")
    return int(ms), int(number or 0)


def _payload(fields: dict[bytes, bytes]) -> bytes:
    """An entry has one field: the prediction."""
    return next(iter(fields.values()))


class Said(msgspec.Struct):
    """Who answered a row."""

    model: str
    version: str = ""
    route: str = ""
    role: str = ""


class Prediction(msgspec.Struct):
    """The parts of a prediction that a line shows."""

    inference_id: str
    model_id: str
    input_id: str | None = None
    predictions: msgspec.Raw = msgspec.Raw(b"null")
    confidence: list[float | None] | None = None
    answered_by: list[Said] | None = None
    latency_ms: float | None = None
    degraded: bool = False


def one_line(entry: str, prediction: Prediction) -> str:
    """`1764-0  event-42  default  anomaly (hybrid-anomaly)  0.93  4.1 ms  [0.2, 0.8]`."""
    said = prediction.answered_by or []
    who = list(dict.fromkeys(f"{one.model} ({one.route}, {one.role})" for one in said)) or ["-"]
    sure = [f"{value:.2f}" for value in prediction.confidence or [] if value is not None]
    slow = "-" if prediction.latency_ms is None else f"{prediction.latency_ms:.1f} ms"
    parts = [
        entry,
        prediction.input_id or prediction.inference_id,
        prediction.model_id,
        _few(who),
        f"confidence {_few(sure)}" if sure else "confidence -",
        slow,
        _shortened(bytes(prediction.predictions).decode()),
    ]
    return "  ".join(parts + ["degraded"] * prediction.degraded)


def _few(values: list[str]) -> str:
    shown = ", ".join(values[:3])
    return f"{shown}, … {len(values) - 3} more" if len(values) > 3 else shown


def _shortened(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:97]}..."


def parse(payload: bytes) -> Prediction:
    """A prediction from its JSON; `RedisFailed` where the log holds something else."""
    try:
        return msgspec.json.decode(payload, type=Prediction)
    except msgspec.DecodeError as error:
        raise RedisFailed(f"the log holds something that is no prediction: {error}") from None


def follow(log: Log) -> Iterator[tuple[str, bytes]]:
    """Every prediction, for as long as somebody asks."""
    while True:
        yield from log.read()
