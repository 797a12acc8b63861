"""Rollouts over the mesh's HTTP API: whatever changes one passes the one place that checks it."""

import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec

from mesh.cli.api import ApiFailed, asking_headers, asking_tls
from mesh.errors import InvalidInput

TIMEOUT_S: Final = 10.0

Kind = TypeVar("Kind")


class ShownStep(msgspec.Struct, frozen=True):
    """A step, as far as a line shows it."""

    kind: str
    percent: float | None


class ShownRollout(msgspec.Struct, frozen=True):
    """A rollout, as far as a line shows it."""

    name: str
    endpoint: str
    primary: str
    candidate: str
    state: str
    pause: str | None
    reason: str
    trouble: str
    step: int
    steps: list[ShownStep]
    candidate_percent: float


class ShownMetric(msgspec.Struct, frozen=True):
    """What a metric says."""

    name: str
    test: str
    verdict: str
    reason: str
    samples: int
    critical: bool
    dry_run: bool


class ShownEvidence(msgspec.Struct, frozen=True):
    """What was seen."""

    windows: Mapping[str, int]
    rows: Mapping[str, int]
    metrics: list[ShownMetric]


class ShownDetail(msgspec.Struct, frozen=True):
    """A rollout with what was seen of it."""

    rollout: ShownRollout
    missing: list[str]
    evidence: ShownEvidence


class _List(msgspec.Struct, frozen=True):
    rollouts: list[ShownRollout]
    plans: list[str]


class _Refusal(msgspec.Struct):
    error: str


class RolloutClient:
    """Asks the API at `url`, such as http://127.0.0.1:8080. Every call raises `ApiFailed` with the API's own message."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S) -> None:
        """Raises `InvalidInput` for a URL that is not HTTP."""
        if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            raise InvalidInput("--url", f"'{url}' is no address; write http://HOST:PORT")
        self._url, self._timeout_s = url.rstrip("/"), timeout_s

    def all(self) -> tuple[bytes, list[ShownRollout], list[str]]:
        """The JSON, the newest rollout of each name, and the plans that could be started."""
        text = self._ask("GET", "/rollouts")
        found = _decoded(text, _List)
        return text, found.rollouts, found.plans

    def one(self, name: str) -> tuple[bytes, ShownDetail]:
        """The JSON of a rollout, and what a page of text shows of it."""
        text = self._ask("GET", f"/rollouts/{urllib.parse.quote(name, safe='')}")
        return text, _decoded(text, ShownDetail)

    def start(self, name: str, actor: str | None) -> tuple[bytes, ShownRollout]:
        """Start the plan of this name."""
        text = self._ask("POST", "/rollouts", {"name": name, "actor": actor})
        return text, _decoded(text, ShownRollout)

    def act(self, name: str, wish: str, actor: str | None, note: str) -> tuple[bytes, ShownRollout]:
        """`pause`, `resume`, `approve` or `abort`."""
        path = f"/rollouts/{urllib.parse.quote(name, safe='')}/{wish}"
        text = self._ask("POST", path, {"actor": actor, "note": note})
        return text, _decoded(text, ShownRollout)

    def _ask(self, method: str, path: str, body: Mapping[str, str | None] | None = None) -> bytes:
        content = None if body is None else msgspec.json.encode(body)
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            self._url + path, content, asking_headers(), method=method
        )
        try:
            with urllib.request.urlopen(  # noqa: S310
                request, timeout=self._timeout_s, context=asking_tls(self._url)
            ) as reply:
                return bytes(reply.read())
        except urllib.error.HTTPError as error:
            raise ApiFailed(_refusal(error)) from None
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise ApiFailed(f"nothing answers at {self._url} (--url says where): {reason}") from None


def _decoded(document: bytes, kind: type[Kind]) -> Kind:
    try:
        return msgspec.json.decode(document, type=kind)
    except msgspec.DecodeError as error:
        raise ApiFailed(f"the reply is none of the mesh's rollouts: {error}; is --url right?") from None


def _refusal(error: urllib.error.HTTPError) -> str:
    try:
        return msgspec.json.decode(error.read(), type=_Refusal).error
    except (msgspec.DecodeError, OSError):
        return f"HTTP {error.code} {error.reason}"
