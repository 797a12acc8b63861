"""From the files of `rollouts/` to plans that fit the models and rules that there are."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from mesh.errors import InvalidConfig, InvalidInput, NotFound
from mesh.rollouts.plan import Plan
from mesh.rollouts.staging import Stage, refuse_known, staged
from mesh.routing.errors import RuleSyntaxError
from mesh.routing.problems import KeyPath, nearest
from mesh.routing.when import compile_when
from mesh.settings import Settings
from mesh.spec.document import Document, parse_document, read_document
from mesh.spec.mesh_config import MeshConfig
from mesh.spec.model_file import version_in
from mesh.spec.problems import one_or_all, problem_at, validate
from mesh.spec.rollout_file import AT_CHAMPION, RolloutFile
from mesh.spec.routing_file import RoutingFile
from mesh.spec.tables import compile_tables

FOLDER: Final = "rollouts"
_SUFFIX: Final = ".yaml"


def rollouts_folder(config_dir: Path, settings: Settings) -> Path:
    """Where the plans are."""
    return config_dir / FOLDER if settings.rollouts is None else Path(settings.rollouts)


def load_rollouts(folder: Path, mesh: MeshConfig) -> dict[str, Plan]:
    """Every file of the folder, by name; there may be none. `InvalidConfig` as `load_mesh` raises it."""
    for path in sorted(folder.glob("*.yml")):
        raise InvalidConfig(str(path), 0, "", f"is not read: name it {path.stem}{_SUFFIX}")
    return {path.stem: read_rollout(path, mesh) for path in sorted(folder.glob(f"*{_SUFFIX}"))}


def rollout_names(folder: Path) -> tuple[str, ...]:
    """The rollouts that have a file, in order."""
    return tuple(sorted(path.stem for path in folder.glob(f"*{_SUFFIX}")))


def load_rollout(folder: Path, name: str, mesh: MeshConfig) -> Plan:
    """The file of one rollout. `NotFound` says which there are."""
    known = rollout_names(folder)
    if name not in known:
        there = f"; there are: {', '.join(known)}" if known else "; there are none"
        raise NotFound(f"no rollout '{name[:80]}' in {folder}{nearest(name, known)}{there}")
    return read_rollout(folder / f"{name}{_SUFFIX}", mesh)


def read_rollout(path: Path, mesh: MeshConfig) -> Plan:
    """One file; raises every mistake in it at once."""
    document = read_document(path)
    file = validate(RolloutFile, document, document.data)
    plan = file.plan(path.stem)
    problems = [*_unknown(document, plan, mesh), *_unreadable(document, plan)]
    if problems:
        raise one_or_all(problems)
    return replace(plan, primary=_answering(plan, mesh)[0])


def with_candidate(plan: Plan, mesh: MeshConfig) -> MeshConfig:
    """The configuration as it will be once the candidate is hosted: declared as the primary is, until it is declared itself."""
    if plan.candidate in mesh.models:
        return mesh
    spec = mesh.models[plan.primary].model_copy(
        update={"name": plan.candidate, "version": version_in(plan.candidate)}
    )
    models = {**mesh.models, plan.candidate: spec}
    return replace(mesh, models=models, facts={**mesh.facts, plan.candidate: spec.facts()})


def rules_check(mesh: MeshConfig) -> Callable[[Mapping[str, Any]], None]:
    """A check of a routing document as plain data: `InvalidConfig` where it makes no sense with these models."""

    def check(rules: Mapping[str, Any]) -> None:
        document = parse_document("routing.yaml", json.dumps(rules))
        compile_tables(document, validate(RoutingFile, document, document.data), mesh.facts)

    return check


def rollout_fits(plan: Plan, rules: Mapping[str, Any], mesh: MeshConfig) -> None:
    """Try every step of `plan` on `rules`, what `routing.yaml` holds; `InvalidInput`, `InvalidConfig` where one does not fit."""
    refuse_known(rules, plan)
    check = rules_check(with_candidate(plan, mesh))
    for stage in (Stage("shadow", 100.0), Stage("canary", 100.0, 50.0), Stage("warm", 1.0), Stage("all")):
        check(staged(rules, plan, stage))


def check_rollouts(folder: Path, config_dir: Path, mesh: MeshConfig) -> dict[str, Plan]:
    """As `load_rollouts`, and each tried on the rules of `routing.yaml` in `config_dir`."""
    plans = load_rollouts(folder, mesh)
    routing = config_dir / "routing.yaml"
    rules = read_document(routing).data if plans and routing.exists() else {}
    for name, plan in plans.items():
        document = read_document(folder / f"{name}{_SUFFIX}")
        try:
            rollout_fits(plan, rules if isinstance(rules, Mapping) else {}, mesh)
        except InvalidInput as error:
            raise problem_at(document, (error.field,), error.reason) from None
        except InvalidConfig as error:
            reason = f"does not fit routing.yaml: {error.key}: {error.reason}"
            raise problem_at(document, ("steps",), reason) from None
    return plans


def _unknown(document: Document, plan: Plan, mesh: MeshConfig) -> list[InvalidConfig]:
    models = list(mesh.models)
    wanted: list[tuple[KeyPath, str, list[str], str]] = [
        (("endpoint",), plan.endpoint, list(mesh.tables), "route table for endpoint"),
    ]
    if not plan.primary.endswith(AT_CHAMPION):
        wanted.append((("primary",), plan.primary, models, "model"))
    if not _comes_later(plan):
        wanted.append((("candidate",), plan.candidate, models, "model"))
    problems = [
        problem_at(document, path, f"there is no {kind} '{name}'{nearest(name, known)}")
        for path, name, known, kind in wanted
        if name not in known
    ]
    return problems or _moving(document, plan, mesh)


def _comes_later(plan: Plan) -> bool:
    """The candidate is a version of the primary's own model: it may be declared, or taken from the registry, later."""
    family, _, version = plan.candidate.partition("@")
    return bool(version) and family == plan.primary.partition("@")[0]


def _answering(plan: Plan, mesh: MeshConfig) -> list[str]:
    """The models that `primary` may mean."""
    if not plan.primary.endswith(AT_CHAMPION):
        return [plan.primary]
    family = plan.primary.removesuffix(AT_CHAMPION)
    sent = dict.fromkeys(model for route in mesh.tables[plan.endpoint].routes for model in route.send)
    return [model for model in sent if model.partition("@")[0] == family]


def _moving(document: Document, plan: Plan, mesh: MeshConfig) -> list[InvalidConfig]:
    """What is named must stay what it is while the rollout is under way."""
    found = _answering(plan, mesh)
    if len(found) != 1:
        family, there = plan.primary.removesuffix(AT_CHAMPION), ", ".join(found) or "none"
        reason = f"the routes of endpoint '{plan.endpoint}' must send rows to one version of '{family}', they do to: {there}"
        return [problem_at(document, ("primary",), reason)]
    problems = []
    for key, name in (("primary", found[0]), ("candidate", plan.candidate)):
        path = mesh.models[name].path if name in mesh.models else None
        if plan.model and path is not None and path.startswith("registry:") and not path[-1].isdigit():
            reason = f"'{name}' is hosted from {path}, an alias that the rollout moves: host a number, such as {plan.model}@3"
            problems.append(problem_at(document, (key,), reason))
    return problems


def _unreadable(document: Document, plan: Plan) -> list[InvalidConfig]:
    if plan.exclude is None:
        return []
    try:
        when = compile_when(plan.exclude)
    except RuleSyntaxError as error:
        return [problem_at(document, ("exclude",), str(error))]
    if when.never:
        return [problem_at(document, ("exclude",), "can never hold; remove it or correct the condition")]
    return []
