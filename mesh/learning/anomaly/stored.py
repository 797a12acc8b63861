"""A fitted ensemble as bytes, exactly: what a light update changes, and parity is measured against. No pickles."""

import io

import numpy as np

from mesh.errors import ArtifactError
from mesh.learning.anomaly.curve import Curve
from mesh.learning.anomaly.ensemble import MEMBERS, Ensemble, Looks, Standard
from mesh.learning.anomaly.neighbours import Space

NO_COVERAGE = -1


def ensemble_bytes(ensemble: Ensemble) -> bytes:
    """All of its numbers, float64."""
    standard, looks = ensemble.standard, ensemble.looks
    curves = {
        "residual": looks.residual_curve,
        "single": looks.score_curve,
        "together": ensemble.together,
        **dict(zip(MEMBERS, ensemble.curves, strict=True)),
    }
    parts = {f"knots_{name}": curve.knots for name, curve in curves.items()}
    parts |= {f"bends_{name}": curve.bends for name, curve in curves.items()}
    file = io.BytesIO()
    np.savez_compressed(
        file,
        allow_pickle=False,
        median=standard.median,
        scale=standard.scale,
        coverage=np.array(NO_COVERAGE if standard.coverage is None else standard.coverage),
        relations=looks.relations,
        space=looks.space.weights,
        centres=looks.centres,
        kept=looks.kept,
        weights=ensemble.weights,
        threshold=np.array(ensemble.threshold),
        **parts,
    )
    return file.getvalue()


def read_ensemble(data: bytes) -> Ensemble:
    """The same ensemble. Raises `ArtifactError` for other bytes."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as parts:
            coverage = int(parts["coverage"])
            return Ensemble(
                Standard(parts["median"], parts["scale"], None if coverage == NO_COVERAGE else coverage),
                Looks(
                    parts["relations"],
                    Curve(parts["knots_residual"], parts["bends_residual"]),
                    Curve(parts["knots_single"], parts["bends_single"]),
                    Space(parts["space"]),
                    parts["centres"],
                    parts["kept"],
                ),
                tuple(Curve(parts[f"knots_{name}"], parts[f"bends_{name}"]) for name in MEMBERS),
                parts["weights"],
                Curve(parts["knots_together"], parts["bends_together"]),
                float(parts["threshold"]),
            )
    except (ValueError, KeyError, OSError) as error:
        raise ArtifactError(f"these bytes are no stored ensemble: {error}") from error
