"""`quality-*`: how good what the mesh says is, on public data, and what adaptive sampling costs of it. Needs the shared data."""

import os
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks import quality_sampling_nab, quality_sampling_scenarios
from benchmarks.results import Row, at_most, reaches, skipped, within
from mesh.detection.detector import fixed_threshold, score_together
from mesh.detection.settings import Settings
from mesh.learning.nab import read_corpus
from mesh.learning.nab_report import report
from mesh.learning.nab_score import read_profiles

DATA: Final = Path(os.environ.get("MESH_SHARED") or Path(__file__).resolve().parents[2] / "shared") / "data"
NAB, TURBOFANS = DATA / "nab", DATA / "cmapss_fd001"
SEED: Final = 20261123
KEPT: Final = 0.5
LOST: Final = 0.01
LATER: Final = 1.1


def measure(console: Console) -> list[Row]:
    """Every row; those whose data is not there are skipped."""
    rows: list[Row] = []
    for part in (_nab, _turbofans, _scenarios):
        found = part()
        console.print(f"  {', '.join(row.id for row in found)}: done")
        rows += found
    return rows


def _nab() -> list[Row]:
    if not NAB.exists():
        return [skipped("quality-nab", "points", f"{NAB} is not there (MESH_SHARED)")]
    settings, corpus = Settings(), read_corpus(NAB)
    scores = score_together([one.series.values for one in corpus], settings)
    profiles, fixed = read_profiles(NAB / "config/profiles.json"), fixed_threshold(settings)
    marks = report(corpus, scores, profiles, fixed).marks["all"]["standard"]
    heard = quality_sampling_nab.score_sampled(corpus, settings)
    again = report(corpus, heard.scores, profiles, fixed).marks["all"]["standard"]
    rows = [
        reaches("quality-nab", "points", marks.best, 52, "58 files, one threshold, standard profile"),
        reaches("quality-nab-fixed", "points", marks.fixed, 52, "the same, threshold fixed without labels"),
    ]
    for name, threshold in (("nab", marks.threshold), ("nab-fixed", fixed)):
        full, spared = (quality_sampling_nab.found(corpus, one, threshold) for one in (scores, heard.scores))
        rows += _compared(
            name, heard.kept, (full.rate, spared.rate), (full.delay, spared.delay), "rows",
            f"{full.found} and {spared.found} of {full.windows} windows; score {again.best:.1f}, fixed {again.fixed:.1f}",
        )  # fmt: skip
    return rows


def _turbofans() -> list[Row]:
    names = {"quality-fd001": "cycles", "quality-interval": "share"}
    if not TURBOFANS.exists():
        return [
            skipped(name, unit, f"{TURBOFANS} is not there (MESH_SHARED)") for name, unit in names.items()
        ]
    from mesh.learning.degradation import read_fleet, read_remaining, train
    from mesh.learning.degradation.card import measure_test

    trained = train(read_fleet(TURBOFANS / "train_FD001.txt"), SEED)
    engines = read_fleet(TURBOFANS / "test_FD001.txt")
    quality = measure_test(trained, engines, read_remaining(TURBOFANS / "RUL_FD001.txt", engines))
    return [
        at_most(
            "quality-fd001", "cycles", [quality.rmse], 17.5, "RMSE, true RUL, last cycle of 100 test engines"
        ),
        within("quality-interval", "share", quality.coverage, 0.85, 0.95, "nominal 90 %, the same engines"),
    ]


def _scenarios() -> list[Row]:
    full, spared = (quality_sampling_scenarios.measure(sampled) for sampled in (False, True))
    return _compared(
        "scenarios", spared.kept, (full.rate, spared.rate), (full.delay_s, spared.delay_s), "s",
f"{full.found} and {spared.found} of {full.faults} faults, at 5 % false alarms each",
    )  # fmt: skip


def _compared(
    name: str, kept: float, rates: tuple[float, float], delays: tuple[float, float], unit: str, note: str
) -> list[Row]:
    """Readings sent, true positive rate and time to detection, at full rate and sampled."""
    return [
        at_most(f"quality-sampling-{name}-kept", "share", [kept], KEPT, "readings that were sent"),
        Row(
            f"quality-sampling-{name}-tpr", "share", rates[1], "every reading", rates[0],
            rates[1] / rates[0] if rates[0] else None, "-1 point at most", rates[1] >= rates[0] - LOST, note,
        ),
        Row(
            f"quality-sampling-{name}-mttd", unit, delays[1], "every reading", delays[0],
            delays[1] / delays[0] if delays[0] else None, f"<= {LATER}x", delays[1] <= LATER * delays[0],
            "what was missed counts with its whole length",
        ),
    ]  # fmt: skip
