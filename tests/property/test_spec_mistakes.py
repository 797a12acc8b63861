"""Whatever a file says, `load_mesh` takes it or says `InvalidConfig` with a line that is in the file."""

import re
import tempfile
from pathlib import Path

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mesh.errors import InvalidConfig
from mesh.settings import Settings
from mesh.spec import load_mesh

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = {name: (ROOT / "config" / name).read_text() for name in ("models.yaml", "routing.yaml")}
FILES = st.sampled_from(sorted(SHIPPED))
BREAKS = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
"""What ends a line in YAML 1.1 (section 4.2); a lone carriage return is one of them."""

scalars = st.none() | st.booleans() | st.integers(-3, 200) | st.floats() | st.text(max_size=8) | st.dates()
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def refusal(folder: Path) -> InvalidConfig | None:
    try:
        load_mesh(folder, Settings())
    except InvalidConfig as error:
        return error
    return None


def accepted_or_refused(name: str, text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for file, shipped in SHIPPED.items():
            (Path(folder) / file).write_text(text if file == name else shipped, encoding="utf-8", newline="")
        error = refusal(Path(folder))
    if error is not None:
        assert error.reason
        # A mistake in models.yaml may show in routing.yaml, which then names a model that is no more.
        written = text if Path(error.file).name == name else SHIPPED["routing.yaml"]
        assert 0 <= error.line <= len(BREAKS.findall(written)) + 1


@given(FILES, st.text(max_size=60))
@example("models.yaml", "\r\x1f")
@settings(max_examples=150, deadline=None)
def test_any_text(name: str, text: str) -> None:
    accepted_or_refused(name, text.encode("utf-8", "replace").decode())


@given(FILES, st.data())
@settings(max_examples=250, deadline=None)
def test_the_shipped_file_with_one_line_gone_or_changed(name: str, data: st.DataObject) -> None:
    lines = SHIPPED[name].splitlines()
    at = data.draw(st.integers(0, len(lines) - 1))
    cut = data.draw(st.integers(0, len(lines[at])))
    lines[at] = lines[at][:cut] + data.draw(
        st.sampled_from(["", "x", ": 1", "[", "{", "- ", "'", "&a ", "*a", "0"])
    )
    accepted_or_refused(name, "\n".join(lines) + "\n")


@given(FILES, st.data())
@settings(max_examples=250, deadline=None)
def test_the_shipped_file_with_any_value_anywhere(name: str, data: st.DataObject) -> None:
    document = yaml.safe_load(SHIPPED[name])
    holder, key = document, next(iter(document))
    while isinstance(holder[key], dict | list) and holder[key] and data.draw(st.booleans()):
        holder = holder[key]
        key = data.draw(
            st.sampled_from(sorted(holder) if isinstance(holder, dict) else list(range(len(holder))))
        )
    holder[key] = data.draw(values)
    accepted_or_refused(name, yaml.safe_dump(document))
