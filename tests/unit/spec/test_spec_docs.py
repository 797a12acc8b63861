"""docs/configuration.md explains every key and variable that there is."""

from pathlib import Path

import pytest

from mesh.settings import Settings
from mesh.spec.fields import Strict
from mesh.spec.model_file import ModelEntry
from mesh.spec.model_parts import ScalingEntry
from mesh.spec.options import OPTIONS_OF
from mesh.spec.schema import FILES

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs/configuration.md").read_text()


def keys_of(model: type[Strict]) -> set[str]:
    schema = model.model_json_schema()
    return {
        key for owner in (schema, *schema.get("$defs", {}).values()) for key in owner.get("properties", {})
    }


@pytest.mark.parametrize(
    "model", [*FILES.values(), *filter(None, OPTIONS_OF.values())], ids=lambda model: model.__name__
)
def test_every_key_is_explained(model: type[Strict]) -> None:
    told = {
        "model",
        "percent",
        "column",
        "above",
        "below",
        "topic",
    }  # inside a {…} of the key that holds them
    for key in keys_of(model) - told:
        assert f"`{key}`" in TEXT, key


def test_every_variable_is_explained() -> None:
    variables = Settings.from_environ.__code__.co_consts
    for name in (value for value in variables if isinstance(value, str) and value.isupper() and "_" in value):
        assert f"| `{name}` |" in TEXT, name


@pytest.mark.parametrize("model", [ModelEntry, ScalingEntry])
def test_defaults_in_the_tables_are_the_real_ones(model: type[Strict]) -> None:
    for key, field in model.model_fields.items():
        if isinstance(field.default, int | float) and not isinstance(field.default, bool):
            assert f"| `{key}` | `{field.default:g}` |" in TEXT, key
