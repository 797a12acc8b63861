"""Rollouts over the mesh's HTTP API: whatever changes one passes the one place that checks it."""

import urllib.parse
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from mesh.cli.api import Api, ApiFailed

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


class RolloutClient:
    """Asks the API. Every call raises `ApiFailed` with the API's own message."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def all(self) -> tuple[bytes, list[ShownRollout], list[str]]:
        """The JSON, the newest rollout of each name, and the plans that could be started."""
        text = self._api.ask("GET", "/rollouts")
        found = _decoded(text, _List)
        return text, found.rollouts, found.plans

    def one(self, name: str) -> tuple[bytes, ShownDetail]:
        """The JSON of a rollout, and what a page of text shows of it."""
        text = self._api.ask("GET", f"/rollouts/{urllib.parse.quote(name, safe='')}")
        return text, _decoded(text, ShownDetail)

    def start(self, name: str, actor: str | None) -> tuple[bytes, ShownRollout]:
        """Start the plan of this name."""
        text = self._api.ask("POST", "/rollouts", _body(name=name, actor=actor))
        return text, _decoded(text, ShownRollout)

    def act(self, name: str, wish: str, actor: str | None, note: str) -> tuple[bytes, ShownRollout]:
        """`pause`, `resume`, `approve` or `abort`."""
        path = f"/rollouts/{urllib.parse.quote(name, safe='')}/{wish}"
        text = self._api.ask("POST", path, _body(actor=actor, note=note))
        return text, _decoded(text, ShownRollout)


def _body(**said: str | None) -> bytes:
    return msgspec.json.encode({name: value for name, value in said.items() if value is not None})


def _decoded(document: bytes, kind: type[Kind]) -> Kind:
    try:
        return msgspec.json.decode(document, type=kind)
    except msgspec.DecodeError as error:
        raise ApiFailed(f"the reply is none of the mesh's rollouts: {error}; is --url right?") from None
