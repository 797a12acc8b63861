"""The detector against the whole Numenta benchmark: slow for a unit test, and it needs the corpus."""

import os
from pathlib import Path

import pytest

from mesh.learning.nab_report import nab_report
from tests.fakes.machine import missing

ROOT = Path(__file__).resolve().parents[2]
NAB = Path(os.environ.get("MESH_SHARED") or ROOT.parent / "shared") / "data/nab"

RANDOM_CUT_FOREST = 51.7
KNN_CAD = 58.0
"""Published standard scores of two detectors that also learn online from single series."""


@pytest.mark.slow
def test_the_detector_passes_published_ones_also_without_tuning_and_labels() -> None:
    if not NAB.exists():
        missing(f"{NAB} is not there (set MESH_SHARED)")
    report = nab_report(NAB)
    assert (report.series, report.rows, report.windows) == (58, 365_558, 116)
    assert report.marks["all"]["standard"].best > KNN_CAD
    assert report.marks["all"]["standard"].fixed > RANDOM_CUT_FOREST
    assert report.marks["rest"]["standard"].tuned > RANDOM_CUT_FOREST
    assert report.marks["rest"]["standard"].fixed > RANDOM_CUT_FOREST
