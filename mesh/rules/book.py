"""The book of rules: one place that checks every change whole, and takes one after the other."""

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from mesh.errors import InvalidConfig, MeshError, StoreAway
from mesh.rules.opening import EARLIER, Opening, problems_of, tables_of
from mesh.rules.ports import Audit, Hosting, RulesStore
from mesh.rules.reading import Checked, Reader
from mesh.rules.values import Accepted, Kept, Problem, Proposal, Refused, Revision, RulesState
from mesh.spec import MeshConfig, ModelSpec

_ROUNDS: Final = 5
"""How often a proposal that expects no version is checked anew because another was taken meanwhile."""


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class Book:
    """A `RuleBook` of this process. Lives on one event loop."""

    def __init__(
        self,
        opening: Opening,
        reader: Reader,
        store: RulesStore,
        hosting: Hosting,
        audit: Audit,
        now_ms: Callable[[], int] = _now_ms,
    ) -> None:
        """`opening` is what it begins with."""
        self.kept = opening.kept
        self.config: MeshConfig = opening.config
        self.refused: Refused | None = opening.refused
        """The files' last refusal; None once they are taken."""
        self.changed = asyncio.Event()
        """Set, and replaced, whenever there is a newer revision."""
        self._reader = reader
        self._store = store
        self._hosting = hosting
        self._audit = audit
        self._now_ms = now_ms
        self._taking = asyncio.Lock()

    async def current(self) -> Revision:
        """See `RuleBook`."""
        return self.kept.current

    async def state(self) -> RulesState:
        """See `RulesReader`."""
        return RulesState(self.kept.current, self.kept.earlier, self.refused)

    async def propose(
        self,
        table: Proposal,
        expected_version: int | None,
        actor: str,
        seen: Mapping[str, str] | None = None,
    ) -> Accepted | Refused:
        """See `RuleBook`. `seen` are digests of files that are taken with it."""
        hosted: list[str] = []
        try:
            return await self._propose(table, expected_version, actor, seen or {}, hosted)
        finally:
            for model in hosted:
                self._hosting.release(model)
            for model in sorted(set(hosted) - self.config.models.keys()):
                await self._hosting.drop(model)

    async def _propose(
        self,
        table: Proposal,
        expected_version: int | None,
        actor: str,
        seen: Mapping[str, str],
        hosted: list[str],
    ) -> Accepted | Refused:
        """The names of models that are held for it are added to `hosted`, one for each hold."""
        for _ in range(_ROUNDS):
            now = self.kept.current
            if expected_version not in (None, now.version):
                return self._conflict(expected_version)
            try:
                checked = await asyncio.to_thread(self._reader.change, table, now)
            except InvalidConfig as error:
                return Refused("invalid", problems_of(error), now.version)
            refusal = await self._host(checked, table, hosted)
            if refusal is not None:
                return refusal
            async with self._taking:
                if self.kept.current.version == now.version:
                    return await self._take(checked, table.source, actor, seen)
        return self._conflict(expected_version)

    async def _take(
        self, checked: Checked, source: str, actor: str, seen: Mapping[str, str]
    ) -> Accepted | Refused:
        now, config = self.kept.current, checked.config
        same = config.rules_hash == now.rules and config.models == self.config.models
        if same and not seen:
            return Accepted(now, changed=False)
        revision = (
            now
            if same
            else Revision(
                now.version + 1,
                config.rules_hash,
                tables_of(config),
                checked.texts.models,
                checked.texts.routing,
                actor,
                source,
                self._now_ms(),
            )
        )
        earlier = self.kept.earlier if same else (now, *self.kept.earlier)[:EARLIER]
        kept = Kept(revision, earlier, {**self.kept.seen, **seen})
        try:
            if same:
                await self._save(kept)
            else:
                words = _line(now), _line(revision), actor
                await self._audit.change_rules(*words, partial(self._save, kept))
        except StoreAway as error:
            return Refused("store", (Problem("", 0, "", str(error)),), now.version)
        gone = [] if same else sorted(self.config.models.keys() - config.models.keys())
        self.kept, self.config = kept, config
        if not same:
            self._tell()
        for model in gone:
            await self._hosting.drop(model)
        return Accepted(revision, changed=not same)

    async def _save(self, kept: Kept) -> None:
        await asyncio.to_thread(self._store.save, kept)

    async def _hold(self, spec: ModelSpec, hosted: list[str]) -> None:
        # In the same step as the hold, so that each is given back though this is cancelled.
        hosted.append(spec.name)
        await self._hosting.host(spec)

    async def _host(self, checked: Checked, table: Proposal, hosted: list[str]) -> Refused | None:
        """Start what is new, all of it or none."""
        results = await asyncio.gather(
            *(self._hold(spec, hosted) for spec in checked.fresh), return_exceptions=True
        )
        failed = [
            (spec, result)
            for spec, result in zip(checked.fresh, results, strict=True)
            if isinstance(result, BaseException)
        ]
        if not failed:
            return None
        unexpected = next((error for _, error in failed if not isinstance(error, MeshError)), None)
        if unexpected is not None:
            raise unexpected
        return Refused("model", [_unstarted(table, *each) for each in failed], self.kept.current.version)

    def _conflict(self, expected_version: int | None) -> Refused:
        now = self.kept.current
        reason = (
            f"expected version {expected_version}, but '{now.actor}' made it {now.version}: read the rules "
            "again and propose anew"
        )
        return Refused("conflict", (Problem("", 0, "expected_version", reason),), now.version)

    def _tell(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    def note_refusal(self, refused: Refused | None) -> None:
        """What the files' watcher found wrong, or None."""
        self.refused = refused


def _unstarted(table: Proposal, spec: ModelSpec, error: BaseException) -> Problem:
    return Problem(table.models_name, 0, f"models.{spec.name}", f"did not start: {error}")


def _line(revision: Revision) -> str:
    return f"version {revision.version}, rules {revision.rules}"
