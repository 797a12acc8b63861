"""`telemetry.yaml`: what the sensors are, the grid they are put on and what becomes of odd readings."""

from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from mesh.routing.problems import nearest
from mesh.signals.features import FEATURES
from mesh.signals.sensors import Denoiser, Grid, OddValue, RecordRules, SamplingRules, Sensor, Telemetry
from mesh.spec.fields import Count, Flag, Name, NotNegative, Number, Positive, Several, Strict, Text

DAY_MS: Final = 86_400_000


def _a_feature(name: str) -> str:
    if name not in FEATURES:
        raise ValueError(f"'{name}' is not a feature{nearest(name, FEATURES)}")
    return name


Feature = Annotated[Text, AfterValidator(_a_feature)]


class KalmanEntry(Strict):
    """The noise of one sensor, for its Kalman filter."""

    noise: Positive
    """Standard deviation of a reading, in the sensor's unit."""
    acceleration: Positive
    """Standard deviation of what changes its velocity, in the unit per second squared."""


class SensorEntry(Strict):
    """One sensor, under its name in `sensors:`."""

    unit: str = ""
    """Its unit; readings in another one that measures the same are converted."""
    low: Number | None = None
    """The lowest value that it can say."""
    high: Number | None = None
    """The highest value that it can say."""
    period_ms: Count | None = None
    """The usual time between two readings; the grid's period where it is not given."""
    tolerance_ms: Count | None = None
    """How long a reading stands; two and a half periods where it is not given, with `sampling` a heartbeat and one and a half."""
    group: str = ""
    """Sensors of a group are compared with each other."""
    denoise: tuple[Denoiser, ...] = ()
    """The filters that its values go through, in this order."""
    kalman: KalmanEntry | None = None
    """The Kalman filter's noise; a 500th and a 1,000th of the range from low to high where it is not given."""
    delta: NotNegative | None = None
    """How far a value must be from the last one sent to be sent, in the unit; `sampling.noises` where it is not given."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low must be below high, got {self.low:g} and {self.high:g}")
        if len(set(self.denoise)) != len(self.denoise):
            raise ValueError("denoise names a filter twice")
        if "kalman" in self.denoise and self.kalman is None and (self.low is None or self.high is None):
            raise ValueError("the kalman filter needs its noise: give kalman, or low and high")
        return self

    def sensor(self, name: str, grid: Grid, sampling: "SamplingEntry") -> Sensor:
        """The same, for the rest of the mesh."""
        period = self.period_ms or grid.period_ms
        low, high = (
            (-float("inf") if self.low is None else self.low),
            (float("inf") if self.high is None else self.high),
        )
        noise, acceleration, delta = 1.0, 1.0, 0.0
        if self.kalman is not None:
            noise, acceleration = self.kalman.noise, self.kalman.acceleration
            delta = sampling.noises * noise
        elif self.low is not None and self.high is not None:
            noise, acceleration = (high - low) / 500, (high - low) / 1_000
            delta = sampling.noises * noise
        return Sensor(
            name=name,
            unit=self.unit,
            low=low,
            high=high,
            period_ms=period,
            tolerance_ms=self.tolerance_ms or sampling.tolerance_ms(period),
            group=self.group,
            denoise=self.denoise,
            noise=noise,
            acceleration=acceleration,
            delta=delta if self.delta is None else self.delta,
        )


class GridEntry(Strict):
    """The common clock of an asset's sensors, and the windows cut from it."""

    period_ms: Count = 1_000
    """The time between two steps."""
    lateness_ms: Annotated[int, Field(strict=True, ge=0)] = 1_000
    """How long a step waits for readings that come out of order, by the asset's own clock."""
    restart_after: Count = 20
    """So many late records in a row mean that the asset's clock was set back."""
    window: Annotated[int, Field(strict=True, ge=8, le=4096)] = 64
    """The steps of a window."""
    hop: Count = 8
    """The steps from one window to the next."""

    def grid(self) -> Grid:
        """The same, for the rest of the mesh."""
        return Grid(**dict(self))


class RecordsEntry(Strict):
    """Each kind of odd reading or record, and what becomes of it."""

    unknown_sensor: OddValue = "flag"
    """A sensor that is not declared: `flag` counts it and takes the others, `dead_letter` refuses the record."""
    out_of_range: OddValue = "flag"
    """A value outside low and high: `flag` takes it for missing and counts it."""
    not_a_number: OddValue = "flag"
    """A value that is text, true, false or a list: `flag` takes it for missing and counts it. Null is a missing value."""
    wrong_unit: OddValue = "dead_letter"
    """A unit that cannot be converted to the declared one."""
    max_ahead_ms: Annotated[int, Field(strict=True, ge=0)] = 60_000
    """A record whose time is further ahead of Kafka's own than this is refused; it would make all others late."""
    max_age_days: Positive = 36_500.0
    """A record older than this, by Kafka's own time, is refused."""

    def rules(self) -> RecordRules:
        """The same, for the rest of the mesh."""
        return RecordRules(
            unknown_sensor=self.unknown_sensor,
            out_of_range=self.out_of_range,
            not_a_number=self.not_a_number,
            wrong_unit=self.wrong_unit,
            max_ahead_ms=self.max_ahead_ms,
            max_age_ms=int(self.max_age_days * DAY_MS),
        )


class AssetsEntry(Strict):
    """Which machines there are, and how many of them are remembered."""

    known: tuple[Name, ...] = ()
    """The only ones there are; any where it is empty."""
    max: Count = 10_000
    """The most that one replica remembers; past it the one that was silent for longest is forgotten."""
    criticality: dict[Name, NotNegative] = Field(default_factory=dict)
    """How much a failure of it matters, 1 where it is not given."""


class SamplingEntry(Strict):
    """How senders spare readings that say nothing new."""

    enabled: Flag = False
    """Whether they do; the chain then holds each sensor's last value for a heartbeat."""
    noises: NotNegative = 5.0
    """A value is sent that is so many standard deviations of its sensor's noise from the last one sent."""
    heartbeat_ms: Count = 10_000
    """The longest silence of a sensor; `tolerance_ms` bounds it too."""
    hold_ms: Annotated[int, Field(strict=True, ge=0)] = 60_000
    """After an alert or drift of an asset has ended, it sends everything for so long."""

    def tolerance_ms(self, period_ms: int) -> int:
        """How long a reading stands where the sensor does not say; a beat may be half a period late."""
        usual = period_ms * 5 // 2
        return max(usual, self.heartbeat_ms + period_ms * 3 // 2) if self.enabled else usual

    def rules(self) -> SamplingRules:
        """The same, for the rest of the mesh."""
        return SamplingRules(self.enabled, self.heartbeat_ms, self.hold_ms)


class TelemetryFile(Strict):
    """The whole file."""

    sensors: dict[Name, SensorEntry] = Field(default_factory=dict)
    """The sensors, in the order of their columns."""
    grid: GridEntry = GridEntry()
    """Their common clock, and the windows."""
    features: Several[Feature] = FEATURES
    """What is computed of every sensor's window; all there is where it is not given."""
    records: RecordsEntry = RecordsEntry()
    """What becomes of odd readings."""
    assets: AssetsEntry = AssetsEntry()
    """The machines."""
    sampling: SamplingEntry = SamplingEntry()
    """Which readings senders may spare."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(set(self.features)) != len(self.features):
            raise ValueError("features names one twice")
        return self

    def telemetry(self) -> Telemetry:
        """The same, for the rest of the mesh."""
        grid = self.grid.grid()
        return Telemetry(
            sensors=tuple(entry.sensor(name, grid, self.sampling) for name, entry in self.sensors.items()),
            grid=grid,
            features=self.features,
            rules=self.records.rules(),
            known_assets=frozenset(self.assets.known),
            max_assets=self.assets.max,
            criticality=dict(self.assets.criticality),
            sampling=self.sampling.rules(),
        )
