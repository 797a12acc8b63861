"""Secrets do not leave: not in texts, not in a bundle, not in a log line."""

import json
import logging
import tarfile
import time
from pathlib import Path

import pytest

from mesh.cli import doctor
from mesh.doctor import bundle
from mesh.doctor.bundle import Entry, write_bundle
from mesh.redaction import redact, redact_environ
from mesh.telemetry.log_lines import JsonLines
from mesh.telemetry.recorder import Recorder
from mesh.tracing.journey import CURRENT
from mesh.tracing.span import MemorySpans
from mesh.tracing.tracer import Tracer

SECRET = "hunter2-VERY-secret"


@pytest.mark.parametrize(
    "text",
    [
        f"redis://user:{SECRET}@redis.example:6379/0",
        f"rediss://:{SECRET}@h/0",
        f"postgresql+psycopg://me:{SECRET}@db/x?sslmode=require",
        f"amqp://me:p@ss{SECRET}@h",
        f"Authorization: Bearer {SECRET}",
        f'{{"password": "{SECRET}"}}',
        f"sasl.password={SECRET}",
        f"KAFKA_CLIENT_SASL_PASSWORD={SECRET}",
        f"KAFKA_CLIENT_SASL_USERNAME={SECRET}",
        f"token: '{SECRET}'",
        f"https://h/x?api_key={SECRET}&more=1",
        f"OTEL_EXPORTER_OTLP_HEADERS=x-key={SECRET}",
        f"aws_secret_access_key = {SECRET}",
        f"ssl.key.password: {SECRET}",
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}",
        f"Set-Cookie: session={SECRET}; Path=/",
        f"Cookie: theme=dark; session={SECRET}",
        f'{{"password": "a\\"{SECRET}"}}',
        f"auth:\n  password: |\n    {SECRET}\n",
        f"env:\n  - name: DB_PASSWORD\n    value: {SECRET}\n",
        f"psql --password {SECRET}",
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str):
    assert SECRET not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "hsm_0123456789ab_" + "x" * 43,
    ],
)
def test_what_is_a_secret_by_its_form_is_hidden(text: str):
    assert text not in redact(f"found {text} here")


@pytest.mark.parametrize(
    "text",
    [
        "config/models.yaml:3: models.a.path: is not there",
        'mesh_rows_total{endpoint="default",model="rules"} 12.0',
        "waiting for Kafka at localhost:9092 to read ml.inference",
        "http://127.0.0.1:8080/v2/models/default/infer",
        "an admin makes one: hyperstream token create NAME --role analyst",
        "note: |\n  text\nlast: 1",
    ],
)
def test_ordinary_text_stays(text: str):
    assert redact(text) == text


@pytest.mark.parametrize(
    "part", ["a.", "-a", "- ", " ", "name:\n", "token", "token.", "a:\n", "x://", "x://a:", "token: |\n"]
)
def test_a_long_text_takes_no_longer_than_its_length_says(part: str):
    began = time.process_time()
    redact(part * (20_000 // len(part)))
    assert time.process_time() - began < 1.0


def test_variables_are_hidden_by_name_or_by_value():
    environ = {
        "MESH_TOKEN": SECRET,
        "REDIS_URL": f"redis://:{SECRET}@h/0",
        "MESH_HTTP_PORT": "8080",
        "X_SECRET": "",
    }
    assert redact_environ(environ) == {
        "MESH_TOKEN": "***",
        "REDIS_URL": "redis://***@h/0",
        "MESH_HTTP_PORT": "8080",
        "X_SECRET": "",
    }


def test_a_bundle_holds_no_secret_wherever_it_was(tmp_path: Path):
    config, logs = tmp_path / "config", tmp_path / "logs"
    config.mkdir()
    logs.mkdir()
    (config / "models.yaml").write_text(
        f"models:\n  a: {{runtime: triton, options: {{password: '{SECRET}'}}}}\n"
    )
    (config / "topics.yml").write_text("raw: {topic: a}\n")
    (logs / "router.log").write_text(f"connecting to redis://me:{SECRET}@redis:6379/0\n" * 9_000)
    (logs / "mesh.jsonl").write_text(json.dumps({"message": f"token={SECRET}"}) + "\n")
    (logs / "core.bin").write_text(SECRET)

    def entries():
        yield bundle.environment(
            {"REDIS_URL": f"redis://:{SECRET}@h/0", "HOME": "/root", "MESH_TOKEN": SECRET}
        )
        yield Entry("status.json", json.dumps({"authorization": f"Bearer {SECRET}"}))
        yield from bundle.configuration(config)
        yield from bundle.logs({"serve": logs})

    path = tmp_path / "help.tar.gz"
    names = write_bundle(path, entries())
    assert names == [
        "environment.txt",
        "status.json",
        "config/models.yaml",
        "config/topics.yml",
        *sorted(["logs/serve/router.log", "logs/serve/mesh.jsonl"], key=names.index),
    ]
    assert path.stat().st_mode & 0o077 == 0
    with tarfile.open(path) as archive:
        texts = {member.name: archive.extractfile(member).read().decode() for member in archive.getmembers()}
    assert not [name for name, text in texts.items() if SECRET in text]
    assert "HOME" not in texts["help/environment.txt"]
    assert "runtime: triton" in texts["help/config/models.yaml"]
    assert len(texts["help/logs/serve/router.log"]) <= bundle.MAX_FILE_BYTES


def test_a_bundle_over_a_file_that_others_may_read_is_its_owners_alone(tmp_path: Path):
    path = tmp_path / "help.tar.gz"
    path.touch(mode=0o644)
    write_bundle(path, iter([Entry("a.txt", "a\n")]))
    assert path.stat().st_mode & 0o077 == 0


def test_a_variable_that_is_wrong_costs_the_bundle_no_more_than_the_files(monkeypatch):
    monkeypatch.delenv("MESH_CONFIG", raising=False)
    monkeypatch.setenv("ML_PROMETHEUS_PORT", "abc")
    (entry,) = doctor.configuration()
    assert entry.name == "config/not-found.txt"
    assert "ML_PROMETHEUS_PORT" in entry.text


def _line(record: logging.LogRecord) -> dict[str, object]:
    text = JsonLines().format(record)
    assert "\n" not in text
    return json.loads(text)


def test_a_log_event_is_one_line_with_its_trace_and_request():
    tracer = Tracer(1, MemorySpans(), Recorder())
    journey = tracer.begin()
    token = CURRENT.set(journey)
    try:
        record = logging.LogRecord("mesh.engine", logging.WARNING, "f", 1, "two\nlines for %s", ("x",), None)
        record.request_id = "r-1"
        event = _line(record)
    finally:
        CURRENT.reset(token)
    assert (event["level"], event["logger"], event["message"]) == (
        "warning",
        "mesh.engine",
        "two\nlines for x",
    )
    assert (event["trace_id"], event["request_id"]) == (journey.context.trace_id, "r-1")
    assert str(event["time"]).endswith("+00:00")


def test_a_log_event_hides_secrets_and_keeps_the_stack():
    try:
        raise ValueError(f"password={SECRET}")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("serve", logging.ERROR, "f", 1, "at redis://:%s@h", (SECRET,), info)
    record.request_id = "r-2"
    event = _line(record)
    assert SECRET not in json.dumps(event)
    assert (event["error"], event["request_id"]) == ("ValueError", "r-2")
    assert "Traceback" in str(event["stack"])
    assert "trace_id" not in event
