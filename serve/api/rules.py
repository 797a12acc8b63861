"""`/mesh/rules`: by which rules and models the mesh answers, and how they are changed."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import orjson
import yaml
from fastapi import APIRouter, Depends, Response
from pydantic import Field

from mesh.errors import InvalidInput, NotFound
from mesh.records import entry as audited
from mesh.records.entry import Actor
from mesh.records.ledger import Ledger
from mesh.rules import Accepted, Problem, Proposal, Refused, Revision, RuleBook, RulesReader, RulesState
from serve.access.needs import REFUSALS, acting, needs
from serve.api.errors import ApiError

MAX_TEXT: Final = 1 << 20
_STATUS: Final = {"invalid": 400, "model": 400, "conflict": 409, "store": 503}

Operator = Annotated[Actor, Depends(needs("operator"))]
Text = Annotated[str, Field(max_length=MAX_TEXT)]


@dataclass(frozen=True, slots=True)
class Change:
    """What the rules shall be: YAML text, or the same as an object; a part that is left out stays as it is.

    `expected_version` is the version that was read before; the change is refused where it is another one by now. `actor` is who
    asks, where no token says it.
    """

    actor: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    routing: Text | dict[str, Any] | None = None
    models: Text | dict[str, Any] | None = None
    expected_version: Annotated[int, Field(ge=1)] | None = None


@dataclass(frozen=True, slots=True)
class RevisionView:
    """An accepted revision; `tables` has for each endpoint what its replies name as `mesh_rules`."""

    version: int
    rules: str
    tables: dict[str, str]
    actor: str
    source: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RefusalView:
    """Why a change was refused; version `version` stands."""

    error: str
    reason: str
    problems: list[Problem]
    version: int


@dataclass(frozen=True, slots=True)
class RulesView:
    """The rules in force as YAML. Of `engines` processes that answer rows, `taken` answer by them now.

    `refused` is why the files in the configuration folder were refused last, null where they were taken.
    """

    revision: RevisionView
    routing: str
    models: str
    engines: int
    taken: int
    refused: RefusalView | None


@dataclass(frozen=True, slots=True)
class ChangedView:
    """What a change came to. `changed` false: the rules were so already."""

    revision: RevisionView
    changed: bool
    engines: int
    taken: int


_AWAY: Final[dict[int | str, dict[str, Any]]] = {
    503: {"model": ApiError, "description": "The desk of rules or its store does not answer; see Retry-After"}
}
_CHANGE: Final[dict[int | str, dict[str, Any]]] = {
    400: {
        "model": RefusalView,
        "description": "A mistake, with line and key, or a model that does not start",
    },
    409: {"model": RefusalView, "description": "Another change came first"},
    **REFUSALS,
    **_AWAY,
}


def rules_router(book: RuleBook, reader: RulesReader, ledger: Ledger) -> APIRouter:
    """The routes over `book`; who asked for a change is logged by `ledger`, whatever becomes of it.

    Errors are the mesh's own, for whoever hosts the router to answer.
    """
    router = APIRouter(prefix="/mesh/rules", tags=["rules"])

    @router.get("", summary="The rules and models in force", responses=_AWAY)
    async def rules() -> RulesView:
        """What the mesh answers by, who made it so, and whether every process has taken it."""
        return _rules_view(await reader.state())

    @router.put("", summary="Change rules or models", responses=_CHANGE)
    async def change(body: Change, asker: Operator) -> Response:
        """Checked whole, kept, and taken by every process; or refused, and nothing changes.

        A change with new models answers when they serve.
        """
        if body.routing is None and body.models is None:
            raise InvalidInput("body", "give routing, models, or both")
        table = Proposal(_yaml(body.routing), _yaml(body.models), "api")
        who = acting(asker, body.actor)
        asked = audited.Change(who, "rules.propose", "rules", {"expected_version": body.expected_version})
        result = await ledger.outside(asked, lambda: book.propose(table, body.expected_version, who.name))
        if isinstance(result, Refused):
            return _json(_refusal_view(result), _STATUS[result.reason])
        return _json(_changed_view(result), 200)

    @router.get("/history", summary="Revisions, newest first", responses=_AWAY)
    async def history() -> list[RevisionView]:
        """The revision in force and the last twenty before it."""
        state = await reader.state()
        return [_revision_view(each) for each in (state.revision, *state.earlier)]

    @router.get(
        "/{version}",
        summary="One revision",
        responses={404: {"model": ApiError, "description": "No such version is kept"}, **_AWAY},
    )
    async def revision(version: int) -> RulesView:
        """The texts of a revision, to read or to propose again."""
        state = await reader.state()
        kept = {each.version: each for each in (state.revision, *state.earlier)}
        if version not in kept:
            raise NotFound(
                f"version {version} of the rules is not kept; there are: {min(kept)} to {max(kept)}"
            )
        one = kept[version]
        taken = state.taken if one is state.revision else 0
        return RulesView(_revision_view(one), one.routing, one.models, state.engines, taken, None)

    return router


def _yaml(part: str | dict[str, Any] | None) -> str | None:
    """An object as YAML: by its own writer, because JSON's `1e-05` is no number in YAML 1.1."""
    if part is None or isinstance(part, str):
        return part
    return yaml.safe_dump(part, sort_keys=False, allow_unicode=True)


def _json(view: object, status: int) -> Response:
    headers = {"retry-after": "1"} if status == 503 else None
    return Response(orjson.dumps(view), status, headers, media_type="application/json")


def _rules_view(state: RulesState) -> RulesView:
    now = state.revision
    refused = None if state.refused is None else _refusal_view(state.refused)
    return RulesView(_revision_view(now), now.routing, now.models, state.engines, state.taken, refused)


def _revision_view(revision: Revision) -> RevisionView:
    at = datetime.fromtimestamp(revision.at_ms / 1_000, UTC)
    return RevisionView(
        revision.version, revision.rules, dict(revision.tables), revision.actor, revision.source, at
    )


def _refusal_view(refused: Refused) -> RefusalView:
    return RefusalView(str(refused), refused.reason, list(refused.problems), refused.version)


def _changed_view(accepted: Accepted) -> ChangedView:
    return ChangedView(_revision_view(accepted.revision), accepted.changed, accepted.engines, accepted.taken)
