"""`Routes` over the mesh's book of rules: a rollout proposes like everybody else."""

from collections.abc import Mapping
from typing import Any, Final

import yaml

from mesh.errors import InvalidConfig, MeshError, StoreAway, WrongState
from mesh.rollouts.ports import Rules
from mesh.rules import Proposal, Refused, RuleBook
from mesh.spec.document import parse_document

SOURCE: Final = "rollout"


class _Plain(yaml.SafeDumper):
    """Writes every value out: the rules take no aliases."""

    def ignore_aliases(self, data: object) -> bool:
        """Of no value."""
        del data
        return True


class BookRoutes:
    """As `Routes`."""

    def __init__(self, book: RuleBook) -> None:
        """Changes what `book` holds."""
        self._book = book

    async def current(self) -> Rules:
        """As `Routes.current`. Raises `StoreAway`."""
        revision = await self._book.current()
        return Rules(str(revision.version), rules_in(revision.routing))

    async def propose(self, document: Mapping[str, Any], expected: str, actor: str) -> str:
        """As `Routes.propose`. What people wrote beside the rules as comments is not kept."""
        text = yaml.dump(dict(document), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)
        said = await self._book.propose(Proposal(routing=text, source=SOURCE), int(expected), actor)
        if isinstance(said, Refused):
            raise refusal(said)
        return str(said.revision.version)


def rules_in(text: str) -> Mapping[str, Any]:
    """What a text of `routing.yaml` holds, as plain data."""
    data = parse_document("routing.yaml", text).data
    return data if isinstance(data, Mapping) else {}


def refusal(refused: Refused) -> MeshError:
    """Why a proposal was not taken, as an error."""
    first = refused.problems[0]
    if refused.reason == "conflict":
        return WrongState("the rules", f"changed meanwhile ({first.reason})", "propose")
    if refused.reason == "invalid":
        return InvalidConfig(first.file, first.line, first.key, first.reason)
    return StoreAway("the book of rules", str(refused))
