"""What users get wrong at the command line is told in one line that names the option or the variable."""

import http.client
import urllib.request

import pytest
import redis
from typer.testing import CliRunner

from mesh.cli.api import Api, ApiFailed
from mesh.cli.app import app
from mesh.cli.metrics import MetricsAway, scrape
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
