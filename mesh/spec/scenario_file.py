"""`scenarios/NAME.yaml`: what a simulation shows, how long it runs and what goes wrong."""

from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from mesh.simulation.kinds import KINDS, FaultKind
from mesh.simulation.scenario import Injection, RecordedFile, Scenario, SensorColumn
from mesh.spec.fields import Name, NotNegative, Number, Positive, Share, Strict, Text

MAX_DURATION_S: Final = 10_000_000.0
_OF_A_UNIT: Final = frozenset({"unit", "scale", "offset"})


class FaultEntry(Strict):
    """One fault of one or many machines."""

    kind: FaultKind
    """What goes wrong."""
    assets: tuple[Name, ...] = ()
    """The machines, by name; one that the seed chooses where neither this nor share is given."""
    share: Share | None = None
    """The share of the machines, which the seed chooses: at least one."""
    sensors: tuple[Name, ...] = ()
    """The sensors; all where it is not given."""
    begins_s: NotNegative
    """When it begins, in seconds of the scenario."""
    spread_s: NotNegative = 0.0
    """It begins up to so much later, on each machine by the seed."""
    lasts_s: Positive
    """How long it lasts."""
    size: Number | None = None
    """How large it is, in what the kind counts; what the kind is worth where it is not given."""
    part: Share = 1.0
    """The share of the records that are sent twice, or late."""
    unit: Text | None = None
    """The new unit, as the records say it; they say nothing where it is not given."""
    scale: Number = 1.8
    """The new value is so many times the old one, and offset more."""
    offset: Number = 32.0
    """What is added behind scale."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        kind, given = KINDS[self.kind], self.model_fields_set
        if self.assets and self.share is not None:
            raise ValueError("assets and share are both given; give one of them")
        if kind.whole and self.sensors:
            raise ValueError(f"{self.kind} touches whole records: leave sensors out")
        if "part" in given and not kind.part:
            raise ValueError(f"{self.kind} touches all records in its time: leave part out")
        if given & _OF_A_UNIT and self.kind != "unit_change":
            raise ValueError(
                f"{', '.join(sorted(given & _OF_A_UNIT))}: belongs to unit_change, not to {self.kind}"
            )
        if self.size is not None and kind.size is None:
            raise ValueError(f"{self.kind} has no size: leave it out")
        if self.size is not None and not kind.low <= self.size <= kind.high:
            raise ValueError(f"size of {self.kind} must be {kind.low:g} to {kind.high:g}, got {self.size:g}")
        return self

    def injection(self) -> Injection:
        """The same, for the rest of the mesh."""
        size = KINDS[self.kind].size if self.size is None else self.size
        return Injection(**{**dict(self), "size": 0.0 if size is None else size})


class ColumnEntry(Strict):
    """The column of one sensor."""

    column: Text
    """Its name in the file's first line."""
    unit: Text | None = None
    """Its unit, as the records say it; they say nothing where it is not given."""


class ColumnsEntry(Strict):
    """Which column of the source is what."""

    asset: Text | None = None
    """The machine's name; all rows are one machine's where it is not given."""
    time: Text | None = None
    """ISO 8601, or seconds; rows are evenly apart where it is not given."""
    sensors: dict[Name, ColumnEntry] = Field(default_factory=dict)
    """The columns of sensors; those that have a sensor's name where it is not given."""


class ScenarioFile(Strict):
    """The whole file."""

    description: Text
    """What it shows, in a sentence or two."""
    duration_s: Annotated[float, Field(strict=True, gt=0, le=MAX_DURATION_S)]
    """How long it runs, in seconds."""
    faults: tuple[FaultEntry, ...] = ()
    """What goes wrong."""
    source: Text | None = None
    """A CSV file, plain or gzip, that is played back instead of simulated machines."""
    columns: ColumnsEntry = ColumnsEntry()
    """Its columns."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.source is None and "columns" in self.model_fields_set:
            raise ValueError("columns: belongs to source, and there is none")
        return self

    def scenario(self, name: str) -> Scenario:
        """The same, for the rest of the mesh."""
        return Scenario(
            name=name,
            description=" ".join(self.description.split()),
            duration_s=self.duration_s,
            injections=tuple(fault.injection() for fault in self.faults),
            source=None if self.source is None else self._recorded(self.source),
        )

    def _recorded(self, path: str) -> RecordedFile:
        columns = self.columns
        sensors = {name: SensorColumn(entry.column, entry.unit) for name, entry in columns.sensors.items()}
        return RecordedFile(path, columns.asset, columns.time, sensors)
