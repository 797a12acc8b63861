"""Plans of `config/rollouts`, read when a rollout is started."""

from pathlib import Path

import pytest

from mesh.errors import InvalidInput, NotFound
from mesh.rollouts.accepted_rules import BookRoutes
from mesh.rollouts.memory import MemoryAliases
from mesh.rules.memory import memory_book
from mesh.settings import Settings
from mesh.spec import load_mesh
from serve.rollouts import FilePlans

ROLLOUT = """
primary: old
candidate: {candidate}
alert: {{score_at_least: 0.8}}
steps: [{{shadow: {{}}}}, {{promote: {{}}}}]
metrics: [{{name: apart, test: discordance, margin: 0.1}}]
"""


@pytest.fixture
def plans(tmp_path: Path) -> FilePlans:
    (tmp_path / "models.yaml").write_text("models:\n  old: {runtime: identity}\n  new: {runtime: identity}\n")
    (tmp_path / "routing.yaml").write_text("routes:\n  - {name: main, when: always, send: [old]}\n")
    folder = tmp_path / "rollouts"
    folder.mkdir()
    (folder / "good.yaml").write_text(ROLLOUT.format(candidate="new"))
    (folder / "wrong.yaml").write_text(ROLLOUT.format(candidate="nwe"))
    config = load_mesh(tmp_path, Settings())
    return FilePlans(
        tmp_path / "rollouts", lambda: config, BookRoutes(memory_book(tmp_path)), MemoryAliases()
    )


async def test_a_plan_is_read_when_it_is_asked_for(plans: FilePlans) -> None:
    assert await plans.names() == ("good", "wrong")
    assert (await plans.plan("good")).candidate == "new"
    with pytest.raises(NotFound, match="good"):
        await plans.plan("goood")


async def test_a_mistake_in_the_file_is_the_callers_to_mend(plans: FilePlans) -> None:
    with pytest.raises(InvalidInput, match=r"wrong\.yaml:3: candidate: there is no model 'nwe'"):
        await plans.plan("wrong")
