"""The published JSON Schemas say what the spec says."""

from pathlib import Path

import jsonschema
import pytest
import yaml

from mesh.spec.documented import schema_of
from mesh.spec.schema import FILES, FOLDER, schema_text

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", FILES)
def test_published_schemas_are_up_to_date(name: str) -> None:
    stale = f"run python -m mesh.spec.schema: docs/schema/{name} is not what the spec says"
    assert (FOLDER / name).read_text() == schema_text(FILES[name]), stale


@pytest.mark.parametrize(
    ("file", "schema"),
    [
        ("config/models.yaml", "models.json"),
        ("config/routing.yaml", "routing.json"),
        ("config/topics.yml", "topics.json"),
        ("config/alerts.yaml", "alerts.json"),
        ("config/telemetry.yaml", "telemetry.json"),
        ("config/learning.yaml", "learning.json"),
        ("config/review.yaml", "review.json"),
        ("benchmarks/config/models.yaml", "models.json"),
        ("benchmarks/config/routing.yaml", "routing.json"),
    ],
)
def test_shipped_files_fit_their_schemas(file: str, schema: str) -> None:
    document = yaml.safe_load((ROOT / file).read_text())
    jsonschema.validate(document, yaml.safe_load((FOLDER / schema).read_text()))


def test_schemas_refuse_an_unknown_key() -> None:
    schema = yaml.safe_load((FOLDER / "routing.json").read_text())
    with pytest.raises(jsonschema.ValidationError, match="sahdow"):
        jsonschema.validate({"routes": [{"name": "a", "when": "always", "sahdow": ["b"]}]}, schema)


def test_every_key_is_described() -> None:
    for model in FILES.values():
        schema = schema_of(model)
        for owner in (schema, *schema.get("$defs", {}).values()):
            for key, content in owner.get("properties", {}).items():
                assert content.get("description"), f"{owner['title']}.{key}"
