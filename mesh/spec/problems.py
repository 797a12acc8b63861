"""What is wrong with a file, as errors that say where and how to put it right."""

import difflib
from collections.abc import Sequence
from typing import Final, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mesh.errors import InvalidConfig
from mesh.routing.problems import KeyPath, nearest
from mesh.spec.document import Document, dotted

Model = TypeVar("Model", bound=BaseModel)

_KINDS: Final = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_BOUNDS: Final = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}


class InvalidConfigs(InvalidConfig):
    """Everything that is wrong with a file; `file`, `line`, `key` and `reason` are the first problem's."""

    def __init__(self, problems: Sequence[InvalidConfig]) -> None:
        """At least one problem; they are put in the order of their lines."""
        ordered = tuple(sorted(problems, key=lambda problem: problem.line))
        first = ordered[0]
        super().__init__(first.file, first.line, first.key, first.reason)
        self.args = ("\n".join(str(problem) for problem in ordered),)
        self.problems = ordered


def problem_at(document: Document, path: KeyPath, reason: str) -> InvalidConfig:
    """One mistake in `document`."""
    return InvalidConfig(document.file, document.line_of(path), dotted(path), reason)


def one_or_all(problems: Sequence[InvalidConfig]) -> InvalidConfig:
    """The error for at least one problem."""
    return problems[0] if len(problems) == 1 else InvalidConfigs(problems)


def validate(model: type[Model], document: Document, value: object, at: KeyPath = ()) -> Model:
    """`value`, which stands at `at` in `document`, as a `model`; raises every mistake in it at once."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise one_or_all(_translations(model, document, at, error)) from None


def problems_in(
    model: type[BaseModel], document: Document, value: object, at: KeyPath
) -> list[InvalidConfig]:
    """The mistakes that `validate` would raise."""
    try:
        model.model_validate(value)
    except ValidationError as error:
        return _translations(model, document, at, error)
    return []


def _translations(
    model: type[BaseModel], document: Document, at: KeyPath, error: ValidationError
) -> list[InvalidConfig]:
    return [_translated(model, document, at, detail) for detail in error.errors(include_url=False)]


def _translated(
    model: type[BaseModel], document: Document, at: KeyPath, detail: ErrorDetails
) -> InvalidConfig:
    loc = tuple(part for part in detail["loc"] if part != "[key]")
    path = (*at, *loc)
    if detail["type"] == "extra_forbidden":
        reason = f"unknown key{nearest(str(loc[-1]), _keys_at(model, loc[:-1]))}"
    elif detail["type"] == "missing":
        reason = "is missing"
    else:
        reason = _reason(detail)
    return problem_at(document, path, reason)


def _reason(detail: ErrorDetails) -> str:
    kind, given = detail["type"], detail["input"]
    context = detail.get("ctx", {})
    if kind in _KINDS:
        quotes = (
            "; put it in quotes" if kind == "string_type" and isinstance(given, bool | int | float) else ""
        )
        return f"must be {_KINDS[kind]}, got {_shown(given)}{quotes}"
    if kind in _BOUNDS:
        words, limit = _BOUNDS[kind]
        return f"must be {words} {context[limit]:g}, got {given}"
    if kind == "literal_error":
        choices = context["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        return f"{_shown(given)} is not one of {', '.join(choices)}{_close_choice(given, choices)}"
    if kind == "value_error":
        return str(context["error"])
    if kind == "string_pattern_mismatch":
        more = "; a version may follow '@'" if "@" in context["pattern"] else ""
        return f"'{given}' may hold letters, digits, '.', '_' and '-' only, and begins with a letter or digit{more}"
    # What is left has a message of pydantic's own that reads well, such as an empty or overlong text.
    return f"{detail['msg'][:1].lower()}{detail['msg'][1:]}, got {_shown(given)}"


def _close_choice(given: object, choices: Sequence[str]) -> str:
    close = difflib.get_close_matches(given, choices, n=1) if isinstance(given, str) else []
    return f"; did you mean '{close[0]}'?" if close else ""


def _shown(value: object) -> str:
    """A value as its author wrote it, or nearly."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"'{value[:60]}'"
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else str(value)


def _keys_at(model: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    """The keys that the mapping at `loc` may have."""
    found: object = model
    for part in loc:
        found = _step(found, part)
    owner = _model_in(found)
    return [field.alias or name for name, field in owner.model_fields.items()] if owner is not None else []


def _step(annotation: object, part: str | int) -> object:
    owner = _model_in(annotation)
    if owner is not None and isinstance(part, str):
        return next(
            (field.annotation for name, field in owner.model_fields.items() if part in (name, field.alias)),
            None,
        )
    # A mapping or list: its values are of the last type argument.
    return next((a for a in reversed(_arguments(annotation)) if _model_in(a) is not None), None)


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The model that an annotation names directly or beside None and `Annotated` extras."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (dict, tuple, list):
        return None
    return next((found for a in get_args(annotation) if (found := _model_in(a)) is not None), None)


def _arguments(annotation: object) -> tuple[object, ...]:
    """The type arguments of the mapping or list in an annotation."""
    if get_origin(annotation) in (dict, tuple, list):
        return get_args(annotation)
    return next((found for a in get_args(annotation) if (found := _arguments(a))), ())
