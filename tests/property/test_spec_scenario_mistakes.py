"""Whatever a scenario file says, it is taken or refused with a line that is in the file; what is taken can be run."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.errors import InvalidConfig
from mesh.simulation.run import Run
from mesh.simulation.scenario import Scenario
from mesh.spec import load_telemetry
from mesh.spec.scenarios import read_scenario

CONFIG = Path(__file__).resolve().parents[2] / "config"
TELEMETRY = load_telemetry(CONFIG)
SHIPPED = {path.stem: path.read_text() for path in sorted((CONFIG / "scenarios").iterdir())}


def taken(text: str) -> Scenario | None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mine.yaml"
        path.write_text(text, encoding="utf-8", newline="")
        try:
            return read_scenario(path, TELEMETRY)
        except InvalidConfig as error:
            refused = error
    assert refused.reason
    assert 0 <= refused.line <= len(text.splitlines()) + 1
    return None


@given(st.sampled_from(sorted(SHIPPED)), st.data())
@settings(max_examples=250, deadline=None)
def test_a_shipped_file_with_one_line_changed(name: str, data: st.DataObject) -> None:
    lines = SHIPPED[name].splitlines()
    at = data.draw(st.integers(0, len(lines) - 1))
    cut = data.draw(st.integers(0, len(lines[at])))
    new = st.sampled_from(
        ["", "x", ": 1", "[", "{", "- ", "'", "0", "0}", "-1e300}", ".inf}", "1e-300}", "1e9}"]
    )
    lines[at] = lines[at][:cut] + data.draw(new)
    scenario = taken("\n".join(lines) + "\n")
    if scenario is not None and scenario.source is None:
        run = Run(scenario, ("a", "b"), TELEMETRY.sensors, 0.5, 7, 0, min(20.0, scenario.duration_s))
        assert all(truth.from_ms < run.duration_s * 1e3 for truth in run.truths)
        sent = [record.seconds for record in run.records()]
        assert sent == sorted(sent)
