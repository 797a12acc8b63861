"""From texts to a checked configuration, and what a running mesh asks of a change beyond that."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from mesh.errors import ArtifactError, InvalidConfig
from mesh.registry.reference import is_reference
from mesh.rules.values import Proposal, Revision
from mesh.runtimes.digest import check_digest
from mesh.settings import Settings
from mesh.spec import MeshConfig, ModelSpec, load_pipeline
from mesh.spec.document import Document, parse_document
from mesh.spec.load import MODELS, ROUTING, mesh_of
from mesh.spec.model_file import FILE_KINDS
from mesh.spec.problems import one_or_all, problem_at

CALLING: Final = frozenset(
    {"max_batch_rows", "max_inflight", "timeout_s", "expected_ms", "breaker", "score", "label"}
)
"""What a model's declaration says to its callers alone, and may change while it is hosted."""


@dataclass(frozen=True, slots=True)
class Texts:
    """What `models.yaml` and `routing.yaml` say; empty where there is no file."""

    models: str
    routing: str

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 by file name. An empty file has none: it is about to be written, or went missing, and says nothing."""
        return {name: digest(text) for name, text in ((MODELS, self.models), (ROUTING, self.routing)) if text}


@dataclass(frozen=True, slots=True)
class Checked:
    """Texts that hold together, and the models among them that are not hosted yet."""

    texts: Texts
    config: MeshConfig
    fresh: tuple[ModelSpec, ...]


class Reader:
    """Reads texts as the files of one configuration folder and one environment."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        """`folder` holds the files that a change of rules leaves as they are; relative paths start above it."""
        self.folder = folder
        self._settings = settings

    def files(self) -> Texts:
        """What the two files say now; raises `InvalidConfig` where one is not readable text."""
        return Texts(_text(self.folder / MODELS), _text(self.folder / ROUTING))

    def config(self, texts: Texts) -> MeshConfig:
        """The checked configuration; raises `InvalidConfig` with every mistake."""
        models = parse_document(str(self.folder / MODELS), texts.models)
        return self._checked(models, parse_document(str(self.folder / ROUTING), texts.routing))

    def config_of(self, revision: Revision) -> MeshConfig:
        """That of an accepted revision."""
        return self.config(Texts(revision.models, revision.routing))

    def change(self, proposal: Proposal, now: Revision) -> Checked:
        """What the proposal makes of the rules `now`. Raises `InvalidConfig` with every mistake."""
        texts = Texts(
            now.models if proposal.models is None else proposal.models,
            now.routing if proposal.routing is None else proposal.routing,
        )
        models, routing = self._documents(texts, proposal)
        config, before = self._checked(models, routing), self.config_of(now)
        problems = list(_fixed(models, before, config))
        fresh = tuple(spec for name, spec in config.models.items() if name not in before.models)
        problems += [found for spec in fresh if (found := _artifact_problem(models, spec)) is not None]
        if problems:
            raise one_or_all(problems)
        return Checked(texts, config, fresh)

    def _documents(self, texts: Texts, proposal: Proposal) -> tuple[Document, Document]:
        models_name = f"{MODELS} in force" if proposal.models is None else proposal.models_name
        routing_name = f"{ROUTING} in force" if proposal.routing is None else proposal.routing_name
        return parse_document(models_name, texts.models), parse_document(routing_name, texts.routing)

    def _checked(self, models: Document, routing: Document) -> MeshConfig:
        config = mesh_of(models, routing, self.folder, self._settings)
        load_pipeline(self.folder, config)  # a stage of the chain may ask an endpoint that is gone
        return config


def digest(text: str) -> str:
    """SHA-256 of a text, 64 hexadecimal digits."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfig(str(path), 0, "", f"cannot be read: {error}") from error


def _fixed(document: Document, before: MeshConfig, after: MeshConfig) -> Iterator[InvalidConfig]:
    """A version that is hosted keeps what it loaded, so that an answer's version says what gave it."""
    for name, spec in after.models.items():
        held = before.models.get(name)
        if held is None:
            continue
        for key in type(spec).model_fields:
            if key not in CALLING and getattr(spec, key) != getattr(held, key):
                family = name.partition("@")[0]
                reason = (
                    f"stays as it is while '{name}' is hosted: host the change beside it as '{family}@VERSION', "
                    "or start the mesh again"
                )
                yield problem_at(document, ("models", name, key), reason)


def _artifact_problem(document: Document, spec: ModelSpec) -> InvalidConfig | None:
    """A new model's file must be there, and be the one that is declared."""
    if spec.path is None or spec.runtime not in FILE_KINDS or is_reference(spec.path):
        return None  # a registry is asked by the replica, whose failure to start refuses the change
    if not Path(spec.path).exists():
        return problem_at(document, ("models", spec.name, "path"), f"{spec.path} does not exist")
    try:
        check_digest(spec.artifact())
    except ArtifactError as error:
        return problem_at(document, ("models", spec.name, "sha256"), str(error))
    return None
