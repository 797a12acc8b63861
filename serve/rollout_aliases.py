"""Aliases of the registry as rollouts know them: a hosted model stands for the version that it is."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from mesh.errors import InvalidConfig, WrongState
from mesh.registry import Changed, Registry
from mesh.registry.configured import open_registry
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

    async def move(self, name: str, alias: str, expected: str | None, to: str, actor: str) -> None:
        """See `Aliases`. Raises `InvalidConfig` for a model whose version is no number of the registry's."""
        present = await self._points(name, alias)
        if expected is not None and present != self._number(expected):
            raise WrongState(f"{name}@{alias}", f"version {present}", "move")
        try:
            await asyncio.to_thread(
                self.registry().move,
                name,
                alias,
                self._number(to),
                expected=present,
                actor=actor,
                reason="a rollout",
            )
        except Changed as error:
            raise WrongState(f"{name}@{alias}", str(error), "move") from None

    async def _points(self, name: str, alias: str) -> int | None:
        aliases = await asyncio.to_thread(self.registry().aliases, name)
        return next((number for one, number in aliases.points.items() if one == alias), None)

    def registry(self) -> Registry:
        """The registry, opened at the first call, which may read files."""
        if self._registry is None:
            self._registry = open_registry(self._folder)
        return self._registry

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
