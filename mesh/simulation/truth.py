"""What was really wrong, when and with which machine: what an evaluation compares alerts with."""

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Truth:
    """A fault of a run, from `from_ms` until before `to_ms` (milliseconds since 1970).

    Times are those of the readings, which under a clock skew are not those that the records say.
    """

    asset: str
    kind: str
    from_ms: int
    to_ms: int
    sensors: tuple[str, ...]
    scenario: str
    seed: int

    def json(self) -> bytes:
        """The record of the truth's topic."""
        return json.dumps(
            {
                "asset": self.asset,
                "kind": self.kind,
                "from": self.from_ms,
                "to": self.to_ms,
                "sensors": self.sensors,
                "scenario": self.scenario,
                "seed": self.seed,
            },
            separators=(",", ":"),
        ).encode()
