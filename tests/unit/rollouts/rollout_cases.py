"""Plans and evidence for the tests of rollouts."""

from dataclasses import replace

from mesh.rollouts.plan import AlertRule, Metric, Plan, Step
from mesh.rollouts.tally import Tally

SHADOW = Step("shadow", min_pairs=100, max_ms=3_600_000)
CANARY = Step("canary", percent=10.0, min_rows=50, hold_ms=60_000, max_ms=3_600_000)
HALF = Step("canary", percent=50.0, min_rows=50, max_ms=3_600_000)
APPROVAL = Step("approval", roles=("analyst",), timeout_ms=600_000)
PROMOTE = Step("promote", keep_warm_ms=60_000)

ALERTS = Metric("alerts", "alert_disagreement", margin=0.05, direction="either", due="shadow")
APART = Metric("apart", "discordance", margin=0.1, due="shadow")
LATENCY = Metric("latency", "latency", margin=0.5)
FPR = Metric("fpr", "reviewed_fpr", margin=0.1)


def plan(*steps: Step, metrics: tuple[Metric, ...] = (ALERTS, APART), **changes: object) -> Plan:
    made = Plan(
        "try",
        "default",
        "old",
        "new",
        AlertRule(0.8),
        steps or (SHADOW, CANARY, PROMOTE),
        metrics,
        window_ms=1_000,
    )
    return replace(made, **changes)


ALIKE = Tally(both=50, neither=950, rows={"candidate": 500, "primary": 500})
FLIPPED = Tally(only_primary=50, only_candidate=950, rows={"candidate": 500, "primary": 500})
NOTHING = Tally()
