from pathlib import Path

import pytest
import yaml
from rollout_cases import plan

from mesh.errors import InvalidConfig, WrongState
from mesh.rollouts.accepted_rules import BookRoutes
from mesh.rollouts.staging import Stage, staged, without
from mesh.rules.memory import memory_book

ROUTING = """
# what people wrote
routes:
  - {name: main, when: "a == 'yes' || b >= 0.5", send: [old]}
key: asset
"""


@pytest.fixture
def routes(tmp_path: Path) -> BookRoutes:
    (tmp_path / "models.yaml").write_text("models:\n  old: {runtime: identity}\n  new: {runtime: identity}\n")
    (tmp_path / "routing.yaml").write_text(ROUTING)
    return BookRoutes(memory_book(tmp_path))


async def test_rules_come_and_go_as_data(routes: BookRoutes) -> None:
    before = await routes.current()
    assert before.document == yaml.safe_load(ROUTING)
    there = staged(before.document, plan(exclude="c >= 3"), Stage("canary", 100.0, 5.0))
    version = await routes.propose(there, before.version, "rollout:try")
    after = await routes.current()
    assert (after.version, after.document) == (version, there)
    assert int(version) == int(before.version) + 1
    await routes.propose(without(after.document, plan(exclude="c >= 3")), version, "rollout:try")
    assert (await routes.current()).document == before.document


async def test_a_late_proposal_and_a_wrong_one_change_nothing(routes: BookRoutes) -> None:
    before = await routes.current()
    with pytest.raises(InvalidConfig, match="nowhere"):
        await routes.propose(
            {"routes": [{"name": "main", "when": "always", "send": ["nowhere"]}]}, before.version, "x"
        )
    await routes.propose(staged(before.document, plan(), Stage("shadow", 50.0)), before.version, "x")
    with pytest.raises(WrongState, match="changed meanwhile"):
        await routes.propose(dict(before.document), before.version, "x")
