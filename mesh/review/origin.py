"""What the rows of an endpoint were answered by, and from which score on they are flagged: as far as the files say."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

_BOUND: Final = re.compile(r"\bscore\s*>=?\s*(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)")


@dataclass(frozen=True, slots=True)
class Origin:
    """The model that answers an endpoint, or the endpoint itself and the hash of its rules where several may."""

    model: str = ""
    version: str = ""
    rules: str = ""


NOBODY: Final = Origin()
"""Where it is not known."""


def origin_of(endpoint: str, versions: Mapping[str, str], rules_hash: str) -> Origin:
    """`versions` are those of hosted models by name."""
    if endpoint in versions:
        return Origin(endpoint, versions[endpoint], rules_hash)
    return Origin(endpoint, "", rules_hash)


def threshold_of(condition: str) -> float | None:
    """The score that a condition asks for, as in `score >= 0.8`; None where it asks for none."""
    found = _BOUND.search(condition)
    return float(found[1]) if found else None


def lowest_threshold(conditions: Iterable[str]) -> float | None:
    """The lowest of those that conditions ask for: from there on a row is flagged."""
    found = [one for one in map(threshold_of, conditions) if one is not None]
    return min(found) if found else None
