"""The chain as a picture: the text and the Mermaid flowchart of a plan, to the letter."""

import re
from dataclasses import replace

from mesh.pipeline.draw import as_mermaid, as_text
from mesh.pipeline.plan import DEFAULT_STAGES, Level, PipelinePlan, StagePlan, in_order

TOPICS = {"raw": "hyperstream.raw", "features": "hyperstream.features", "alerts": "hyperstream.alerts"}
SCORE = StagePlan(
    "score",
    "score",
    ("features",),
    0.2,
    Level.LIGHT,
    required=False,
    endpoints={Level.LIGHT: "rules", Level.FULL: "anomaly"},
)
PLAN = PipelinePlan(
    in_order([*DEFAULT_STAGES[:-1], SCORE, replace(DEFAULT_STAGES[-1], after=("detect", "score"))]),
    late_topic="hyperstream.late",
)

TEXT = """\
hyperstream.raw, group hyperstream-telemetry: up to 2,000 records a batch, 4 at a time, deadline 2,000 ms
  decode       decode        records → readings  by    200 ms  always    required
  synchronise  synchronise  readings → steps     by    400 ms  always    required  after decode
  denoise      denoise         steps → steps     by    600 ms  always    required  after synchronise
  features     features        steps → rows      by    800 ms  always    required  after denoise
  detect       detect           rows → rows      by  1,000 ms  up to L2  required  after features
  score        score            rows → rows      by  1,200 ms  up to L1  optional  after features  asks L0 anomaly, L1 rules
  alert        alert            rows → alerts    by  1,400 ms  up to L2  required  after detect, score
features to hyperstream.features, alerts to hyperstream.alerts
late records to hyperstream.late
"""

MERMAID = """\
flowchart LR
    raw[("hyperstream.raw")]
    decode[decode]
    raw --> decode
    synchronise[synchronise]
    decode --> synchronise
    denoise[denoise]
    synchronise --> denoise
    features[features]
    denoise --> features
    features_topic[("hyperstream.features")]
    features --> features_topic
    detect[detect]
    features --> detect
    score([score])
    features --> score
    alert[alert]
    detect --> alert
    score --> alert
    alerts_topic[("hyperstream.alerts")]
    alert --> alerts_topic
"""

NODE = re.compile(r"    ([\w.-]+)(?:\[\(\"[\w.-]+\"\)\]|\[[\w.-]+\]|\(\[[\w.-]+\]\))")
EDGE = re.compile(r"    ([\w.-]+) --> ([\w.-]+)")


def test_a_line_a_stage():
    assert as_text(PLAN, TOPICS) == TEXT


def test_late_records_that_go_nowhere_are_not_drawn():
    assert "late" not in as_text(replace(PLAN, late_topic=None), TOPICS)


def test_the_flowchart():
    assert as_mermaid(PLAN, TOPICS) == MERMAID


def test_every_line_of_the_flowchart_is_a_node_or_joins_two_of_them():
    head, *lines = as_mermaid(PLAN, TOPICS).splitlines()
    nodes = [found[1] for line in lines if (found := NODE.fullmatch(line))]
    edges = [found.groups() for line in lines if (found := EDGE.fullmatch(line))]
    assert head == "flowchart LR"
    assert len(nodes) + len(edges) == len(lines)
    assert len(set(nodes)) == len(nodes)
    assert {name for edge in edges for name in edge} == set(nodes)
