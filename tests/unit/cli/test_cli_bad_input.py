"""What users get wrong at the command line is told in one line that names the option or the variable."""

import http.client
import urllib.request

import pytest
import redis
from typer.testing import CliRunner

from mesh.cli.api import Api, ApiFailed
from mesh.cli.app import app
from mesh.cli.labelled import LabelledColumns, read_labelled
from mesh.cli.metrics import MetricsAway, scrape
from mesh.cli.outbox import KafkaAway, Outbox, Readers
from mesh.cli.predictions import Log, RedisFailed
from mesh.errors import InvalidConfig, InvalidInput
from mesh.settings import Settings


@pytest.mark.parametrize("url", ["host:8080", "ftp://host", "http://", "http://[::1", "http://host:many"])
def test_an_address_that_is_none_is_told_before_anybody_is_asked(url):
    with pytest.raises(InvalidInput, match="--url"):
        Api(url)
    with pytest.raises(InvalidInput, match="--url"):
        scrape(url)


def test_what_answers_and_is_no_http_is_told(monkeypatch):
    def redis_answers(*_args, **_named):
        raise http.client.BadStatusLine("-ERR unknown command 'GET'")

    monkeypatch.setattr(urllib.request, "urlopen", redis_answers)
    with pytest.raises(ApiFailed, match="is no HTTP"):
        Api("http://127.0.0.1:6379").ask("GET", "/alerts")
    with pytest.raises(MetricsAway, match="no metrics at"):
        scrape("http://127.0.0.1:6379/metrics")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MESH_HTTP_PORT", "²"),
        ("MESH_HTTP_PORT", "8" * 5_000),
        ("MESH_ROUTERS", "1" * 5_000),
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_URL", "redis://:secret@host:many"),
        ("REDIS_URL", "redis://[::1"),
    ],
)
def test_a_variable_that_is_wrong_is_named_and_no_password_repeated(name, value):
    with pytest.raises(InvalidConfig, match=name) as caught:
        Settings.from_environ({name: value})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["redis://host", "redis://:p@host:7000/3", "rediss://host?ssl_cert_reqs=none", "unix:///run/r.sock?db=2"],
)
def test_addresses_of_redis(url):
    assert Settings.from_environ({"REDIS_URL": url}).redis_url == url


def test_a_redis_that_is_away_does_not_show_its_password(monkeypatch):
    def away(*_args, **_named):
        raise redis.ConnectionError("refused")

    monkeypatch.setattr(redis.Redis, "xread", away)
    with pytest.raises(RedisFailed, match="does not answer") as caught:
        Log(Settings(redis_url="redis://:secret@host"), "0-0").read()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "words",
    [
        ["check", "--config", "no-such-folder"],
        ["explain", "--config", "no-such-folder"],
        ["pipeline", "show", "--config", "no-such-folder"],
        ["audit", "search", "--before", "9" * 20],
        ["audit", "export", "--after", "9" * 20],
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_option(words):
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert words[-2] in done.output


def test_a_bundle_that_cannot_be_written_names_the_option(tmp_path, monkeypatch):
    monkeypatch.setattr("mesh.cli.doctor._entries", lambda _serve_config: iter(()))
    done = CliRunner().invoke(app, ["support-bundle", "--output", str(tmp_path / "none" / "x.tar.gz")])
    assert isinstance(done.exception, InvalidInput)
    assert "--output" in str(done.exception)


def test_truth_and_records_do_not_share_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["simulate", "-o", "run.jsonl", "--truth", "./run.jsonl"])
    assert isinstance(done.exception, InvalidInput)
    assert "--truth" in str(done.exception)
    assert not (tmp_path / "run.jsonl").exists()


@pytest.mark.parametrize(
    "make", [lambda: Outbox("nowhere:1", "t"), lambda: Readers("nowhere:1", "g", "t", [0])]
)
def test_settings_that_librdkafka_refuses_name_the_variables(make, monkeypatch):
    monkeypatch.setenv("KAFKA_CLIENT_SECURITY_PROTOCOL", "tls")
    with pytest.raises(InvalidConfig, match=r"KAFKA_CLIENT_\*: .*security\.protocol"):
        make()


def test_a_record_larger_than_any_topic_takes_is_told():
    with pytest.raises(KafkaAway, match=r"2,000,000 bytes is not taken .*too large"):
        Outbox("", "t").send(b"x" * 2_000_000)


def test_a_time_of_another_unit_is_told_with_its_line(tmp_path):
    path = tmp_path / "far.csv"
    path.write_text("time,flow\n1764000000,1\n1764000000000000,2\n")
    with pytest.raises(InvalidInput, match="line 3: time '1764000000000000' is beyond the year 10,000"):
        read_labelled([path], LabelledColumns(), ["flow"])
