"""Aliases of rollouts over a real registry: whatever they stood for before a promotion, an abort gives it back and ends."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from mesh.errors import InvalidConfig, InvalidInput, WrongState
from mesh.registry import Draft, GateResult, Lineage, Registry
from mesh.rollouts.controller import Controller, World
from mesh.rollouts.desk import Desk
from mesh.rollouts.memory import MemoryAudit, MemoryGuards, MemoryLease, MemoryRollouts, MemoryRoutes
from mesh.rollouts.plan import AlertRule, Metric, Plan, Step
from mesh.rollouts.states import Rollout, moved
from serve.rollout_aliases import RegistryAliases


def plan(primary: str = "pump", candidate: str = "pump@1") -> Plan:
    steps = Step("shadow"), Step("promote", keep_warm_ms=60_000)
    metrics = (Metric("apart", "discordance", margin=0.1),)
    return Plan("try", "default", primary, candidate, AlertRule(0.8), steps, metrics, model="pump")


class Shop:
    """A registry of two versions, the models that are hosted with their versions, and a controller over both."""

    def __init__(self, folder: Path) -> None:
        config_dir = folder / "config"
        config_dir.mkdir()
        (config_dir / "learning.yaml").write_text(f"registry: {folder / 'registry'}\n")
        self.versions = {"pump": "0", "pump@1": "1", "pump@2": "2"}
        config = SimpleNamespace(models={})
        self.config = config
        self.aliases = RegistryAliases(config_dir, lambda: config)  # type: ignore[arg-type, return-value]
        self.host(**self.versions)
        for number in (1, 2):
            self.add(number)
        self.book, self.routes = MemoryRollouts(), MemoryRoutes(RULES)
        self.desk = Desk(self.book, self.book, self.routes, lambda: 1_000)
        world = World(self.book, self.book, self.routes, self.aliases, MemoryAudit(), MemoryGuards(), {})
        self.controller = Controller(world, MemoryLease("one", []), lambda: 1_000)

    def host(self, **versions: str) -> None:
        self.config.models = {name: SimpleNamespace(version=one) for name, one in versions.items()}

    def add(self, number: int, outcome: str = "passed") -> None:
        files = {"model.onnx": f"model {number}".encode()}
        gate = GateResult("schema", outcome, 0, 0, "as declared")  # type: ignore[arg-type]
        self.registry.add(Draft("pump", "retrained", files, "f00d", Lineage(), (gate,), 5_000, "ann"))

    @property
    def registry(self) -> Registry:
        return self.aliases.registry()

    @property
    def points(self) -> dict[str, int]:
        return {str(alias): number for alias, number in self.registry.aliases("pump").points.items()}

    def champion(self, number: int) -> None:
        self.registry.move("pump", "champion", number, expected=None, actor="ann", reason="")

    async def promoted(self, made: Plan) -> Rollout:
        """The rollout after its promotion, with the old model warm."""
        one = await self.desk.start(made, "ann")
        shadowing = moved(one, "shadow", now_ms=1_000)
        await self.book.write(shadowing, one)
        await self.book.write(moved(shadowing, "promote", now_ms=1_000, step=1), shadowing)
        await self.controller.tick()
        after = await self.book.get("try")
        assert (after.state, after.warm) == ("Promoted", True)
        return after

    async def aborted(self) -> Rollout:
        await self.desk.act("try", "abort", "ann", note="worse after all")
        await self.controller.tick()
        return await self.book.get("try")


RULES = {"routes": [{"name": "main", "when": "always", "send": ["pump"]}]}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.mark.parametrize("version", ["0", "2026-11"])
async def test_an_alias_that_stood_for_nothing_stands_for_nothing_again(shop: Shop, version: str) -> None:
    shop.host(**{**shop.versions, "pump": version})  # the shipped model is no version of the registry
    await shop.promoted(plan())
    assert shop.points["champion"] == 1
    after = await shop.aborted()
    assert (after.state, after.trouble) == ("Aborted", "")
    assert after.reason == "worse after all"
    assert "champion" not in shop.points
    assert (await shop.desk.start(plan(), "ann")).state == "Pending"  # and the endpoint is free


async def test_an_alias_goes_back_to_the_version_that_it_stood_for_though_that_is_not_the_primary(
    shop: Shop,
) -> None:
    shop.champion(2)
    await shop.promoted(plan())
    assert shop.points["champion"] == 1
    shop.host(**{"pump": "0", "pump@1": "1"})  # nothing hosts version 2 any more
    assert (await shop.aborted()).state == "Aborted"
    assert shop.points["champion"] == 2


async def test_what_somebody_moved_since_stays_where_they_moved_it(shop: Shop) -> None:
    await shop.promoted(plan())
    shop.registry.move("pump", "champion", 2, expected=1, actor="bob", reason="by hand")
    assert (await shop.aborted()).state == "Aborted"
    assert shop.points["champion"] == 2


async def test_an_alias_that_cannot_be_given_back_ends_the_rollout_and_says_why(
    shop: Shop, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shop.champion(2)
    await shop.promoted(plan())
    (tmp_path / "registry/pump/versions/000002.json").unlink()
    after = await shop.aborted()
    assert after.state == "Aborted"
    assert after.reason.startswith("worse after all; champion of 'pump' was not given back to 'pump@2': ")
    assert "has no version 2; there are: 1" in after.reason
    assert "has no version 2" in caplog.text
    assert (await shop.routes.current()).document == RULES


async def test_a_registry_that_cannot_be_opened_any_more_ends_it_too(shop: Shop, tmp_path: Path) -> None:
    await shop.promoted(plan())
    (tmp_path / "config/learning.yaml").write_text("registry: [no, address]\n")
    shop.aliases._registry = None  # as in another process, which takes over
    after = await shop.aborted()
    assert after.state == "Aborted"
    assert "champion of 'pump' was not given back to nothing: " in after.reason
    assert "learning.yaml:1" in after.reason


async def test_a_move_names_what_the_alias_stands_for(shop: Shop) -> None:
    assert await shop.aliases.version("pump", "champion") is None
    with pytest.raises(WrongState, match="is nothing"):
        await shop.aliases.move("pump", "champion", "pump@2", "pump@1", "ann")
    await shop.aliases.move("pump", "champion", None, "pump@1", "ann")
    with pytest.raises(WrongState, match="is version 1"):
        await shop.aliases.move("pump", "champion", None, "pump@2", "ann")
    shop.host(prime="1")
    assert await shop.aliases.current("pump", "champion") == "pump@1"
    assert await shop.aliases.version("pump", "champion") == "pump@1"
    await shop.aliases.move("pump", "champion", "pump@1", None, "ann")
    await shop.aliases.move("pump", "champion", None, None, "ann")
    assert shop.points == {"previous": 1}


async def test_what_no_alias_can_stand_for_is_told(shop: Shop) -> None:
    shop.add(3, outcome="failed")
    with pytest.raises(InvalidInput, match="cannot become champion"):
        await shop.aliases.move("pump", "champion", None, "pump@3", "ann")
    shop.host(pump="new")
    with pytest.raises(InvalidConfig, match="'new' is no number"):
        await shop.aliases.move("pump", "champion", None, "pump", "ann")
