"""The truth of a simulated run, as scoring takes it."""

from typing import Final

from ingest.evaluation.scoring import Fault
from mesh.simulation.run import Run
from mesh.simulation.transport import TRANSPORT_FAULTS

_HARMLESS: Final = frozenset(TRANSPORT_FAULTS) - {"missing_sensor", "unit_change"}


def faults_of(run: Run) -> tuple[Fault, ...]:
    """What goes wrong in the run, in the order of its beginning.

    Faults of transport change no value, but for a sensor that is missing; neither does another unit where the records say it.
    """
    names = [sensor.name for sensor in run.sensors]
    ends_ms = round(run.duration_s * 1e3)
    found = [
        Fault(
            asset=run.assets[fault.asset],
            kind=fault.kind,
            from_ms=run.start_ms + fault.begins_ms,
            to_ms=run.start_ms + min(fault.ends_ms, ends_ms),
            sensors=tuple(names[at] for at in fault.sensors),
            harmless=fault.kind in _HARMLESS or (fault.kind == "unit_change" and fault.unit > 0),
        )
        for fault in run.faults
    ]
    return tuple(sorted(found, key=lambda fault: fault.from_ms))
