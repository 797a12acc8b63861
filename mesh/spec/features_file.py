"""`features.yaml`: the views of the feature store, and how long what is in them is kept."""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from mesh.signals.features import feature_names
from mesh.signals.sensors import Telemetry
from mesh.spec.fields import Name, NotNegative, Positive, Several, Strict, Text
from mesh.stores.views import KAFKA_TIME, RESERVED, FeatureStore, FeatureView, Tiers, digest_of

DAY_MS: Final = 86_400_000
TELEMETRY_COLUMNS: Final = "telemetry"


def _a_column(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"'{name}' is a column of every table; take another name")
    if set(name) & set(" ,;{}()\n\t="):
        raise ValueError(
            f"'{name}' holds a character that Delta tables do not take: one of blank , ; {{}} () ="
        )
    return name


Column = Annotated[Text, AfterValidator(_a_column)]
Digest = Annotated[str, Field(strict=True, pattern="^[0-9a-f]{16}$")]


class TiersEntry(Strict):
    """How a day of a view's history ages; days are counted from the day's end, UTC."""

    warm_after_days: NotNegative = 0.0
    """After so many days its files are joined."""
    cold_after_days: NotNegative = 7.0
    """After so many days it is thinned out to one row an entity and period."""
    cold_period_s: Positive = 60.0
    """The period of which the last row stays."""
    retention_days: Positive = 400.0
    """After so many days it goes."""
    kept_windows: str = ""
    """A CSV file, `entity,from,to`, of windows that stay whole in every tier; none where it is not given."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.warm_after_days <= self.cold_after_days <= self.retention_days:
            raise ValueError(
                "warm_after_days, cold_after_days and retention_days must not fall, got "
                f"{self.warm_after_days:g}, {self.cold_after_days:g} and {self.retention_days:g}"
            )
        return self

    def tiers(self) -> Tiers:
        """The same, for the rest of the mesh."""
        return Tiers(
            warm_after_ms=round(self.warm_after_days * DAY_MS),
            cold_after_ms=round(self.cold_after_days * DAY_MS),
            cold_period_ms=max(1, round(self.cold_period_s * 1_000)),
            retention_ms=round(self.retention_days * DAY_MS),
            kept_windows=self.kept_windows,
        )


class ViewEntry(Strict):
    """One view, under its name in `views:`."""

    entity: Text = "asset"
    """The key of a record's metadata that names the entity."""
    event_time: Text = "ts"
    """The key that says when it was so, in milliseconds since 1970."""
    created_time: Text = KAFKA_TIME
    """The key that says when it became known; `kafka` takes the record's own timestamp."""
    transform_key: Text = "names"
    """The key that holds the digest of the columns; records of another digest are refused."""
    transform: Digest | None = None
    """The digest, 16 hexadecimal digits; that of the columns' names where it is not given."""
    columns: Literal["telemetry"] | Several[Column] = TELEMETRY_COLUMNS
    """The names of the values, in their order; `telemetry` are those of telemetry.yaml, `sensor.feature`."""
    topic: Name = "features"
    """The stage in topics.yml whose topic the records are in, or a topic."""
    ttl_s: Positive = 3_600.0
    """A row that is older stands for nothing any more."""
    tiers: TiersEntry = TiersEntry()
    """How its history ages."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        twice = [name for name, count in Counter(self.columns).items() if count > 1]
        if not isinstance(self.columns, str) and twice:
            raise ValueError(f"columns names '{twice[0]}' twice")
        return self

    def view(self, name: str, telemetry: Telemetry, topics: Mapping[str, str]) -> FeatureView:
        """The same, for the rest of the mesh; a view that follows sensors has no columns where there are none."""
        columns = (
            feature_names([sensor.name for sensor in telemetry.sensors], telemetry.features)
            if isinstance(self.columns, str)
            else self.columns
        )
        return FeatureView(
            name=name,
            columns=columns,
            transform=self.transform or digest_of(columns),
            topic=topics.get(self.topic, self.topic),
            entity=self.entity,
            event_time=self.event_time,
            created_time=self.created_time,
            transform_key=self.transform_key,
            ttl_ms=max(1, round(self.ttl_s * 1_000)),
            tiers=self.tiers.tiers(),
        )


class FeaturesFile(Strict):
    """The whole file."""

    history: Text = "store/features"
    """The folder of the Delta tables, or an `s3://` address."""
    views: dict[Name, ViewEntry] = Field(default_factory=lambda: {"telemetry": ViewEntry()})
    """The views; `telemetry` where none is given."""

    def store(self, telemetry: Telemetry, topics: Mapping[str, str]) -> FeatureStore:
        """The same, for the rest of the mesh."""
        views = {name: entry.view(name, telemetry, topics) for name, entry in self.views.items()}
        return FeatureStore(self.history, views)
