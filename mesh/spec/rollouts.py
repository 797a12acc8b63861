"""From the files of `rollouts/` to plans that fit the models and rules that there are."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from mesh.errors import InvalidConfig, InvalidInput, NotFound
from mesh.rollouts.plan import Plan
from mesh.rollouts.staging import Stage, refuse_known, staged
from mesh.routing.errors import RuleSyntaxError
from mesh.routing.problems import KeyPath, nearest
from mesh.routing.when import compile_when
from mesh.spec.document import Document, parse_document, read_document
from mesh.spec.mesh_config import MeshConfig
from mesh.spec.problems import one_or_all, problem_at, validate
from mesh.spec.rollout_file import RolloutFile
from mesh.spec.routing_file import RoutingFile
from mesh.spec.tables import compile_tables

FOLDER: Final = "rollouts"
_SUFFIX: Final = ".yaml"


def load_rollouts(config_dir: Path, mesh: MeshConfig) -> dict[str, Plan]:
    """Every file of `rollouts/` in `config_dir`, by name; there may be none. `InvalidConfig` as `load_mesh` raises it."""
    folder = config_dir / FOLDER
    for path in sorted(folder.glob("*.yml")):
        raise InvalidConfig(str(path), 0, "", f"is not read: name it {path.stem}{_SUFFIX}")
    return {path.stem: read_rollout(path, mesh) for path in sorted(folder.glob(f"*{_SUFFIX}"))}


def rollout_names(config_dir: Path) -> tuple[str, ...]:
    """The rollouts that have a file, in order."""
    return tuple(sorted(path.stem for path in (config_dir / FOLDER).glob(f"*{_SUFFIX}")))


def load_rollout(config_dir: Path, name: str, mesh: MeshConfig) -> Plan:
    """The file of one rollout. `NotFound` says which there are."""
    known = rollout_names(config_dir)
    if name not in known:
        there = f"; there are: {', '.join(known)}" if known else "; there are none"
        raise NotFound(f"no rollout '{name[:80]}' in {config_dir / FOLDER}{nearest(name, known)}{there}")
    return read_rollout(config_dir / FOLDER / f"{name}{_SUFFIX}", mesh)


def read_rollout(path: Path, mesh: MeshConfig) -> Plan:
    """One file; raises every mistake in it at once."""
    document = read_document(path)
    file = validate(RolloutFile, document, document.data)
    plan = file.plan(path.stem)
    problems = [*_unknown(document, plan, mesh), *_unreadable(document, plan)]
    if problems:
        raise one_or_all(problems)
    return plan


def rules_check(mesh: MeshConfig) -> Callable[[Mapping[str, Any]], None]:
    """A check of a routing document as plain data: `InvalidConfig` where it makes no sense with these models."""

    def check(rules: Mapping[str, Any]) -> None:
        document = parse_document("routing.yaml", json.dumps(rules))
        compile_tables(document, validate(RoutingFile, document, document.data), mesh.facts)

    return check


def rollout_fits(plan: Plan, rules: Mapping[str, Any], mesh: MeshConfig) -> None:
    """Try every step of `plan` on `rules`, what `routing.yaml` holds; `InvalidInput`, `InvalidConfig` where one does not fit."""
    refuse_known(rules, plan)
    check = rules_check(mesh)
    for stage in (Stage("shadow", 100.0), Stage("canary", 100.0, 50.0), Stage("warm", 1.0), Stage("all")):
        check(staged(rules, plan, stage))


def check_rollouts(config_dir: Path, mesh: MeshConfig) -> dict[str, Plan]:
    """As `load_rollouts`, and each tried on the rules of `routing.yaml`."""
    plans = load_rollouts(config_dir, mesh)
    routing = config_dir / "routing.yaml"
    rules = read_document(routing).data if plans and routing.exists() else {}
    for name, plan in plans.items():
        document = read_document(config_dir / FOLDER / f"{name}{_SUFFIX}")
        try:
            rollout_fits(plan, rules if isinstance(rules, Mapping) else {}, mesh)
        except InvalidInput as error:
            raise problem_at(document, (error.field,), error.reason) from None
        except InvalidConfig as error:
            reason = f"does not fit routing.yaml: {error.key}: {error.reason}"
            raise problem_at(document, ("steps",), reason) from None
    return plans


def _unknown(document: Document, plan: Plan, mesh: MeshConfig) -> list[InvalidConfig]:
    wanted: list[tuple[KeyPath, str, list[str], str]] = [
        (("primary",), plan.primary, list(mesh.models), "model"),
        (("candidate",), plan.candidate, list(mesh.models), "model"),
        (("endpoint",), plan.endpoint, list(mesh.tables), "route table for endpoint"),
    ]
    return [
        problem_at(document, path, f"there is no {kind} '{name}'{nearest(name, known)}")
        for path, name, known, kind in wanted
        if name not in known
    ]


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
