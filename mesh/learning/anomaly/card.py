"""The model card: what the ensemble learned from, how, what it achieves, and what it does not know."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Final

from mesh.learning.anomaly.ensemble import MEMBERS
from mesh.learning.anomaly.evaluate import Quality
from mesh.learning.anomaly.export import OUTPUTS
from mesh.learning.anomaly.study import Report
from mesh.learning.anomaly.train import Trained

LIBRARIES: Final = ("numpy", "onnx", "onnxruntime")
LIMITS: Final = (
    "It compares with healthy machines in general, not with a machine's own past.",
    "So a shift as small as machines differ from each other is not seen.",
    "A sensor that is gone altogether is left out, not reported: rules on its coverage tell of it.",
    "What no healthy window showed, such as another mode of operation, is an anomaly: train again with it.",
    "Windows of one machine resemble each other, so intervals over windows are narrower than they should be.",
)


@dataclass(frozen=True, slots=True)
class Source:
    """What was learned from: a sentence, its licence, and the SHA-256 of each file by name."""

    description: str
    licence: str
    files: Mapping[str, str]


def digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """The SHA-256 of each."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def model_card(trained: Trained, source: Source, date: str, report: Report | None) -> dict[str, object]:
    """For JSON; `date` is ISO 8601, `report` None where there was nothing to measure on."""
    layout = trained.layout
    return {
        "model": "telemetry-anomaly",
        "date": date,
        "data": {**asdict(source), "files": dict(source.files)},
        "seed": trained.seed,
        "fitted_on": {"windows": trained.fitted[0], "assets": trained.fitted[1]},
        "calibrated_on": {"windows": trained.calibrated[0], "assets": trained.calibrated[1]},
        "sensors": list(layout.sensors),
        "features": list(layout.features),
        "features_digest": layout.digest,
        "window_ms": layout.window_ms,
        "hop_ms": layout.hop_ms,
        "members": list(MEMBERS),
        "outputs": list(OUTPUTS),
        "recipe": asdict(trained.recipe),
        "threshold": trained.ensemble.threshold,
        "versions": {name: version(name) for name in LIBRARIES},
        "artifact": {"bytes": len(trained.onnx), "sha256": hashlib.sha256(trained.onnx).hexdigest()},
        "metrics": report.as_dict() if report else None,
        "limits": list(LIMITS),
    }


def card_text(trained: Trained, source: Source, date: str, report: Report | None) -> str:
    """The same for people, in Markdown."""
    layout, digest = trained.layout, hashlib.sha256(trained.onnx).hexdigest()
    facts = [
        ("what it does", "says how unlike healthy windows of telemetry a window is"),
        ("date, seed", f"{date}, {trained.seed}"),
        ("artifact", f"{len(trained.onnx):,} bytes, SHA-256 `{digest}`"),
        ("data", source.description),
        ("licence of the data", source.licence),
        *((f"`{name}`", f"SHA-256 `{sha}`") for name, sha in source.files.items()),
        ("fitted on", f"{trained.fitted[0]:,} healthy windows of {trained.fitted[1]:,} assets"),
        ("calibrated on", f"{trained.calibrated[0]:,} of {trained.calibrated[1]:,} other assets"),
        ("input", f"`features` FP32 [N, {len(layout.names)}], columns digest `{layout.digest}`"),
        ("sensors", ", ".join(layout.sensors)),
        ("features of each", ", ".join(layout.features)),
        ("window, hop", f"{layout.window_ms / 1e3:g} s, {layout.hop_ms / 1e3:g} s"),
        ("members", ", ".join(MEMBERS)),
        ("`score`", "1 less the share of healthy windows that are as strange"),
        ("`confidence`", "distance from the threshold, agreement of the members, share of known values"),
        ("`contribution`", "each sensor's largest surprise, in nats"),
        ("threshold", f"{trained.ensemble.threshold:g}"),
    ]
    lines = [
        "# telemetry-anomaly",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {what} |" for name, what in facts),
    ]
    if report is not None:
        lines += ["", "## Measured", "", *quality_lines(report.quality)]
        differ = f"{report.flipped} of {report.windows:,} decisions differ"
        lines += [
            "",
            f"float32 against float64: {differ}, scores by {report.largest_difference:.1e} at most.",
        ]
    return "\n".join([*lines, "", "## Limits", "", *(f"- {one}" for one in LIMITS), ""])


def quality_lines(quality: Quality) -> Sequence[str]:
    """A table of kinds of fault and a sentence about false alarms, in Markdown."""
    lines = [
        "| fault | found | of | share | 95 % interval | mean delay, s | missed counted, s | by chance |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind, one in quality.kinds.items():
        low, high = one.found.bounds
        delay = "never" if one.delay_s is None else f"{one.delay_s:.0f}"
        lines.append(
            f"| {kind} | {one.found.found} | {one.found.of} | {one.found.share:.2f} | {low:.2f} to {high:.2f} | {delay} | "
            f"{one.delay_missed_s:.0f} | {one.chance:.2f} |"
        )
    return [*lines, "", false_alarms(quality)]


def false_alarms(quality: Quality) -> str:
    """In a sentence."""
    windows, assets = quality.false_windows, quality.false_assets
    low, high = windows.bounds
    return (
        f"Of {windows.of:,} healthy windows {windows.share:.2%} are above the threshold {quality.threshold:g} (95 % interval "
        f"{low:.2%} to {high:.2%}): {quality.alerts_per_asset_day:.1f} false alerts per asset-day over "
        f"{quality.asset_days:.1f} asset-days, on {assets.share:.0%} of {assets.of} assets."
    )
