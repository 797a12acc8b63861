"""The replay buffer: a bounded sample of old rows, so that what is learned anew does not push out what was known.

Each row has a key, a hash of its entity, its time and the seed, and the rows with the smallest keys stay (bottom-k sampling:
E. Cohen, H. Kaplan, "Summarizing data using bottom-k sketches", PODC 2007). So it is an even sample without replacement, whatever
the order in which and how often rows are offered, and a buffer can be made again from history. Pure.
"""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

from mesh.stores.rows import FeatureBatch


class ReplayBuffer:
    """At most `capacity` rows."""

    def __init__(self, capacity: int, seed: int) -> None:
        self._capacity, self._seed = capacity, seed
        self._entities: dict[str, int] = {}
        self._keys = np.empty(0, np.uint64)
        self._rows: FeatureBatch | None = None
        self.offered = 0

    def offer(self, rows: FeatureBatch) -> None:
        """Some of these may stay; of rows with the same entity and time the first does."""
        self.offered += len(rows)
        keys = self._keyed(rows.entities, rows.event_time)
        if self._rows is not None:
            keys, rows = np.concatenate([self._keys, keys]), _joined(self._rows, rows)
        _, first = np.unique(keys, return_index=True)  # ascending by key
        kept = first[: self._capacity]
        self._keys, self._rows = keys[kept], rows.take(kept)

    @property
    def rows(self) -> FeatureBatch | None:
        """What stayed, ordered by entity and time; None where nothing was offered."""
        if self._rows is None:
            return None
        names = np.array(self._rows.entities, np.str_)
        return self._rows.take(np.lexsort((self._rows.event_time, names)))

    def _keyed(self, entities: Sequence[str], times: np.ndarray) -> np.ndarray:
        hashes = np.fromiter((self._hash(name) for name in entities), np.uint64, len(entities))
        return _mixed(hashes ^ _mixed(times.astype(np.uint64)))

    def _hash(self, entity: str) -> int:
        found = self._entities.get(entity)
        if found is None:
            digest = blake2b(entity.encode(), digest_size=8, key=self._seed.to_bytes(8, "big")).digest()
            found = self._entities[entity] = int.from_bytes(digest, "big")
        return found


def _mixed(values: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser (G. Steele, D. Lea, C. Flood, OOPSLA 2014): uint64 [N] to uint64 [N], one to one."""
    with np.errstate(over="ignore"):
        mixed = values + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def _joined(first: FeatureBatch, second: FeatureBatch) -> FeatureBatch:
    return FeatureBatch(
        [*first.entities, *second.entities],
        np.concatenate([first.event_time, second.event_time]),
        np.concatenate([first.created_time, second.created_time]),
        np.concatenate([first.values, second.values]),
    )
