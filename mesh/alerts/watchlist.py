"""The conditions that are not idle: by rule, asset and key. What is quiet takes no memory."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple
from itertools import islice
from typing import Any, Final

from mesh.alerts.condition import Condition
from mesh.alerts.events import Place

_VERSION: Final = 1

Keys = dict[str, Condition]
"""From the key that was silent for longest to the latest."""


class Watchlist:
    """Bounded twice: `max_keys` of an asset for each rule, and `max_assets`. Those silent for longest make room."""

    def __init__(self, rules: Sequence[str], max_assets: int, max_keys: int) -> None:
        self._rules: dict[str, dict[str, Keys]] = {rule: {} for rule in rules}
        self._heard: dict[str, None] = {}  # assets, from the longest silent to the latest
        self._max_assets, self._max_keys = max_assets, max_keys

    def of(self, rule: str) -> Mapping[str, Keys]:
        """The keys of a rule that are not idle, by asset."""
        return self._rules[rule]

    def put(self, rule: str, asset: str, key: str, condition: Condition) -> int:
        """Remember what became of a condition, or that it is idle. Returns how many keys of the asset made room."""
        assets = self._rules[rule]
        if condition.idle:
            keys = assets.get(asset, {})
            keys.pop(key, None)
            if not keys:
                assets.pop(asset, None)
            return 0
        keys = assets.setdefault(asset, {})
        keys.pop(key, None)
        keys[key] = condition
        if len(keys) <= self._max_keys:
            return 0
        del keys[next(iter(keys))]
        return 1

    def heard(self, assets: Iterable[str]) -> tuple[str, ...]:
        """Note that these had rows; returns the assets that were forgotten to keep within the bound."""
        if not self._heard and not any(self._rules.values()):
            return ()
        active = set[str]().union(*self._rules.values())
        for asset in dict.fromkeys(assets):
            self._heard.pop(asset, None)
            if asset in active:
                self._heard[asset] = None
        spare = max(0, len(self._heard) - self._max_assets)
        forgotten = tuple(islice(self._heard, spare))
        self.forget(forgotten)
        return forgotten

    def forget(self, assets: Sequence[str]) -> None:
        """Forget everything about these assets."""
        for asset in assets:
            self._heard.pop(asset, None)
            for keys in self._rules.values():
                keys.pop(asset, None)

    def dump(self, assets: Sequence[str]) -> dict[str, bytes]:
        """The state of each of these assets; those that are idle are left out."""
        dumped = {}
        for asset in assets:
            rules = {rule: keys[asset] for rule, keys in self._rules.items() if asset in keys}
            if rules:
                dumped[asset] = _encoded(rules)
        return dumped

    def load(self, states: Mapping[str, bytes]) -> int:
        """Put dumped states in place of what is known of these assets. Returns the keys of rules that there are no longer.

        Raises:
            ValueError: bytes that `dump` did not write.
        """
        read = {asset: _decoded(asset, state) for asset, state in states.items()}
        self.forget(list(read))
        lost = 0
        for asset, rules in read.items():
            for rule, keys in rules.items():
                if rule in self._rules:
                    self._rules[rule][asset] = keys
                else:
                    lost += len(keys)
        self.heard(read)
        return lost


def _encoded(rules: Mapping[str, Keys]) -> bytes:
    told = {rule: {key: _told(one) for key, one in keys.items()} for rule, keys in rules.items()}
    return json.dumps({"version": _VERSION, "rules": told}, separators=(",", ":")).encode()


def _told(one: Condition) -> tuple[Any, ...]:
    """Its fields in their order; the last, which hardly ever says anything, only where it does: readers of before had none."""
    told = astuple(one)
    return told if one.again else told[:-1]


def _decoded(asset: str, state: bytes) -> dict[str, Keys]:
    try:
        found = json.loads(state)
        if found["version"] != _VERSION:
            raise ValueError(f"version {found['version']}, expected {_VERSION}")
        return {
            rule: {key: _condition(one) for key, one in keys.items()} for rule, keys in found["rules"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"the alert state of asset '{asset}' cannot be read: {error}; start it empty"
        ) from None


def _condition(told: list[Any]) -> Condition:
    """The condition of the values that `_encoded` wrote, in the order of its fields."""
    since, first, *rest = told
    return Condition(since, None if first is None else Place(*first), *rest)
