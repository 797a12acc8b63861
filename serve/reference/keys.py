"""Every key of every file, from the pydantic models that read them."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mesh.spec.documented import schema_of
from mesh.spec.schema import FILES
from serve.reference.markdown import made, page, table

_NAMES: Final[Mapping[str, str]] = {
    "scenario.json": "scenarios/NAME.yaml",
    "rollout.json": "rollouts/NAME.yaml",
    "topics.json": "topics.yml",
}
_LEAD: Final = """\
All files stand in `config/`, or the folder that `MESH_CONFIG` names. What belongs together, and why one would set it,
is in [configuration.md](configuration.md). An unknown key is an error that names the nearest one."""
_BOUNDS: Final[Mapping[str, str]] = {
    "minimum": "≥",
    "exclusiveMinimum": ">",
    "maximum": "≤",
    "exclusiveMaximum": "<",
}
_TIED: Final = "\u00a0"
"""A space at which no line ends: a sign and its number belong together."""
_WIDE: Final = 60
"""Letters; a wider default would leave the column of meanings no room."""

Schema = Mapping[str, Any]


def keys_page() -> str:
    """The page `docs/keys.md`."""
    lines = made("Every key", "the models in `mesh/spec/`", _LEAD)
    for name, model in FILES.items():
        schema = schema_of(model)
        lines += [f"## {_NAMES.get(name, name.replace('.json', '.yaml'))}", "", _said(schema), ""]
        lines += [f"[JSON Schema](schema/{name})", "", *_keys(schema)]
        for title, part in schema.get("$defs", {}).items():
            if part.get("properties"):
                lines += [f"### {_readable(title)} {{ #{name.removesuffix('.json')}-{title.lower()} }}", ""]
                lines += [_said(part), "", *_keys(part)]
    return page(_linked(lines))


def _linked(lines: list[str]) -> Iterator[str]:
    """With references to parts of a file as links; the part's heading carries the file's name."""
    file = ""
    for line in lines:
        if line.startswith("[JSON Schema](schema/"):
            file = line.split("/")[1].removesuffix(".json)")
        yield line.replace("](#FILE-", f"](#{file}-")


def _keys(schema: Schema) -> list[str]:
    required = set(schema.get("required", ()))
    rows = []
    for key, value in schema.get("properties", {}).items():
        default, said = "required" if key in required else _default(value), value.get("description", "")
        if len(default) > _WIDE:
            default, said = "see meaning", f"{said} By default {default}."
        rows.append((f"`{key}`", _kind(value), default, said))
    return table(("key", "what", "default", "meaning"), rows)


def _default(value: Schema) -> str:
    default = value.get("default")
    if default is None or (isinstance(default, dict) and default):
        return ""  # what a part of a file is without being written stands in the part's own table
    if _is_time(value) and isinstance(default, int):
        return f"`{_time(default)}`"
    return f"`{json.dumps(default)}`" if default != "" else ""


def _is_time(value: Schema) -> bool:
    return str(value.get("pattern", "")).endswith("(ms|s|m|h|d)$")


def _time(milliseconds: int) -> str:
    """As users write it, in the largest unit that says it whole."""
    if milliseconds:
        for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
            if milliseconds % size == 0:
                return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms" if milliseconds else "0s"


def _kind(value: Schema) -> str:
    """What a value may be, in words."""
    if "$ref" in value:
        title = value["$ref"].rsplit("/", 1)[1]
        return f"[{_readable(title)}](#FILE-{title.lower()})"
    if "enum" in value:
        return ", ".join(f"`{one}`" for one in value["enum"])
    if "const" in value:
        return f"`{value['const']}`"
    for several in ("anyOf", "oneOf"):
        if several in value:
            kinds = [_kind(one) for one in value[several] if one.get("type") != "null"]
            return " or ".join(dict.fromkeys(kinds))
    return _plain(value)


def _plain(value: Schema) -> str:
    kind = value.get("type", "any")
    if kind == "array":
        every: Schema = value.get("items") or next(iter(value.get("prefixItems", ())), {})
        return f"list of {_kind(every)}"
    if kind == "object" and isinstance(value.get("additionalProperties"), dict):
        return f"name to {_kind(value['additionalProperties'])}"
    bounds = " ".join(f"{sign}{_TIED}{value[key]}" for key, sign in _BOUNDS.items() if _tells(key, value))
    words = {"string": "text", "integer": "whole number", "boolean": "true or false", "object": "mapping"}
    if _is_time(value):
        return "time, such as `30s`"
    return f"{words.get(kind, kind)} {bounds}".strip()


def _tells(key: str, value: Schema) -> bool:
    """Whether this bound says something: ≥ 0 does not beside > 0."""
    return key in value and value.get(f"exclusive{key.capitalize()}") != value[key]


def _readable(title: str) -> str:
    """`RuleEntry` as `Rule`: the code's suffixes say nothing to users."""
    for suffix in ("Entry", "File"):
        title = title.removesuffix(suffix) or title
    return title


def _said(schema: Schema) -> str:
    return str(schema.get("description", "")).replace("\n", " ")
