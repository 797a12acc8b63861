"""The calls of HTTP, from the OpenAPI document that a router serves at `/openapi.json`."""

from collections.abc import Mapping
from typing import Any, Final

from mesh.routing.types import Answer, Batch, Signature, Variant
from serve.access.whoami import whoami_router
from serve.api.alerts import alerts_router
from serve.api.audit import audit_router
from serve.api.costs import costs_router
from serve.api.drift import drift_router
from serve.api.features import features_router
from serve.api.predictions import predictions_router
from serve.api.review import review_router
from serve.api.rollouts import rollouts_router
from serve.api.rules import rules_router
from serve.api.shadows import shadows_router
from serve.http.api import build_api
from serve.oip.inference import Inference
from serve.oip.ports import ServerFacts
from serve.reference.markdown import made, page, table
from serve.status import status_router

_LEAD: Final = """\
On ports 8080 (the routers' own) and 8000 (through Ray Serve). A running mesh serves the same document at
`/openapi.json` and as a page to try at `/docs`. Every error is `{"error": "…"}` and names the field and the fix.
Where a token is needed it goes into the header `Authorization: Bearer TOKEN` ([access.md](access.md))."""
_UNASKED: Final[Any] = None
"""What routes would ask. They are described here and never called."""


class _NoEndpoints:
    """The mesh of a document that describes no model in particular."""

    endpoints = ("default",)

    def signature(self, endpoint: str) -> Signature | None:  # noqa: ARG002
        return None

    def attributes_read(self, endpoint: str) -> frozenset[str]:  # noqa: ARG002
        return frozenset()

    def ready(self, endpoint: str) -> bool:  # noqa: ARG002
        return False

    async def infer(
        self, endpoint: str, batch: Batch, *, deadline: float | None = None, variant: Variant | None = None
    ) -> Answer:
        raise NotImplementedError(endpoint)


def openapi_document() -> dict[str, Any]:
    """The document of a router with all of its routes."""
    routers = [
        status_router(_UNASKED),
        predictions_router(_UNASKED, {}),
        alerts_router(_UNASKED, _UNASKED),
        features_router({}, _UNASKED),
        rules_router(_UNASKED, _UNASKED, _UNASKED),
        shadows_router(_UNASKED),
        audit_router(_UNASKED, _UNASKED),
        whoami_router(),
        review_router(_UNASKED, _UNASKED, _UNASKED, _UNASKED),
        rollouts_router(_UNASKED, _UNASKED, _UNASKED),
        costs_router(_UNASKED),
        drift_router(_UNASKED),
    ]
    facts = ServerFacts("hyperstream-mesh", "any", {})
    return build_api(Inference(_NoEndpoints(), facts), routers).openapi()


def http_page() -> str:
    """The page `docs/api.md`."""
    document = openapi_document()
    lines = made("HTTP", "the OpenAPI document", _LEAD)
    by_tag: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            tag = (operation.get("tags") or ["inference"])[0]
            by_tag.setdefault(tag, []).extend(_operation(path, method, operation, document))
    for tag in sorted(by_tag, key=lambda name: (name != "inference", name)):
        lines += [f"## {tag.capitalize()}", "", *by_tag[tag]]
    return page(lines)


def _operation(
    path: str, method: str, operation: Mapping[str, Any], document: Mapping[str, Any]
) -> list[str]:
    lines = [f"### {method.upper()} {path}", "", _sentence(operation), ""]
    asked = [
        (f"`{one['name']}`", one["in"], "yes" if one.get("required") else "", one.get("description", ""))
        for one in operation.get("parameters", ())
    ]
    lines += table(("parameter", "in", "required", "meaning"), asked)
    lines += _body(operation, document)
    answers = [(code, one.get("description", "")) for code, one in sorted(operation["responses"].items())]
    return lines + table(("status", "when"), answers)


def _sentence(operation: Mapping[str, Any]) -> str:
    summary, text = operation.get("summary", ""), operation.get("description", "")
    end = "" if not text or summary.endswith("?") else "."
    return f"**{summary}{end}** {' '.join(text.split())}".strip()


def _body(operation: Mapping[str, Any], document: Mapping[str, Any]) -> list[str]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    schema = content.get("schema", {})
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    required = set(schema.get("required", ()))
    rows = [
        (f"`{key}`", "yes" if key in required else "", value.get("description", ""))
        for key, value in schema.get("properties", {}).items()
    ]
    return table(("field of the body", "required", "meaning"), rows)
