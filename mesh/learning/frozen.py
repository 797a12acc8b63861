"""The frozen benchmark, made once by its seeds and kept: another telemetry file, scenario or setting is another benchmark."""

import hashlib
import io
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np

from mesh.learning.anomaly.simulated import Machines, faulty_windows, healthy_windows
from mesh.learning.anomaly.study import Trial
from mesh.learning.anomaly.windows import Episode, Layout, WindowSet
from mesh.learning.plan import BenchmarkPolicy
from mesh.signals.sensors import Telemetry
from mesh.simulation.scenario import Scenario

logger = logging.getLogger(__name__)

_FORMAT: Final = 1


def frozen(
    telemetry: Telemetry,
    scenarios: Sequence[Scenario],
    policy: BenchmarkPolicy,
    folder: Path,
    progress: Callable[[], None] = lambda: None,
) -> Trial:
    """The benchmark from `folder`, or made and kept there; `progress` is called for each set that is made.

    Where nothing can be written, as on the read-only root of a container, it is made anew each time: it is the same.
    """
    said = repr((_FORMAT, telemetry, tuple(scenarios), asdict(policy)))
    path = folder / f"benchmark-{hashlib.sha256(said.encode()).hexdigest()[:32]}.npz"
    layout = Layout.of(telemetry)
    if path.is_file():
        return read_trial(path.read_bytes(), layout)
    trial = _made(telemetry, scenarios, policy, progress)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".part")
        fresh.write_bytes(trial_bytes(trial))
        fresh.replace(path)
    except OSError as error:
        logger.warning("the benchmark is not kept for the next training: %s", error)
    return trial


def trial_bytes(trial: Trial) -> bytes:
    """A NumPy archive without pickles."""
    parts: dict[str, np.ndarray] = {"sets": np.array([len(trial.faulty), len(trial.healthy)])}
    for at, one in enumerate((*trial.faulty, *trial.healthy)):
        parts |= {f"{at}.{name}": column for name, column in _columns(one).items()}
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **parts)
    return file.getvalue()


def read_trial(data: bytes, layout: Layout) -> Trial:
    """The same trial, of windows with this layout."""
    with np.load(io.BytesIO(data), allow_pickle=False) as parts:
        faulty, healthy = parts["sets"].tolist()
        sets = [_set(parts, at, layout) for at in range(faulty + healthy)]
    return Trial(tuple(sets[:faulty]), tuple(sets[faulty:]))


def _made(
    telemetry: Telemetry,
    scenarios: Sequence[Scenario],
    policy: BenchmarkPolicy,
    progress: Callable[[], None],
) -> Trial:
    faulty, healthy = [], []
    for seed in policy.seeds:
        healthy.append(healthy_windows(telemetry, Machines(policy.healthy, policy.healthy_s), seed))
        progress()
        for one in scenarios:
            machines = Machines(policy.machines, int(one.duration_s))
            faulty.append(faulty_windows(telemetry, one, machines, seed))
            progress()
    return Trial(tuple(faulty), tuple(healthy))


def _columns(windows: WindowSet) -> dict[str, np.ndarray]:
    episodes = windows.episodes
    return {
        "assets": np.array(windows.assets, np.str_),
        "asset": windows.asset,
        "time": windows.time,
        "values": windows.values,
        "healthy": windows.healthy,
        "kinds": np.array([one.kind for one in episodes], np.str_),
        "episodes": np.array([(one.asset, one.from_ms, one.to_ms) for one in episodes], np.int64).reshape(
            -1, 3
        ),
    }


def _set(parts: Mapping[str, np.ndarray], at: int, layout: Layout) -> WindowSet:
    kinds, episodes = parts[f"{at}.kinds"].tolist(), parts[f"{at}.episodes"].tolist()
    return WindowSet(
        layout,
        tuple(parts[f"{at}.assets"].tolist()),
        parts[f"{at}.asset"],
        parts[f"{at}.time"],
        parts[f"{at}.values"],
        parts[f"{at}.healthy"],
        tuple(Episode(kind, *where) for kind, where in zip(kinds, episodes, strict=True)),
    )
