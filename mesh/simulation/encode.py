"""Raw records as JSON: `{"asset", "ts", "sensors": {name: value}, "unit"?: {name: unit}}`, `ts` in milliseconds since 1970."""

import json
from collections.abc import Sequence

import numpy as np

from mesh.simulation.records import Records


class RawEncoder:
    """Writes records of `assets` (names) over `sensors` (names) that began at `start_ms`.

    `decimals` int64 [S] is how many digits behind the point each sensor's values keep; `units` are the run's units. A record
    that says every sensor's number fills a prepared text; one that does not is put together key by key.
    """

    def __init__(
        self,
        assets: Sequence[str],
        sensors: Sequence[str],
        start_ms: int,
        decimals: np.ndarray,
        units: Sequence[str],
    ) -> None:
        self._assets, self._sensors, self._units = assets, sensors, units
        self._start_ms = start_ms
        self._scale = 10.0**decimals
        body = ",".join(f"{json.dumps(name)}:%r" for name in sensors)
        self._plain = [
            f'{{"asset":{json.dumps(name).replace("%", "%%")},"ts":%d,"sensors":{{{body}}}}}'
            for name in assets
        ]

    def encode(self, records: Records) -> list[bytes]:
        """One text a record, in their order."""
        values = np.rint(records.values * self._scale) / self._scale
        odd = records.absent | (records.units != 0) | np.isnan(values)
        asset, time = records.asset.tolist(), (records.said_ms + self._start_ms).tolist()
        texts = [
            self._plain[one] % (at, *numbers)
            for one, at, numbers in zip(asset, time, values.tolist(), strict=True)
        ]
        for row in np.flatnonzero(odd.any(axis=1)).tolist():
            texts[row] = self._by_key(
                asset[row], time[row], values[row], records.absent[row], records.units[row]
            )
        return [text.encode() for text in texts]

    def _by_key(
        self, asset: int, time: int, values: np.ndarray, absent: np.ndarray, units: np.ndarray
    ) -> str:
        named = [
            (name, None if np.isnan(value) else value, unit)
            for name, value, missing, unit in zip(
                self._sensors, values.tolist(), absent.tolist(), units.tolist(), strict=True
            )
            if not missing
        ]
        record: dict[str, object] = {
            "asset": self._assets[asset],
            "ts": time,
            "sensors": {name: value for name, value, _ in named},
        }
        said = {name: self._units[unit] for name, _, unit in named if unit}
        if said:
            record["unit"] = said
        return json.dumps(record, separators=(",", ":"))
