"""JSON Schemas in which each key says what it means: the text below its field in the source.

The text is looked up where a schema is written. Pydantic's own `use_attribute_docstrings` reads every source file in each
process that imports the models, which took a replica that starts a fifth of a second.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of one file."""
    return model.model_json_schema(schema_generator=_Documented)


class _Documented(GenerateJsonSchema):
    def model_schema(self, schema: core_schema.ModelSchema) -> dict[str, Any]:
        """As pydantic's, with a description for each property that has none."""
        written: dict[str, Any] = super().model_schema(schema)
        model = schema["cls"]
        texts = meanings(model)
        for name, field in model.model_fields.items():
            described = written.get("properties", {}).get(field.alias or name)
            if described is not None and name in texts:
                described.setdefault("description", texts[name])
        return written


def meanings(model: type[BaseModel]) -> Mapping[str, str]:
    """What stands below each field, its own classes' before those it inherits from."""
    found: dict[str, str] = {}
    for owner in reversed(model.__mro__):
        if issubclass(owner, BaseModel) and owner is not BaseModel:
            found |= _texts(owner)
    return found


def _texts(owner: type[BaseModel]) -> Iterator[tuple[str, str]]:
    match ast.parse(textwrap.dedent(inspect.getsource(owner))).body:
        case [ast.ClassDef(body=lines)]:
            for field, below in pairwise(lines):
                match field, below:
                    case (
                        ast.AnnAssign(target=ast.Name(name)),
                        ast.Expr(value=ast.Constant(value=str(text))),
                    ):
                        yield name, inspect.cleandoc(text)
