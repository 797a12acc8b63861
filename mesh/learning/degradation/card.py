"""The model card: what a model learned from, how, what it achieves, and on which engines that was decided."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any, Final

import numpy as np

from mesh.learning.degradation.evaluate import Quality, flips, measure
from mesh.learning.degradation.export import OUTPUTS
from mesh.learning.degradation.fleet import Fleet
from mesh.learning.degradation.train import Trained, score_onnx
from mesh.learning.degradation.windows import window_features
from mesh.stores.views import digest_of

LIBRARIES: Final = ("numpy", "scikit-learn", "skl2onnx", "onnx", "onnxruntime")
LIMITS: Final = (
    "It knows the ways of failing that its training assets show, and no other.",
    "Far from failure it says about the cap: only that no wear is to be seen yet.",
    "Readings are cycles of one kind of asset under one kind of operation.",
)


def measure_test(trained: Trained, test: Fleet, remaining: np.ndarray) -> Quality:
    """The file's quality at each asset's last reading; `remaining` is [units], true and not capped."""
    said = score_onnx(trained.onnx, window_features(trained.windows, test)[test.last_rows()])
    return measure(remaining, said.rul, said.rul_low, said.rul_high)


def parity(trained: Trained, fleet: Fleet) -> dict[str, float]:
    """How far the file's float32 is from scikit-learn's float64, over every reading of a fleet."""
    features = window_features(trained.windows, fleet)
    ours, file = trained.estimate(features), score_onnx(trained.onnx, features)
    return {
        "rows": len(fleet),
        "alerts_flipped": flips(ours.rul, file.rul, trained.recipe.alert),
        "largest_difference_cycles": float(np.abs(ours.rul - file.rul).max()),
        "largest_difference_score": float(np.abs(ours.score - file.score).max()),
    }


def model_card(
    trained: Trained, fleet: Fleet, files: Mapping[str, bytes], test: Quality | None = None
) -> dict[str, object]:
    """For JSON. `fleet` is what was learned from; `files` are the data files read, by name.

    `test` is what was measured on assets that no choice was made on, where there are any.
    """
    return {
        "model": "degradation",
        "data": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "training": {"assets": len(fleet.first_rows()), "readings": len(fleet)},
        "columns": list(trained.windows.columns),
        "features": list(trained.windows.names),
        "features_digest": digest_of(trained.windows.names),
        "readings_kept_per_asset": trained.windows.longest,
        "outputs": list(OUTPUTS),
        "recipe": asdict(trained.recipe),
        "seed": trained.seed,
        "versions": {name: version(name) for name in LIBRARIES},
        "interval": {name: widths.round(3).tolist() for name, widths in asdict(trained.band).items()},
        "alarm": asdict(trained.alarm),
        "metrics": {
            "cross_validation": trained.unseen.as_dict(),
            "cross_validation_truth_capped": trained.unseen_capped.as_dict(),
            "test": test.as_dict() if test else None,
        },
        "parity": parity(trained, fleet),
        "artifact": {"bytes": len(trained.onnx), "sha256": hashlib.sha256(trained.onnx).hexdigest()},
        "decided_on": (
            "Features, trees, interval and alarm: training assets alone, cross-validated by asset and cut at "
            "random readings. Cap, alert and level: convention. Test assets: measured once, for this report."
        ),
    }


def card_text(card: Mapping[str, Any]) -> str:
    """The same for people, in Markdown, of a card with `date` and `licence`."""
    artifact, training = card["artifact"], card["training"]
    facts = [
        (
            "what it does",
            "says how many cycles an asset has left, with an interval, and how likely it fails soon",
        ),
        ("date, seed", f"{card['date']}, {card['seed']}"),
        ("artifact", f"{artifact['bytes']:,} bytes, SHA-256 `{artifact['sha256']}`"),
        *((f"`{name}`", f"SHA-256 `{digest}`") for name, digest in card["data"].items()),
        ("licence of the data", card["licence"]),
        (
            "learned from",
            f"{training['readings']:,} readings of {training['assets']} assets that ran to failure",
        ),
        ("input", f"`features` FP32 [N, {len(card['features'])}], in this order"),
        ("features", ", ".join(card["features"])),
        ("features digest", f"`{card['features_digest']}`"),
        ("outputs", ", ".join(card["outputs"])),
        (
            "interval",
            f"{card['recipe']['level']:.0%} of the true values, calibrated on unseen training assets",
        ),
        (
            "`score`",
            f"the probability that {card['recipe']['alert']:g} cycles are left at most; 0.5 is the threshold",
        ),
        ("decided on", card["decided_on"]),
    ]
    lines = ["# degradation", "", "| | |", "|---|---|", *(f"| {name} | {what} |" for name, what in facts)]
    lines += [
        "",
        "## Measured",
        "",
        "| on | predictions | RMSE | PHM08 | covered | mean width |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in card["metrics"].items():
        if one is not None:
            lines.append(
                f"| {name.replace('_', ' ')} | {one['assets']} | {one['rmse']:.2f} | {one['phm08_score']:,.0f} | "
                f"{one['coverage']:.1%} | {one['mean_width']:.1f} |"
            )
    lines += [
        "",
        f"float32 against float64: {card['parity']['alerts_flipped']} alerts differ.",
        "",
        "## Limits",
        "",
    ]
    return "\n".join([*lines, *(f"- {limit}" for limit in LIMITS), ""])
