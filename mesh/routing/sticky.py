"""Sticky shares: the same key under the same salt always falls at the same place in [0, 1).

A key's CRC-32 numbers it; its place is that number's draw from the SplitMix64 stream seeded with the salt
(Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014; the finaliser is
Stafford's variant 13 of MurmurHash3's fmix64). Counter-based, so all rows are drawn at once. A share is a
half-open range with a fixed start, as in GrowthBook's bucket ranges: raising a percent only moves keys in.
"""

import zlib
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Final

import numpy as np

from mesh.routing.types import MISSING

_GAMMA: Final = 0x9E3779B97F4A7C15
_MIX_1: Final = 0xBF58476D1CE4E5B9
_MIX_2: Final = 0x94D049BB133111EB
_MASK: Final = 0xFFFFFFFFFFFFFFFF
_UNIT: Final = 2.0**-53

_U_GAMMA, _U_MIX_1, _U_MIX_2 = np.uint64(_GAMMA), np.uint64(_MIX_1), np.uint64(_MIX_2)
_U_11, _U_27, _U_30, _U_31 = np.uint64(11), np.uint64(27), np.uint64(30), np.uint64(31)


def buckets(salt: str, keys: Sequence[str]) -> np.ndarray:
    """The place of each key under `salt`: float64 [n] in [0, 1)."""
    return places(salt, key_numbers(keys))


def place(salt: str, key: str) -> float:
    """The place of one key, exactly as `buckets` has it, many times faster than an array of one."""
    number = zlib.crc32(key.encode("utf-8", "surrogatepass"))
    z = (_seed(salt) + number * _GAMMA) & _MASK
    z = ((z ^ (z >> 30)) * _MIX_1) & _MASK
    z = ((z ^ (z >> 27)) * _MIX_2) & _MASK
    return ((z ^ (z >> 31)) >> 11) * _UNIT


def key_numbers(keys: Sequence[str]) -> np.ndarray:
    """The CRC-32 of each key's UTF-8 bytes: uint64 [n]. Compute it once for several salts."""
    crc32 = zlib.crc32
    try:
        numbers = [crc32(key.encode()) for key in keys]
    except UnicodeEncodeError:  # JSON can hold half a surrogate pair, which UTF-8 cannot
        numbers = [crc32(key.encode("utf-8", "surrogatepass")) for key in keys]
    return np.array(numbers, np.uint64)


def places(salt: str, numbers: np.ndarray) -> np.ndarray:
    """The place under `salt` of each key number: float64 [n] in [0, 1)."""
    z = numbers * _U_GAMMA
    z += np.uint64(_seed(salt))
    z ^= z >> _U_30
    z *= _U_MIX_1
    z ^= z >> _U_27
    z *= _U_MIX_2
    z ^= z >> _U_31
    z >>= _U_11
    return z * _UNIT


def key_text(value: object) -> str | None:
    """The sticky key that an attribute's value stands for; None for a value that is no key.

    A text is itself, a whole number its decimal digits however it was sent (42, 42.0), another number its
    shortest decimal form, a truth value `true` or `false`. Null, a missing value, a list and an object are no
    keys.
    """
    if type(value) is str:
        return value
    if value is None or value is MISSING:
        return None
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int | float | str | np.integer) else None


@lru_cache(maxsize=4096)
def _seed(salt: str) -> int:
    return int.from_bytes(blake2b(salt.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
