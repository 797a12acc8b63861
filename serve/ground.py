"""What the rooms of one router stand on."""

from dataclasses import dataclass
from pathlib import Path

from mesh.cluster.live_rules import LiveRules
from mesh.engine.engine import Engine
from mesh.settings import Settings
from mesh.telemetry.recorder import Recorder
from serve.access.gate import Gate
from serve.access.opening import LateTokens


@dataclass(frozen=True, slots=True)
class Ground:
    """The configuration's folder, the rules in force, the router's name among its like, its recorder, its engine and its gate.

    `tokens` is to learn where tokens are looked up.
    """

    folder: Path
    settings: Settings
    live: LiveRules
    owner: str
    recorder: Recorder
    engine: Engine
    gate: Gate
    tokens: LateTokens
