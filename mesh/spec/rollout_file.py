"""`rollouts/NAME.yaml`: how a candidate takes a model's place, and what it is judged by. `docs/rollouts.md` explains it."""

from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from mesh.rollouts.plan import (
    AlertRule,
    Direction,
    Due,
    Guard,
    Metric,
    MetricKind,
    OnTimeout,
    Plan,
    Step,
    StepKind,
)
from mesh.spec.durations import Duration, LongerThanZero
from mesh.spec.fields import Count, Flag, Name, NotNegative, Number, Percent, Positive, Several, Strict, Text

Whole = Annotated[int, Field(strict=True, ge=0)]
Alpha = Annotated[float, Field(strict=True, gt=0, le=0.5)]
Inside = Annotated[float, Field(strict=True, gt=0, lt=1)]

AT_CHAMPION: Final = "@champion"
AT_CHALLENGER: Final = "@challenger"
_PAIRED: Final = frozenset({"alert_disagreement", "discordance"})


class AlertEntry(Strict):
    """When a row alerts, of either model; one of both."""

    score_at_least: Number | None = None
    """Its score, as `models.yaml` declares it, is so much or more."""
    labels: tuple[Text, ...] = ()
    """Its label, as `models.yaml` declares it, is one of these."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.score_at_least is None) == (not self.labels):
            raise ValueError("give either score_at_least or labels")
        return self


class ShadowStep(Strict):
    """The candidate scores the same rows and is only compared."""

    percent: Percent = 100.0
    """The share of the rows, by sticky key."""
    min_pairs: Whole = 100
    """Windows that must have been compared."""
    hold: Duration = 0
    """The least time."""
    max: LongerThanZero = 86_400_000
    """The most; a person decides after it."""


class CanaryStep(Strict):
    """The candidate answers a share of the rows."""

    percent: Annotated[Percent, Field(gt=0)]
    """The share of the rows, by sticky key."""
    min_rows: Count = 100
    """Rows that it must have answered, over all canary steps."""
    hold: Duration = 0
    """The least time."""
    max: LongerThanZero = 86_400_000
    """The most; a person decides after it."""


class ApprovalStep(Strict):
    """A person must agree."""

    roles: Several[Name]
    """Whoever has one of these roles may."""
    timeout: LongerThanZero = 86_400_000
    """How long it waits."""
    on_timeout: OnTimeout = "pause"
    """What then: go on waiting, or roll back."""


class PromoteStep(Strict):
    """The candidate answers all rows."""

    alias: Name = "champion"
    """The alias of `model` that moves to it."""
    keep_warm: Duration = 3_600_000
    """How long the old model stays loaded, so that `abort` brings it back at once."""


class StepEntry(Strict):
    """One step: exactly one of the four."""

    shadow: ShadowStep | None = None
    """The candidate is only compared."""
    canary: CanaryStep | None = None
    """The candidate answers a share of the rows."""
    approval: ApprovalStep | None = None
    """A person must agree."""
    promote: PromoteStep | None = None
    """The candidate answers all rows."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1 or self.kind is None:
            raise ValueError("must be exactly one of shadow, canary, approval, promote")
        return self

    @property
    def kind(self) -> StepKind | None:
        """Which of the four it is."""
        kinds: tuple[StepKind, ...] = ("shadow", "canary", "approval", "promote")
        return next((kind for kind in kinds if getattr(self, kind) is not None), None)

    def step(self) -> Step:
        """The same, for the rest of the mesh."""
        if self.shadow is not None:
            one = self.shadow
            return Step("shadow", one.percent, one.hold, one.max, min_pairs=one.min_pairs)
        if self.canary is not None:
            two = self.canary
            return Step("canary", two.percent, two.hold, two.max, min_rows=two.min_rows)
        if self.approval is not None:
            three = self.approval
            return Step("approval", roles=three.roles, timeout_ms=three.timeout, on_timeout=three.on_timeout)
        four = self.promote or PromoteStep()
        return Step("promote", alias=four.alias, keep_warm_ms=four.keep_warm)


class MetricEntry(Strict):
    """One thing that the candidate is judged by."""

    name: Name
    """Names it in reasons and plots; unique in the file."""
    test: MetricKind
    """What is tested."""
    margin: NotNegative = 0.0
    """How much worse the candidate may be: a share of windows, a ratio (0.1 is 10 %), a difference of proportions."""
    direction: Direction = "increase"
    """`alert_disagreement`: more alerts, fewer, or either is worse."""
    quantile: Inside = 0.95
    """`latency`: the quantile that is compared."""
    limit: Number | None = None
    """`threshold`: the most that the value may be."""
    ratio: Positive | None = None
    """`threshold`: the most that it may be, as so many times the primary's."""
    looks: Count = 3
    """`threshold`: it fails after so many values in a row above it."""
    min_samples: Whole = 0
    """It does not succeed on fewer: windows, calls or reviews of the arm that has fewer."""
    due: Due = "promote"
    """The kind of step by whose end it must have succeeded."""
    critical: Flag = True
    """Failure rolls back; where false, it pauses for a person."""
    dry_run: Flag = False
    """Judge and show it; decide nothing by it."""
    weight: Positive = 1.0
    """Its share of alpha for failure, beside the weights of the others."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        given = self.model_fields_set
        for key, kinds in (
            ("direction", {"alert_disagreement"}),
            ("quantile", {"latency"}),
            ("limit", {"threshold"}),
            ("ratio", {"threshold"}),
            ("looks", {"threshold"}),
        ):
            if key in given and self.test not in kinds:
                raise ValueError(f"{key}: belongs to {', '.join(sorted(kinds))}, not to {self.test}")
        if self.test == "threshold" and (self.limit is None) == (self.ratio is None):
            raise ValueError("threshold takes either limit or ratio")
        if self.test == "threshold" and "margin" in given:
            raise ValueError("margin: belongs to tests, threshold has limit and ratio")
        if self.test == "latency" and self.margin <= 0:
            raise ValueError(
                "latency needs a margin above 0, such as 0.1: equal latencies cannot be told apart"
            )
        if self.test not in ("latency", "threshold") and not 0 < self.margin < 1:
            raise ValueError(f"{self.test} needs a margin between 0 and 1, such as 0.02")
        if self.due == "shadow" and self.test not in {*_PAIRED, "threshold"}:
            raise ValueError(
                f"due: {self.test} has data of the canary's steps alone; write canary or promote"
            )
        return self

    def metric(self) -> Metric:
        """The same, for the rest of the mesh."""
        kept = dict(self)
        return Metric(name=kept.pop("name"), kind=kept.pop("test"), **kept)


class RolloutFile(Strict):
    """The whole file."""

    endpoint: Name = "default"
    """The endpoint whose rules change."""
    primary: Text
    """The model that answers now; `NAME@champion` is the one version of NAME that the endpoint's routes send rows to."""
    candidate: Text
    """The model that is to take its place, hosted beside the primary: by `models.yaml`, or where `model` is given by the start
    of the rollout, from the registry. `NAME@challenger` is the version that is challenger then."""
    model: Name | None = None
    """The name in the registry whose alias the promote step moves; no alias moves where it is not given."""
    alert: AlertEntry
    """When a row alerts."""
    window: LongerThanZero = 60_000
    """Rows of one key in one window count once; it should outlast what makes rows of one asset alike."""
    alpha: Alpha = 0.05
    """The probability of a wrong rollback, and of a wrong promotion, over the whole rollout."""
    steps: Several[StepEntry]
    """In order; the last one promotes."""
    metrics: Several[MetricEntry]
    """What decides."""
    exclude: Text | None = None
    """Rows that never go to the canary, an expression as in `when`."""
    freeze_when: tuple[Guard, ...] = ()
    """The guards that keep it from beginning and from going on: drift, degraded, breaker, alerts, slo_burn, gates. With `model`
    gates is always one of them."""
    retries: Count = 3
    """Tries to change the rules before a person is asked."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        names = [metric.name for metric in self.metrics]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"metrics names '{twice[0]}' twice; rename one")
        if all(metric.dry_run or not metric.critical for metric in self.metrics):
            raise ValueError("no metric of metrics can stop it: one at least must be critical and no dry_run")
        kinds = [step.kind for step in self.steps]
        if kinds[-1] != "promote" or kinds.count("promote") != 1:
            raise ValueError("steps must end with promote, and have it once")
        if kinds[0] not in ("shadow", "canary"):
            raise ValueError("steps must begin with shadow or canary: nothing was seen before")
        if self.primary == self.candidate:
            raise ValueError("primary and candidate are the same model")
        if self.candidate.endswith(AT_CHALLENGER) and self.candidate != f"{self.model}{AT_CHALLENGER}":
            raise ValueError(
                f"candidate: '{self.candidate}' is a name of the registry: give `model`, and the same name"
            )
        if "gates" in self.freeze_when and self.model is None:
            raise ValueError("freeze_when: gates are of a version in the registry: give `model`")
        shares = [step.canary.percent for step in self.steps if step.canary is not None]
        if shares != sorted(shares):
            raise ValueError("the percents of canary must not fall from step to step")
        return self

    def plan(self, name: str) -> Plan:
        """The same, for the rest of the mesh."""
        return Plan(
            name=name,
            endpoint=self.endpoint,
            primary=self.primary,
            candidate=self.candidate,
            alert=AlertRule(self.alert.score_at_least, self.alert.labels),
            steps=tuple(step.step() for step in self.steps),
            metrics=tuple(metric.metric() for metric in self.metrics),
            alpha=self.alpha,
            window_ms=self.window,
            exclude=self.exclude,
            freeze_when=self._guards(),
            retries=self.retries,
            model=self.model or "",
        )

    def _guards(self) -> tuple[Guard, ...]:
        """A version of the registry gets no traffic before its gates have passed, whatever the file says."""
        implied: tuple[Guard, ...] = ("gates",) if self.model is not None else ()
        return tuple(dict.fromkeys((*implied, *self.freeze_when)))
