"""Where the chain writes while it is evaluated: nothing is kept but what is judged."""

from array import array
from collections.abc import Coroutine, Mapping, Sequence
from typing import Final

import numpy as np

from ingest.evaluation.scoring import Told
from ingest.record import Polled
from ingest.sink import DeadLetter
from ingest.stages.rows import Rows
from ingest.telemetry.judging import Alerting
from ingest.telemetry.outputs import Records
from mesh.errors import InvalidInput
from mesh.pipeline.plan import Level
from mesh.stores.alerts.documents import event_of_json

MAX_WINDOWS: Final = 5_000_000
"""What is kept of windows in a run: about 50 bytes each."""


class Counted:
    """A `Destination`, and `DeadLetters`, that counts `records`."""

    def __init__(self) -> None:
        self.records = 0

    async def write(self, records: Records) -> None:
        """See `Destination`."""
        self.records += len(records)

    async def send(self, letters: Sequence[DeadLetter]) -> None:
        """See `DeadLetters`."""
        self.records += len(letters)

    async def close(self) -> None:
        """See `DeadLetters`."""


class ToldAlerts:
    """A `Destination` for the topic of alerts: what people are told, repeats and updates left out, in `told` by id."""

    def __init__(self) -> None:
        self.told: dict[str, Told] = {}

    async def write(self, records: Records) -> None:
        """See `Destination`."""
        for _, value, _ in records:
            event = event_of_json(value or b"")
            if event.kind == "opened" or (event.kind == "cleared" and event.id in self.told):
                cleared = event.at if event.kind == "cleared" else None
                sensor = str(event.values.get("sensor") or "")
                before = self.told.get(event.id)
                self.told[event.id] = Told(
                    event.asset,
                    event.rule,
                    event.opened_at,
                    cleared,
                    sensor if before is None else before.sensor,
                )


class SeenRows:
    """An `Alerting` that lets another decide, and keeps the time and the numbers of the windows that it was given."""

    def __init__(self, alerting: Alerting, columns: Sequence[str]) -> None:
        """`columns` are kept for each window beside its time, where rows have them as numbers."""
        self._alerting, self.columns = alerting, tuple(columns)
        self._seen: dict[str, array[float]] = {}
        self._windows = 0

    def step(self, rows: Rows, polled: Polled, level: Level) -> Coroutine[None, None, None]:
        """See `Alerting`. Raises `InvalidInput` past `MAX_WINDOWS`."""
        self._windows += len(rows)
        if self._windows > MAX_WINDOWS:
            raise InvalidInput("--assets", f"more than {MAX_WINDOWS:,} windows in a run: play fewer assets")
        table = np.column_stack([rows.time, *(_numbers(rows, name) for name in self.columns)])
        for asset, numbers in zip(rows.assets, table.tolist(), strict=True):
            self._seen.setdefault(asset, array("d")).extend(numbers)
        return self._alerting.step(rows, polled, level)

    def dump(self, partition: int, assets: Sequence[str]) -> Mapping[str, bytes]:
        """See `Alerting`."""
        return self._alerting.dump(partition, assets)

    def begin(self, partition: int, states: Mapping[str, bytes]) -> None:
        """See `Alerting`."""
        self._alerting.begin(partition, states)

    def end(self, partition: int) -> None:
        """See `Alerting`."""
        self._alerting.end(partition)

    def times(self) -> dict[str, np.ndarray]:
        """The times of each asset's windows, int64 [n] milliseconds."""
        return {asset: self._table(asset)[:, 0].astype(np.int64) for asset in self._seen}

    def column(self, asset: str, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Times and values of a kept column of an asset, float64 [n] each; values are NaN where a row has none."""
        table = self._table(asset)
        return table[:, 0], table[:, 1 + self.columns.index(name)]

    def _table(self, asset: str) -> np.ndarray:
        """A copy, float64 [n, 1 + C]: times, then the columns."""
        return np.array(self._seen.get(asset, ())).reshape(-1, 1 + len(self.columns))


def _numbers(rows: Rows, name: str) -> np.ndarray:
    column = rows.columns.get(name)
    if column is None or column.dtype.kind not in "fiub":
        return np.full(len(rows), np.nan)
    return column.astype(np.float64)
