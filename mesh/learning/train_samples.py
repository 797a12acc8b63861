"""Train the models that the repository ships, and write what they achieve beside them.

`python -m mesh.learning.train_samples` (extra: `pip install 'hyperstream-mesh[train]'`) reads the training
part of C-MAPSS FD001 from `$MESH_SHARED/data/cmapss_fd001` (default `../shared`). It writes
`models/{anomaly,degrader}.onnx`, `models/{rules,anomaly,degrader}.metrics.json` and
`data/cmapss_fd001_sample.csv.gz`. The same library versions on the same kind of processor give the same bytes.
"""

import hashlib
import json
import os
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix, f1_score, precision_score, recall_score, roc_auc_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from mesh.learning.export import to_onnx_bytes
from mesh.learning.fit_rules import fit_rules
from mesh.learning.sample import write_sample
from mesh.learning.turbofan import FEATURES, HORIZON_CYCLES, Telemetry, read_run_to_failure, split_by_unit

SEED: Final = 20261123
HELD_OUT_ENGINES: Final = 30
ROOT: Final = Path(__file__).resolve().parents[2]


def pipelines() -> dict[str, Pipeline]:
    """The learners, not yet fitted: a small network, and a linear model to compare it with."""
    network = MLPClassifier((32, 16), alpha=1e-3, max_iter=60, tol=0.0, random_state=SEED)
    linear = LogisticRegression(max_iter=1000)
    return {
        "anomaly": make_pipeline(StandardScaler(), network),
        "degrader": make_pipeline(StandardScaler(), linear),
    }


def fit(pipeline: Pipeline, training: Telemetry) -> None:
    """Fit in place, on one thread: sums in another order would give other bytes."""
    with threadpool_limits(1), warnings.catch_warnings():
        # The number of rounds is fixed on purpose, so that a run takes seconds and ends where it always ends.
        warnings.simplefilter("ignore", ConvergenceWarning)
        pipeline.fit(training.features, training.degrading)


def evaluate(probability: np.ndarray, degrading: np.ndarray) -> dict[str, object]:
    """Quality of P(degrading) on held-out engines; the class is `degrading` above 0.5."""
    said = probability > 0.5
    (true_normal, false_alarm), (missed, caught) = confusion_matrix(degrading, said).tolist()
    return {
        "roc_auc": round(float(roc_auc_score(degrading, probability)), 4),
        "f1": round(float(f1_score(degrading, said)), 4),
        "precision": round(float(precision_score(degrading, said)), 4),
        "recall": round(float(recall_score(degrading, said)), 4),
        "confusion": {
            "true_normal": true_normal,
            "false_degrading": false_alarm,
            "missed_degrading": missed,
            "true_degrading": caught,
        },
    }


def spread(confidence: np.ndarray) -> dict[str, object]:
    """How confidence lies over 0-1: rows per tenth, and the share that reaches 0.6."""
    counts, _ = np.histogram(confidence, bins=10, range=(0, 1))
    return {
        "rows_per_tenth": counts.tolist(),
        "share_at_least_0.6": round(float((confidence >= 0.6).mean()), 4),
    }


def score_onnx(model: bytes, features: np.ndarray) -> np.ndarray:
    """`probabilities` [N, 2] as ONNX Runtime computes them: what is measured is the file, not its origin."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    outputs: list[np.ndarray] = session.run(["probabilities"], {"features": features})
    return outputs[0]


def main() -> None:
    """Train, measure and write all of it."""
    source = (
        Path(os.environ.get("MESH_SHARED") or ROOT.parent / "shared") / "data/cmapss_fd001/train_FD001.txt"
    )
    training, held_out = split_by_unit(read_run_to_failure(source), HELD_OUT_ENGINES, SEED)
    about = {"data": about_data(source, training, held_out), "seed": SEED, "versions": versions()}

    rules = fit_rules(training)
    quality = evaluate(rules.probability(held_out), held_out.degrading)
    confidence = spread(rules.confidence(held_out))
    write_metrics(
        "rules", {"metrics": quality, "confidence": confidence, "options": rules.options(), **about}
    )
    for name, pipeline in pipelines().items():
        fit(pipeline, training)
        model = to_onnx_bytes(pipeline, name)
        (ROOT / "models" / f"{name}.onnx").write_bytes(model)
        probabilities = score_onnx(model, held_out.features)
        artifact = {"bytes": len(model), "sha256": hashlib.sha256(model).hexdigest()}
        quality = evaluate(probabilities[:, 1], held_out.degrading)
        confidence = spread(probabilities.max(axis=1))
        write_metrics(name, {"metrics": quality, "confidence": confidence, "artifact": artifact, **about})
    write_sample(source, np.unique(held_out.unit), ROOT / "data/cmapss_fd001_sample.csv.gz")


def about_data(source: Path, training: Telemetry, held_out: Telemetry) -> dict[str, object]:
    """What was learned from and measured on."""
    return {
        "source": "NASA PCoE C-MAPSS FD001, training part",
        "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
        "columns": list(FEATURES),
        "label": f"degrading: the engine fails within {HORIZON_CYCLES} cycles",
        "training": {"engines": len(np.unique(training.unit)), "cycles": len(training)},
        "held_out": {
            "engines": np.unique(held_out.unit).tolist(),
            "cycles": len(held_out),
            "degrading": int(held_out.degrading.sum()),
        },
    }


def versions() -> dict[str, str]:
    """The libraries that decide the bytes."""
    return {name: version(name) for name in ("numpy", "scikit-learn", "skl2onnx", "onnx", "onnxruntime")}


def write_metrics(name: str, content: dict[str, object]) -> None:
    """`models/NAME.metrics.json`."""
    path = ROOT / "models" / f"{name}.metrics.json"
    path.write_text(json.dumps({"model": name, **content}, indent=2) + "\n", encoding="utf-8")
    print(f"{path.relative_to(ROOT)}: {json.dumps(content['metrics'])}")


if __name__ == "__main__":
    main()
