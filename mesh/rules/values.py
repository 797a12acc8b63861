"""Changes of the rules as values: what is proposed, what was accepted, and why something was refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mesh.errors import InvalidConfig

Reason = Literal["invalid", "conflict", "model", "store"]
"""Why a proposal changes nothing: a mistake in it; another change came first; a model does not start; it cannot be kept."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the two files shall say, as YAML (JSON is YAML too); None leaves a part as it is.

    `source` says where it comes from: `files`, `api`, `rollout`. The names are what errors call the texts.
    """

    routing: str | None = None
    models: str | None = None
    source: str = "api"
    routing_name: str = "routing.yaml"
    models_name: str = "models.yaml"


@dataclass(frozen=True, slots=True)
class Revision:
    """Accepted rules and models. `version` counts from 1, `at_ms` is milliseconds since 1970.

    `tables` maps an endpoint to the content hash of its table, which answers name as `mesh_rules`; `rules` is the hash over all
    of them, which answers of a hosted model's own endpoint name.
    """

    version: int
    rules: str
    tables: Mapping[str, str]
    models: str
    routing: str
    actor: str
    source: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class News:
    """A revision to take, and the Serve applications of models that are not in the mesh's own."""

    revision: Revision
    apps: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where it stands (`line` from 1, 0 where it is not known; `key` as `routes[1].send`), and how to mend it."""

    file: str
    line: int
    key: str
    reason: str

    @classmethod
    def of(cls, error: InvalidConfig) -> "Problem":
        """The same as a value."""
        return cls(error.file, error.line, error.key, error.reason)

    def __str__(self) -> str:
        return str(InvalidConfig(self.file, self.line, self.key, self.reason))


@dataclass(frozen=True, slots=True)
class Accepted:
    """The rules are `revision` now. `changed` False: they were before.

    Of the `engines` that answer rows, `taken` had taken it over when this was said.
    """

    revision: Revision
    changed: bool = True
    engines: int = 0
    taken: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing changed; revision `version` stands."""

    reason: Reason
    problems: Sequence[Problem]
    version: int

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


@dataclass(frozen=True, slots=True)
class Kept:
    """What outlives a restart: the newest revision, and those before it, newest first.

    `seen` maps a file's name to the SHA-256 of its text when it was last taken: a file that differs is news.
    """

    current: Revision
    earlier: Sequence[Revision] = ()
    seen: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RulesState:
    """What is so now: `refused` is what the files were last refused for; of `engines`, `taken` answer by `revision`.

    `apps` are the Serve applications of models that are not in the mesh's own.
    """

    revision: Revision
    earlier: Sequence[Revision]
    refused: Refused | None
    engines: int = 0
    taken: int = 0
    apps: Mapping[str, str] = field(default_factory=dict)
