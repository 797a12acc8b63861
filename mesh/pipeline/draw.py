"""The chain as a picture: lines for a terminal, Mermaid for a document."""

from collections.abc import Iterator

from mesh.pipeline.plan import KINDS, Level, PipelinePlan, StagePlan


def as_mermaid(plan: PipelinePlan, topics: dict[str, str]) -> str:
    """A Mermaid flowchart. `topics` holds the names of `raw`, `features` and `alerts`."""
    lines = ["flowchart LR", f'    raw[("{topics["raw"]}")]']
    for stage in plan.stages:
        shape = f"[{stage.name}]" if stage.required else f"([{stage.name}])"
        lines.append(f"    {stage.name}{shape}")
        lines += [f"    {before} --> {stage.name}" for before in stage.after or ("raw",)]
        sink = {"features": "features", "alert": "alerts"}.get(stage.kind)
        if sink:
            lines += [f'    {sink}_topic[("{topics[sink]}")]', f"    {stage.name} --> {sink}_topic"]
    return "\n".join(lines) + "\n"


def as_text(plan: PipelinePlan, topics: dict[str, str]) -> str:
    """One line a stage: what it takes and gives, until when, up to which level, whom it asks."""
    width = max(len(stage.name) for stage in plan.stages)
    limits = f"up to {plan.batch_records:,} records a batch, {plan.in_flight} at a time, deadline {plan.deadline_ms:,} ms"
    lines = [f"{topics['raw']}, group {plan.group}: {limits}"]
    lines += [f"  {stage.name:<{width}}  {'  '.join(_words(plan, stage))}" for stage in plan.stages]
    lines.append(f"features to {topics['features']}, alerts to {topics['alerts']}")
    if plan.late_topic:
        lines.append(f"late records to {plan.late_topic}")
    return "\n".join(lines) + "\n"


def _words(plan: PipelinePlan, stage: StagePlan) -> Iterator[str]:
    takes, gives = KINDS[stage.kind]
    yield f"{stage.kind:<11}"
    yield f"{takes:>8} → {gives:<8}"
    yield f"by {plan.share_until(stage.name) * plan.deadline_ms:>6,.0f} ms"
    yield f"up to {stage.upto.label}" if stage.upto < Level.STORE else "always  "
    yield "required" if stage.required else "optional"
    if stage.after:
        yield f"after {', '.join(stage.after)}"
    if stage.endpoints:
        yield "asks " + ", ".join(f"{level.label} {name}" for level, name in sorted(stage.endpoints.items()))
