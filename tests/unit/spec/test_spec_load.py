"""`load_mesh`: files and environment to one checked configuration."""

import pickle
from pathlib import Path

import pytest

from mesh.errors import InvalidConfig
from mesh.routing.types import Signature, TensorSpec
from mesh.settings import Settings
from mesh.spec import InvalidConfigs, MeshConfig, load_mesh

ROOT = Path(__file__).resolve().parents[3]

TWO_MODELS = """
models:
  a: {runtime: identity}
  b: {runtime: onnx, path: models/b.onnx}
"""
ROUTES = """
routes:
  - name: first
    when: always
    send: [a]
"""


def load(
    folder: Path, models: str | None = None, routing: str | None = None, settings: Settings | None = None
) -> MeshConfig:
    config = folder / "config"
    config.mkdir(exist_ok=True)
    for name, text in (("models.yaml", models), ("routing.yaml", routing)):
        if text is not None:
            (config / name).write_text(text)
    return load_mesh(config, settings or Settings())


def refused(
    folder: Path, models: str | None = None, routing: str | None = None, settings: Settings | None = None
) -> InvalidConfig:
    with pytest.raises(InvalidConfig) as caught:
        load(folder, models, routing, settings)
    return caught.value


# -- what ships


def test_the_shipped_configuration() -> None:
    mesh = load_mesh(ROOT / "config", Settings())
    assert list(mesh.models) == [
        "rules",
        "anomaly",
        "degrader",
        "identity",
        "threat-detector-v1",
        "telemetry-anomaly",
    ]
    assert list(mesh.tables) == ["default"]
    table = mesh.tables["default"]
    assert [route.name for route in table.routes] == ["baseline", "hybrid-anomaly", "canary-rollout"]
    assert table.attributes_read == {"rollout"}
    assert table.models == {"rules", "anomaly", "degrader"}
    assert mesh.default_endpoint == "default"
    assert mesh.topics == {
        "raw": "hyperstream.raw",
        "features": "hyperstream.features",
        "alerts": "hyperstream.alerts",
        "audit": "hyperstream.audit",
        "truth": "hyperstream.truth",
    }
    answered = (TensorSpec("probabilities", "FP32", (-1, 2)),)
    for name in ("rules", "anomaly", "degrader"):
        facts = mesh.facts[name]
        assert facts.has_confidence
        assert facts.score == ("probabilities", 1)
        assert facts.signature == Signature((TensorSpec("features", "FP32", (-1, 24)),), answered)


def test_the_shipped_routing_file_is_the_documented_one_to_the_letter() -> None:
    expected = [
        "routes:",
        "  - name: baseline",
        '    when: "always"',
        "    send: [rules]",
        "  - name: hybrid-anomaly",
        '    when: "confidence >= 0.6"',
        "    send: [anomaly]",
        "    shadow: [degrader]",
        "  - name: canary-rollout",
        '    when: "rollout == true"',
        "    canary:",
        "      model: anomaly",
        "      percent: 10",
    ]
    assert (ROOT / "config/routing.yaml").read_text().splitlines() == expected


def test_the_benchmarks_configuration() -> None:
    mesh = load_mesh(ROOT / "benchmarks/config", Settings())
    assert set(mesh.tables) == {"default", "rules3"}
    assert Path(mesh.models["mlp"].path or "").is_file()
    assert mesh.facts["identity"].signature == Signature(
        (TensorSpec("image", "FP32", (-1, 3, 640, 640)),), (TensorSpec("image", "FP32", (-1, 3, 640, 640)),)
    )


def test_the_configuration_survives_pickling(tmp_path: Path) -> None:
    mesh = load(tmp_path, TWO_MODELS, ROUTES)
    again = pickle.loads(pickle.dumps(mesh))  # noqa: S301
    assert again.models == mesh.models
    assert again.rules_hash == mesh.rules_hash
    assert pickle.loads(pickle.dumps(mesh.models["b"].artifact())) == mesh.models["b"].artifact()  # noqa: S301


# -- the default endpoint


def test_without_files_the_default_is_the_identity_model(tmp_path: Path) -> None:
    for config in (tmp_path, tmp_path / "nowhere"):
        mesh = load_mesh(config, Settings())
        assert {name: model.runtime for name, model in mesh.models.items()} == {"identity": "identity"}
        assert mesh.tables["default"].first_model == "identity"
        assert mesh.facts["identity"].signature is not None


def test_the_environment_alone_defines_the_default_model(tmp_path: Path) -> None:
    mesh = load(tmp_path, settings=Settings(model_framework="torch", model_path="m.pt"))
    assert list(mesh.models) == ["default-model"]
    artifact = mesh.models["default-model"].artifact()
    assert (artifact.kind, artifact.path) == ("torch", str(tmp_path / "m.pt"))
    assert mesh.tables["default"].models == {"default-model"}


def test_the_environment_goes_before_the_default_routes_of_the_files(tmp_path: Path) -> None:
    settings = Settings(model_framework="tensorflow", model_path="/srv/saved")
    mesh = load(tmp_path, TWO_MODELS, ROUTES, settings)
    assert mesh.tables["default"].first_model == "default-model"
    assert mesh.models["default-model"].artifact().path == "/srv/saved"
    assert set(mesh.models) == {"a", "b", "default-model"}


@pytest.mark.parametrize(
    ("settings", "variable"),
    [
        (Settings(model_framework="torch"), "ML_MODEL_PATH"),
        (Settings(model_path="m.pt"), "ML_MODEL_FRAMEWORK"),
        (Settings(default_model_id="defualt"), "ML_DEFAULT_MODEL_ID"),
    ],
)
def test_half_an_environment_names_the_variable(tmp_path: Path, settings: Settings, variable: str) -> None:
    error = refused(tmp_path, settings=settings)
    assert (error.file, error.key) == ("environment", variable)


def test_a_misspelt_default_model_id_is_told_the_nearest_endpoint(tmp_path: Path) -> None:
    error = refused(tmp_path, settings=Settings(default_model_id="defualt"))
    assert error.reason == "no endpoint or model 'defualt'; did you mean 'default'?"


def test_a_model_in_the_files_may_not_take_the_name_of_the_environments(tmp_path: Path) -> None:
    settings = Settings(model_framework="torch", model_path="m.pt")
    error = refused(tmp_path, "models: {default-model: {runtime: identity}}", settings=settings)
    assert "models.yaml has a model 'default-model'" in error.reason


def test_a_model_named_default_is_the_default_endpoint(tmp_path: Path) -> None:
    mesh = load(tmp_path, "models: {default: {runtime: identity}}")
    assert (list(mesh.models), list(mesh.tables), mesh.default_endpoint) == (["default"], [], "default")


# -- tables


def test_endpoints_beside_the_default(tmp_path: Path) -> None:
    routing = f"""{ROUTES}
key: user.id
deadline_ms: 50
endpoints:
  other:
    key: tenant
    fallback: a
    variants_allowed: true
    routes:
      - name: first
        when: always
        send: [b]
      - name: ab
        when: "has(tenant) && score > 3"
        split: {{a: 80, b: 20}}
        on_error: fallback
        final: true
"""
    models = """
models:
  a: {runtime: identity, score: {output: features, column: 2}}
  b: {runtime: identity, score: {output: features}}
"""
    mesh = load(tmp_path, models, routing)
    assert (mesh.tables["default"].key, mesh.tables["default"].deadline_ms) == ("user.id", 50)
    other = mesh.tables["other"]
    assert (other.key, other.fallback, other.variants_allowed) == ("tenant", "a", True)
    assert other.attributes_read == {"tenant"}
    route = other.routes[1]
    assert route.split is not None
    assert route.split.shares == (("a", 80.0), ("b", 20.0))
    assert (route.final, route.on_error) == (True, "fallback")


def test_the_rules_hash_follows_the_rules_and_nothing_else(tmp_path: Path) -> None:
    first = load(tmp_path, TWO_MODELS, ROUTES).rules_hash
    assert load(tmp_path, TWO_MODELS, "# a comment\n" + ROUTES).rules_hash == first
    assert load(tmp_path, TWO_MODELS, ROUTES.replace("[a]", "[b]")).rules_hash != first


def test_unknown_models_everywhere_at_once(tmp_path: Path) -> None:
    routing = """routes:
  - name: first
    when: always
    send: [anomly]
  - name: second
    when: "rollout == true"
    shadow: [a, {model: degradr}]
    canary: {model: x, percent: 5}
fallback: nobody
"""
    models = "models: {a: {runtime: identity}, anomaly: {runtime: identity}, degrader: {runtime: identity}}"
    error = refused(tmp_path, models, routing)
    assert isinstance(error, InvalidConfigs)
    assert [(problem.line, problem.key) for problem in error.problems] == [
        (4, "routes[0].send[0]"),
        (7, "routes[1].shadow[1]"),
        (8, "routes[1].canary.model"),
        (9, "fallback"),
    ]
    assert error.reason == "unknown model 'anomly'; did you mean 'anomaly'?"
    assert error.file.endswith("config/routing.yaml")


def test_a_condition_that_cannot_be_read_names_its_line_and_character(tmp_path: Path) -> None:
    routing = ROUTES + '  - name: second\n    when: "tenant == "\n    send: [b]\n'
    error = refused(tmp_path, TWO_MODELS, routing)
    assert (error.line, error.key) == (7, "routes[1].when")
    assert "at character" in error.reason


def test_a_rule_that_reads_a_confidence_that_nobody_has(tmp_path: Path) -> None:
    routing = ROUTES + '  - name: second\n    when: "confidence > 0.5"\n    send: [b]\n'
    error = refused(tmp_path, TWO_MODELS, routing)
    assert error.line == 7
    assert "confidence" in error.reason


def test_a_split_that_does_not_sum_to_100(tmp_path: Path) -> None:
    route = "{name: ab, when: always,\n        split: {a: 80, b: 10}}"
    error = refused(tmp_path, TWO_MODELS, f"endpoints:\n  x:\n    routes:\n      - {route}\n")
    assert (error.line, error.key) == (5, "endpoints.x.routes[0].split")
    assert "100" in error.reason


@pytest.mark.parametrize(
    ("routing", "line", "taken"),
    [
        ("endpoints:\n  a:\n    routes: [{name: r, when: always, send: [b]}]\n", 2, "a model in models.yaml"),
        (
            f"{ROUTES}endpoints:\n  default:\n    routes: [{{name: r, when: always, send: [b]}}]\n",
            7,
            "the bare routes",
        ),
    ],
)
def test_names_must_not_clash(tmp_path: Path, routing: str, line: int, taken: str) -> None:
    error = refused(tmp_path, TWO_MODELS, routing)
    assert error.line == line
    assert f"is taken by {taken}" in error.reason


# -- models


def test_paths_start_from_the_projects_folder(tmp_path: Path) -> None:
    mesh = load(tmp_path, "models: {a: {runtime: onnx, path: m/a.onnx}, p: {runtime: python, path: 'm.n:C'}}")
    assert mesh.models["a"].artifact().path == str(tmp_path / "m/a.onnx")
    assert mesh.models["p"].artifact().path == "m.n:C"
    assert mesh.project_root == tmp_path


def test_an_artifact_that_is_missing_is_its_models_own_failure(tmp_path: Path) -> None:
    assert "b" in load(tmp_path, TWO_MODELS).models


@pytest.mark.parametrize(
    ("entry", "key", "reason"),
    [
        ("options: {threads: 2}", "options.threads", "unknown key; did you mean 'inter_threads'?"),
        ("options: {intra_threads: 0}", "options.intra_threads", "must be at least 1, got 0"),
        ("score: {output: probs}", "score.output", "'probs' is not one of the declared outputs; did you mean 'p'?"),
        ("score: {output: p, column: 3}", "score.column", "3 is past the last column of 'p', 2"),
        ("label: {argmax: p, names: [a, b]}", "label.names", "2 names for the 3 columns of 'p'"),
        ("confidence: {output: conf}", "confidence.output", "'conf' is not one of the declared outputs"),
        ("confidence: {output: p}", "confidence.output", "it is the model's only output"),
        ("inputs: [{name: x, datatype: FP32, shape: [-1]}, {name: x, datatype: FP32, shape: [-1]}]",
         "inputs[1].name", "'x' is declared twice"),
    ],
)  # fmt: skip
def test_declarations_that_do_not_fit(tmp_path: Path, entry: str, key: str, reason: str) -> None:
    outputs = "outputs: [{name: p, datatype: FP32, shape: [-1, 3]}]"
    error = refused(
        tmp_path, f"models:\n  m:\n    runtime: onnx\n    path: m.onnx\n    {outputs}\n    {entry}\n"
    )
    assert (error.line, error.key) == (6, f"models.m.{key}")
    assert error.reason.startswith(reason.partition(";")[0])


def test_an_output_named_confidence_must_be_declared_as_it(tmp_path: Path) -> None:
    outputs = "[{name: confidence, datatype: FP32, shape: [-1]}, {name: p, datatype: FP32, shape: [-1]}]"
    error = refused(tmp_path, f"models: {{m: {{runtime: onnx, path: m.onnx, outputs: {outputs}}}}}")
    assert "declare confidence: {output: confidence}" in error.reason


def test_a_rule_on_a_column_that_is_not_there(tmp_path: Path) -> None:
    options = "{columns: [sensor_1, sensor_2], rules: [{column: sensor_3, above: 1}]}"
    error = refused(tmp_path, f"models: {{m: {{runtime: rules, options: {options}}}}}")
    assert error.reason == "'sensor_3' is not one of columns; did you mean 'sensor_2'?"


def test_breaker_and_scaling_reach_the_engine(tmp_path: Path) -> None:
    text = (
        "models: {m: {runtime: identity, breaker: {open_s: 9}, scaling: {min_replicas: 0, max_replicas: 3}}}"
    )
    model = load(tmp_path, text).models["m"]
    assert model.breaker.policy().open_s == 9
    assert (model.scaling.min_replicas, model.scaling.max_replicas) == (0, 3)


# -- files


def test_a_file_under_a_name_that_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/routing.yml").write_text(ROUTES)
    assert refused(tmp_path).reason == "is not read: name it routing.yaml"


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/models.yaml").write_bytes(b"models:\n  \xff\xfe: 1\n")
    assert "is not UTF-8 text" in refused(tmp_path).reason
