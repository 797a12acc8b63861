"""Aliases of the registry as rollouts know them: a hosted model stands for the version that it is."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from mesh.errors import InvalidConfig, InvalidInput, WrongState
from mesh.registry import Changed, Registry
from mesh.registry.configured import open_registry
from mesh.registry.registry import NotPassed
from mesh.spec import MeshConfig


class RegistryAliases:
    """`Aliases` of `mesh.rollouts` over the registry that `learning.yaml` names. Its calls run in threads."""

    def __init__(self, folder: Path, config: Callable[[], MeshConfig]) -> None:
        """`config` gives the models that are hosted now: `pump@17` is version 17, as is `pump` with `version: "17"`."""
        self._folder, self._config = folder, config
        self._registry: Registry | None = None

    async def current(self, name: str, alias: str) -> str | None:
        """See `Aliases`: the hosted model of that version, `NAME@VERSION` where none is hosted."""
        number = await self._points(name, alias)
        if number is None:
            return None
        hosted = (
            model
            for model, spec in self._config().models.items()
            if spec.version == str(number) and model.partition("@")[0] == name
        )
        return next(hosted, f"{name}@{number}")

    async def version(self, name: str, alias: str) -> str | None:
        """See `Aliases`: `NAME@VERSION`, whether that is hosted or not."""
        number = await self._points(name, alias)
        return None if number is None else f"{name}@{number}"

    async def move(self, name: str, alias: str, expected: str | None, to: str | None, actor: str) -> None:
        """See `Aliases`. A model whose version is no number of the registry's is `InvalidConfig`."""
        known, wanted = self._number_or_none(expected), self._number_or_none(to)
        try:
            await asyncio.to_thread(self._move, name, alias, known, wanted, actor)
        except Changed as error:
            raise WrongState(f"{name}@{alias}", str(error), "move") from None
        except NotPassed as error:
            raise InvalidInput("alias", str(error)) from None

    def _move(self, name: str, alias: str, known: int | None, wanted: int | None, actor: str) -> None:
        registry = self.registry()
        if wanted is not None:
            registry.move(name, alias, wanted, expected=known, actor=actor, reason="a rollout")
        elif known is not None:
            registry.clear(name, alias, expected=known, actor=actor, reason="a rollout that was taken back")

    async def _points(self, name: str, alias: str) -> int | None:
        aliases = await asyncio.to_thread(self.registry().aliases, name)
        return next((number for one, number in aliases.points.items() if one == alias), None)

    def registry(self) -> Registry:
        """The registry, opened at the first call, which may read files."""
        if self._registry is None:
            self._registry = open_registry(self._folder)
        return self._registry

    def _number_or_none(self, model: str | None) -> int | None:
        return None if model is None else self._number(model)

    def _number(self, model: str) -> int:
        spec = self._config().models.get(model)
        version = model.partition("@")[2] if spec is None else spec.version
        if not version.isdecimal():
            raise InvalidConfig(
                "models.yaml",
                0,
                f"models.{model}.version",
                f"'{version}' is no number of a registry's version",
            )
        return int(version)
