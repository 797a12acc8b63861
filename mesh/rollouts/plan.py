"""What a rollout is to do, and by what it is judged: `config/rollouts/NAME.yaml` as values."""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Literal, get_args

StepKind = Literal["shadow", "canary", "approval", "promote"]
MetricKind = Literal[
    "alert_disagreement", "discordance", "latency", "error_rate", "reviewed_fpr", "override_rate", "threshold"
]
Direction = Literal["increase", "decrease", "either"]
Due = Literal["shadow", "canary", "promote"]
OnTimeout = Literal["pause", "rollback"]
Guard = Literal["gates", "drift", "degraded", "breaker", "alerts", "slo_burn"]

STEP_KINDS: Final[tuple[StepKind, ...]] = get_args(StepKind)
METRIC_KINDS: Final[tuple[MetricKind, ...]] = get_args(MetricKind)
GUARDS: Final[tuple[Guard, ...]] = get_args(Guard)


@dataclass(frozen=True, slots=True)
class Step:
    """One step; which fields count depends on `kind`. Times are milliseconds.

    `shadow` and `canary`: `percent` of the rows, at least `hold_ms` and until everything due is shown, at most `max_ms`; at
    least `min_pairs` windows compared (shadow) or `min_rows` rows answered by the candidate (canary). `approval`: somebody with
    one of `roles` within `timeout_ms`, else `on_timeout`. `promote`: all rows, `alias` moves, the old model stays loaded
    for `keep_warm_ms`.
    """

    kind: StepKind
    percent: float = 100.0
    hold_ms: int = 0
    max_ms: int = 86_400_000
    min_pairs: int = 0
    min_rows: int = 0
    roles: tuple[str, ...] = ()
    timeout_ms: int = 86_400_000
    on_timeout: OnTimeout = "pause"
    alias: str = "champion"
    keep_warm_ms: int = 3_600_000


@dataclass(frozen=True, slots=True)
class Metric:
    """One thing that the candidate is judged by.

    `margin` is how much worse it may be, in the metric's own unit: a share of windows (`alert_disagreement`,
    `discordance`), a ratio above 1 (`latency`: 0.1 is 10 %), a difference of proportions. `quantile` is for `latency` alone,
    `limit` and `ratio` for `threshold`: the most that the value may be, absolute or as so many times the primary's.
    `due` is the kind of step by whose end success must be shown. A metric that is not `critical` pauses where it fails, one of
    a `dry_run` decides nothing and spends nothing.
    """

    name: str
    kind: MetricKind
    margin: float = 0.0
    direction: Direction = "increase"
    quantile: float = 0.95
    limit: float | None = None
    ratio: float | None = None
    looks: int = 3
    min_samples: int = 0
    due: Due = "promote"
    critical: bool = True
    dry_run: bool = False
    weight: float = 1.0

    @property
    def tested(self) -> bool:
        """It has a share of the error rate."""
        return not self.dry_run and self.kind != "threshold"


@dataclass(frozen=True, slots=True)
class AlertRule:
    """When a row alerts: its model's score is at least `score_at_least`, or its label is one of `labels`."""

    score_at_least: float | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """One rollout: `candidate` is to take the place of `primary` in the rules of `endpoint`.

    `alpha` bounds the probability of a wrong rollback, and of a wrong promotion, over the whole rollout and all looks.
    Pairs count once for each unit (the sticky key) and window of `window_ms`. Rows for which `exclude` (an expression as in
    `when`) holds never reach the candidate's canary.
    """

    name: str
    endpoint: str
    primary: str
    candidate: str
    alert: AlertRule
    steps: tuple[Step, ...]
    metrics: tuple[Metric, ...]
    alpha: float = 0.05
    window_ms: int = 60_000
    exclude: str | None = None
    freeze_when: tuple[Guard, ...] = ()
    retries: int = 3
    model: str = ""
    digest: str = field(init=False, default="")

    def __post_init__(self) -> None:
        text = repr((
            self.name, self.endpoint, self.primary, self.candidate, self.alert, self.steps, self.metrics, self.alpha,
            self.window_ms, self.exclude, self.freeze_when, self.retries, self.model,
        ))  # fmt: skip
        object.__setattr__(self, "digest", sha256(text.encode()).hexdigest()[:12])

    def failure_alpha(self, metric: Metric) -> float:
        """The metric's share of `alpha` for saying that the candidate is worse.

        Any one metric can roll back, so the shares add up to `alpha` (Bonferroni).
        """
        total = sum(one.weight for one in self.metrics if one.tested)
        return self.alpha * metric.weight / total

    @property
    def success_alpha(self) -> float:
        """What each metric may err with when it says that the candidate is no worse.

        All must say so before a promotion, so none has to share (an intersection-union test; Berger, "Multiparameter
        hypothesis testing and acceptance sampling", Technometrics 24, 1982).
        """
        return self.alpha
