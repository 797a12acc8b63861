"""From the YAML files of scenarios to `Scenario` objects, checked against the sensors that there are."""

from collections.abc import Collection
from pathlib import Path
from typing import Final

from mesh.errors import InvalidConfig, NotFound
from mesh.routing.problems import KeyPath, nearest
from mesh.settings import Settings
from mesh.signals.sensors import Telemetry
from mesh.simulation.scenario import Scenario
from mesh.spec.document import Document, read_document
from mesh.spec.problems import one_or_all, problem_at, validate
from mesh.spec.scenario_file import ScenarioFile

FOLDER: Final = "scenarios"
_SUFFIX: Final = ".yaml"


def scenarios_folder(config_dir: Path, settings: Settings) -> Path:
    """Where the scenarios are."""
    return config_dir / FOLDER if settings.scenarios is None else Path(settings.scenarios)


def load_scenarios(folder: Path, telemetry: Telemetry) -> dict[str, Scenario]:
    """Every file of the folder, by name; there may be none. `InvalidConfig` as `load_mesh` raises it."""
    for path in sorted(folder.glob("*.yml")):
        raise InvalidConfig(str(path), 0, "", f"is not read: name it {path.stem}{_SUFFIX}")
    return {path.stem: read_scenario(path, telemetry) for path in sorted(folder.glob(f"*{_SUFFIX}"))}


def load_scenario(folder: Path, wanted: str, telemetry: Telemetry) -> Scenario:
    """The scenario of the folder that `wanted` names, or the file that it is. `NotFound` says which there are."""
    path = Path(wanted)
    if path.suffix not in (_SUFFIX, ".yml"):
        path = folder / f"{wanted}{_SUFFIX}"
        if not path.is_file():
            known = [found.stem for found in folder.glob(f"*{_SUFFIX}")]
            raise NotFound(f"no scenario '{wanted}' in {folder}{nearest(wanted, known)}")
    return read_scenario(path, telemetry)


def read_scenario(path: Path, telemetry: Telemetry) -> Scenario:
    """One file; raises every mistake in it at once."""
    document = read_document(path)
    file = validate(ScenarioFile, document, document.data)
    problems = _unknown_sensors(document, file, [sensor.name for sensor in telemetry.sensors])
    if problems:
        raise one_or_all(problems)
    return file.scenario(path.stem)


def _unknown_sensors(document: Document, file: ScenarioFile, known: Collection[str]) -> list[InvalidConfig]:
    named: list[tuple[KeyPath, str]] = [
        (("faults", number, "sensors", place), sensor)
        for number, fault in enumerate(file.faults)
        for place, sensor in enumerate(fault.sensors)
    ]
    named += [(("columns", "sensors", sensor), sensor) for sensor in file.columns.sensors]
    return [
        problem_at(document, path, f"telemetry.yaml has no sensor '{sensor}'{nearest(sensor, known)}")
        for path, sensor in named
        if sensor not in known
    ]
