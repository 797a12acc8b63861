"""Candidates from the registry: which version a plan means, and how it comes to be hosted beside the primary."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import yaml

from mesh.errors import InvalidConfig, InvalidInput
from mesh.registry import ModelVersion, Registry
from mesh.rollouts.accepted_rules import SOURCE, refusal
from mesh.rollouts.plan import Plan
from mesh.rollouts.ports import Aliases
from mesh.rules import Proposal, Refused, RuleBook
from mesh.spec import MeshConfig
from mesh.spec.document import parse_document
from mesh.spec.rollout_file import AT_CHALLENGER

_OF_AN_ARTIFACT: Final = ("path", "sha256", "version", "trusted")
"""What a declaration says of the file itself; all else holds for every version."""


async def named(plan: Plan, aliases: Aliases) -> Plan:
    """The plan with the version that is challenger now, where it leaves that open. `NotFound` where none is."""
    if not plan.candidate.endswith(AT_CHALLENGER):
        return plan
    found = await aliases.current(plan.model, "challenger")
    if found is None:
        reason = f"no version of '{plan.model}' is challenger: one becomes it that passes its gates (hyperstream learn)"
        raise InvalidInput("candidate", reason)
    return replace(plan, candidate=found)


class RegistryHosts:
    """`Hosts` of `mesh.rollouts`: declares the version in the rules' own models, whose desk starts it and waits for it."""

    def __init__(
        self, book: RuleBook, config: Callable[[], MeshConfig], versions: Callable[[], Registry]
    ) -> None:
        """`config` gives the models in force; `versions` opens the registry, at the first call."""
        self._book, self._config, self._versions = book, config, versions

    async def host(self, plan: Plan, actor: str) -> None:
        """As `Hosts.host`.

        Raises `InvalidInput` where the candidate is no version of the registry or does not start, `NotFound`, `WrongState` where
        the rules change meanwhile, `StoreAway`.
        """
        if plan.candidate in self._config().models:
            return
        family, _, number = plan.candidate.partition("@")
        if family != plan.model or not number.isdecimal():
            reason = f"'{plan.candidate}' is not hosted: declare it in models.yaml (hyperstream apply)"
            raise InvalidInput("candidate", reason)
        version = await asyncio.to_thread(lambda: self._versions().get(plan.model, int(number)))
        revision = await self._book.current()
        text = declared(revision.models, plan, version)
        said = await self._book.propose(Proposal(models=text, source=SOURCE), revision.version, actor)
        if isinstance(said, Refused):
            if said.reason == "model":
                raise InvalidInput("candidate", f"'{plan.candidate}' does not start: {said}")
            raise refusal(said)


def declared(text: str, plan: Plan, version: ModelVersion) -> str:
    """`models.yaml` with the candidate declared as the primary is, but for its file. What is there stays as it was written."""
    models = parse_document("models.yaml", text).data
    known: Mapping[str, Any] = models.get("models", {}) if isinstance(models, Mapping) else {}
    if plan.candidate in known:  # declared meanwhile, and this process has not taken it yet
        return text
    entry = known.get(plan.primary)
    if not isinstance(entry, Mapping) or entry.get("runtime") != "onnx":
        reason = f"'{plan.primary}' is no onnx model of models.yaml: host '{plan.candidate}' there yourself"
        raise InvalidInput("candidate", reason)
    own = {key: value for key, value in entry.items() if key not in _OF_AN_ARTIFACT}
    own |= {"path": f"registry:{version.name}@{version.number}", "sha256": version.digest}
    wanted = {**known, plan.candidate: own}
    lines = yaml.safe_dump({plan.candidate: own}, sort_keys=False, allow_unicode=True, width=120).splitlines()
    longer = text.rstrip("\n") + "\n" + "".join(f"  {line}\n" for line in lines)
    if _models_of(longer) == wanted:
        return longer
    # Written in another manner than ours: what it says is kept, how it says it is not.
    return yaml.safe_dump({"models": wanted}, sort_keys=False, allow_unicode=True, width=120)


def _models_of(text: str) -> object:
    try:
        data = parse_document("models.yaml", text).data
    except InvalidConfig:
        return None
    return data.get("models") if isinstance(data, Mapping) else None
