"""The kinds of value in the YAML files. None converts: `"3"` is no number and `yes` is no text."""

import re
from typing import Annotated, Final, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

NAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
"""Names travel in URLs, where `/` in a model's name is not quoted by common clients, and in Kafka records."""
MODEL_NAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]*(@[A-Za-z0-9][A-Za-z0-9._-]*)?$"
"""A model that is hosted in several versions at once has the version in its name."""


class Strict(BaseModel):
    """A mapping in a file: unknown keys are mistakes, and nothing changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)
    # Built at the first use: a process reads two or three of the files, and imports what reads all.


def _version_text(value: object) -> object:
    """`version: 2` is how people write it; everything else must be text already."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Item = TypeVar("Item")


def _not_empty(items: Item) -> Item:
    # A length limit on the type itself would also complain of an empty list where all items are wrong.
    if not items:
        raise ValueError("must not be empty")
    return items


Several = Annotated[tuple[Item, ...], AfterValidator(_not_empty), Field(json_schema_extra={"minItems": 1})]
"""A list of at least one."""

Text = Annotated[str, Field(strict=True, min_length=1)]
Name = Annotated[str, Field(strict=True, pattern=NAME_PATTERN, max_length=128)]
ModelName = Annotated[str, Field(strict=True, pattern=MODEL_NAME_PATTERN, max_length=128)]
Version = Annotated[Text, BeforeValidator(_version_text, json_schema_input_type=str | int)]


def _hexadecimal(text: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise ValueError("must be 64 hexadecimal digits in lower case, as sha256sum prints them")
    return text


Sha256 = Annotated[
    str, Field(strict=True, json_schema_extra={"pattern": "^[0-9a-f]{64}$"}), AfterValidator(_hexadecimal)
]
Flag = Annotated[bool, Field(strict=True)]
Whole = Annotated[int, Field(strict=True)]
Count = Annotated[int, Field(strict=True, ge=1)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Positive = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0)]
NotNegative = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0)]
Percent = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=100)]
Share = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0, le=1)]
