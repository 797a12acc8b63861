"""Items and figures as lines of text."""

from collections.abc import Iterator, Mapping
from typing import Any

Document = Mapping[str, Any]


def item_line(item: Document) -> str:
    """Id, urgency, state, why it is there, severity, machine, when it is due, who holds it, summary."""
    held = f"  held by {item['held_by']}" if item["held_by"] else ""
    kind = f"{item['source']}/{item['severity'] or 'hidden'}"
    summary = f"  {item['summary']}" if item["summary"] else ""
    state = "" if item["state"] == "open" else f"  {item['state']}"
    return f"{item['id']}  {item['urgency']:9.3g}  {kind:14} {item['asset']}  due {item['due']}{state}{held}{summary}"


def one_lines(case: Document) -> Iterator[str]:
    """An item and what is needed to decide."""
    yield item_line(case["item"])
    if case["blind"]:
        yield "  what the mesh said is hidden: decide with 'judge --label anomaly' or 'judge --label normal'"
    for line in case["explain"]:
        yield f"  {line}"
    for one in case["moved"]:
        yield f"  {one['name']}: {one['value']:.6g}, usually {one['usual']:.6g} ({one['deviations']:+.1f} deviations)"
    for one in case["similar"]:
        yield f"  like {one['item']} of {one['asset']}: {one['label'] or 'no label'} (distance {one['distance']:.3g})"
    if case["incident_items"] > 1:
        yield f"  {case['incident_items']} items in incident {case['item']['incident']}"
    for one in case["decisions"]:
        yield f"  {one['at']}  {one['actor']} ({one['role']}): {one['action']} {one['after'] or ''} {one['note']}".rstrip()
    for line in case["missing"]:
        yield f"  missing: {line}"


def figure_lines(figures: Document) -> Iterator[str]:
    """The figures, a line each; a figure that nothing stands behind is a dash."""
    rates, agreement = figures["rates"], figures["agreement"]
    yield f"random audit: {rates['judged']} judged of {rates['drawn']} drawn"
    for name, said in (
        ("tpr", "true positive rate"),
        ("fpr", "false positive rate"),
        ("precision", "precision"),
    ):
        yield f"  {said}: {_share(rates[name])}"
    alpha, ac1 = _number(agreement["alpha"]), _number(agreement["ac1"])
    yield f"agreement: {agreement['units']} items judged twice, alpha {alpha}, AC1 {ac1}"
    yield f"override rate: {_share(figures['overrides'])}"
    for kind in ("overrides_by_model", "overrides_by_person"):
        for name, share in figures[kind].items():
            yield f"  {name}: {_share(share)}"
    for name, said in (("detection", "to detect"), ("repair", "to repair"), ("turnaround", "until decided")):
        one = figures[name]
        yield f"mean time {said}: {_number(one['mean'], ' s')} (of {one['count']}, {one['missed']} missed)"
    budget = figures["budget"]
    yield (
        f"alert budget: {budget['exceeded']} of {budget['windows']} windows past {budget['allowance']}, at most {budget['most']}"
    )
    yield f"waiting: {figures['waiting']}, of which overdue: {figures['overdue']}"


def _share(share: Document) -> str:
    if share["value"] is None:
        return "-"
    return f"{share['value']:.4f} ({share['low']:.4f} to {share['high']:.4f}, {share['rows']} rows)"


def _number(value: float | None, unit: str = "") -> str:
    return "-" if value is None else f"{value:.3f}{unit}"
