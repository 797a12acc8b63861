"""The shape of the files: what is taken, and what each mistake is told."""

import pytest

from mesh.errors import InvalidConfig
from mesh.spec.document import parse_document
from mesh.spec.model_file import ModelsFile
from mesh.spec.problems import InvalidConfigs, validate
from mesh.spec.routing_file import RoutingFile

ROUTE = "routes:\n  - name: a\n    when: always\n"


def models(text: str) -> ModelsFile:
    document = parse_document("models.yaml", text)
    return validate(ModelsFile, document, document.data)


def routing(text: str) -> RoutingFile:
    document = parse_document("routing.yaml", text)
    return validate(RoutingFile, document, document.data)


@pytest.mark.parametrize(
    ("text", "line", "key", "reason"),
    [
        (
            f"{ROUTE}    send: [m]\n    sahdow: [b]\n",
            5,
            "routes[0].sahdow",
            "unknown key; did you mean 'shadow'?",
        ),
        (f"{ROUTE}    shadow:\n      - {{modle: b}}\n", 5, "routes[0].shadow[0].model", "is missing"),
        (
            f"{ROUTE}    canary:\n      model: m\n      percent: 101\n",
            6,
            "routes[0].canary.percent",
            "must be at most 100, got 101",
        ),
        (f"{ROUTE}    canary: {{model: m, percent: .nan}}\n", 4, "routes[0].canary.percent", "finite"),
        (
            f"{ROUTE}    canary: {{model: m, percent: true}}\n",
            4,
            "routes[0].canary.percent",
            "must be a number, got true",
        ),
        (
            f"{ROUTE}    canary: {{model: m, percent: '10'}}\n",
            4,
            "routes[0].canary.percent",
            "must be a number, got '10'",
        ),
        (f"{ROUTE}    send: m\n", 4, "routes[0].send", "must be a list, got 'm'"),
        (f"{ROUTE}    send: []\n", 4, "routes[0].send", "must not be empty"),
        (
            f"{ROUTE}    send: [m]\n    combine: avg\n",
            5,
            "routes[0].combine",
            "'avg' is not one of mean, max, min",
        ),
        (
            f"{ROUTE}    send: [m]\n    on_error: fallbak\n",
            5,
            "routes[0].on_error",
            "did you mean 'fallback'?",
        ),
        (
            "routes:\n  - name: a\n    when: true\n    send: [m]\n",
            3,
            "routes[0].when",
            "must be text, got true; put it in quotes",
        ),
        ("routes:\n  - when: always\n    send: [m]\n", 2, "routes[0].name", "is missing"),
        (
            "routes:\n  - name: a b\n    when: always\n    send: [m]\n",
            2,
            "routes[0].name",
            "may hold letters, digits",
        ),
        ("routes: []\n", 1, "routes", "must not be empty"),
        ("routes: {a: 1}\n", 1, "routes", "must be a list, got a mapping"),
        ("deadline_ms: 5\n", 1, "", "deadline_ms: belongs to bare routes"),
        (
            "endpoints:\n  a/b:\n    routes: [{name: r, when: always, send: [m]}]\n",
            2,
            "endpoints.a/b",
            "may hold letters",
        ),
        ("endpoints:\n  x:\n    routse: []\n", 2, "endpoints.x.routes", "is missing"),
        (
            "endpoints:\n  x:\n    deadline_ms: 0\n    routes: [{name: r, when: always, send: [m]}]\n",
            3,
            "endpoints.x.deadline_ms",
            "must be above 0, got 0",
        ),
        ("rotues: []\n", 1, "rotues", "unknown key; did you mean 'routes'?"),
        ("- a\n", 1, "", "must be a mapping, got a list"),
    ],
)
def test_mistakes_in_routing(text: str, line: int, key: str, reason: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        routing(text)
    assert (caught.value.file, caught.value.line, caught.value.key) == ("routing.yaml", line, key)
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    ("entry", "key", "reason"),
    [
        (
            "{runtime: onxn, path: p}",
            "models.m.runtime",
            "'onxn' is not one of identity, rules, python, torch",
        ),
        ("{runtime: onxn, path: p}", "models.m.runtime", "did you mean 'onnx'?"),
        ("{runtime: onnx}", "models.m", "the runtime onnx needs a path: an .onnx file"),
        ("{runtime: identity, path: p}", "models.m", "has no artifact: remove path"),
        ("{runtime: torch, path: p, device: cuda}", "models.m", "device cuda needs num_gpus above 0"),
        (
            "{runtime: identity, scaling: {min_replica: 1}}",
            "models.m.scaling.min_replica",
            "did you mean 'min_replicas'?",
        ),
        (
            "{runtime: identity, scaling: {min_replicas: 3}}",
            "models.m.scaling",
            "max_replicas (1) is below min_replicas (3)",
        ),
        (
            "{runtime: identity, scaling: {max_replicas: 1.5}}",
            "models.m.scaling.max_replicas",
            "must be a whole number, got 1.5",
        ),
        (
            "{runtime: identity, inputs: [{name: x, datatype: FP23, shape: [-1]}]}",
            "models.m.inputs[0].datatype",
            "did you mean 'FP32'?",
        ),
        (
            "{runtime: identity, inputs: [{name: x, datatype: FP32, shape: [1, 2]}]}",
            "models.m.inputs[0]",
            "shape must begin with -1",
        ),
        (
            "{runtime: identity, inputs: [{name: x, datatype: FP32, shape: [-1, 0]}]}",
            "models.m.inputs[0]",
            "shape holds 0",
        ),
        (
            "{runtime: identity, inputs: [{name: x, datatype: FP32, shape: [-1, -2]}]}",
            "models.m.inputs[0].shape[1]",
            "at least -1",
        ),
        (
            "{runtime: identity, confidence: {output: a, margin: b}}",
            "models.m.confidence",
            "give exactly one of",
        ),
        (
            "{runtime: identity, confidence: {max_probabilty: a}}",
            "models.m.confidence.max_probabilty",
            "did you mean 'max_probability'?",
        ),
        ("{runtime: identity, label: {names: [a]}}", "models.m.label", "give either argmax or output"),
        (
            "{runtime: identity, label: {argmax: a, threshold: 1}}",
            "models.m.label",
            "threshold belongs to output",
        ),
        (
            "{runtime: identity, label: {output: a, threshold: 1, names: [a]}}",
            "models.m.label",
            "names must be two",
        ),
        ("{runtime: identity, num_cpus: -1}", "models.m.num_cpus", "must be at least 0, got -1"),
        ("{runtime: identity, env: {A: 1}}", "models.m.env.A", "must be text, got 1; put it in quotes"),
        ("[]", "models.m", "must be a mapping, got a list"),
    ],
)
def test_mistakes_in_models(entry: str, key: str, reason: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        models(f"models:\n  m: {entry}\n")
    assert (caught.value.line, caught.value.key.partition(",")[0]) == (2, key)
    assert reason in str(caught.value)


def test_all_mistakes_of_a_file_are_told_at_once_in_the_order_of_their_lines() -> None:
    text = "models:\n  a: {runtime: identity, devise: cpu}\n  b:\n    runtime: onnx\n    path: 3\n  c: {}\n"
    with pytest.raises(InvalidConfigs) as caught:
        models(text)
    error = caught.value
    assert [(problem.line, problem.key) for problem in error.problems] == [
        (2, "models.a.devise"),
        (5, "models.b.path"),
        (6, "models.c.runtime"),
    ]
    assert (error.line, error.key, error.reason) == (
        2,
        "models.a.devise",
        "unknown key; did you mean 'device'?",
    )
    assert str(error).splitlines()[1] == "models.yaml:5: models.b.path: must be text, got 3; put it in quotes"


def test_a_version_may_be_written_as_a_number() -> None:
    assert models("models: {m: {runtime: identity, version: 7}}").models["m"].version == "7"


def test_shadows_in_both_spellings() -> None:
    routes = routing(f"{ROUTE}    shadow: [a, {{model: b, percent: 5}}]\n").routes
    assert routes is not None
    assert [(shadow.model, shadow.percent) for shadow in routes[0].shadow] == [("a", 100.0), ("b", 5.0)]


def test_bare_routes_are_the_endpoint_default_beside_others() -> None:
    route = "[{name: r, when: always, send: [m]}]"
    tables = routing(f"routes: {route}\nkey: tenant\nendpoints: {{x: {{routes: {route}}}}}\n").tables()
    assert [(at, name, entry.key) for at, name, entry in tables] == [
        ((), "default", "tenant"),
        (("endpoints", "x"), "x", None),
    ]
