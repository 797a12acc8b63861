"""Addresses are shown and refused without their passwords, however those are written."""

import pytest

from ingest.redis_link import RedisAddress
from mesh.cli.predictions import Log
from mesh.errors import InvalidConfig
from mesh.records.database import late_database
from mesh.redaction import redact
from mesh.rules.stores import RedisRulesStore
from mesh.security.redacted import shown_url
from mesh.settings import Settings
from mesh.stores.redis_client import bounded_client

FIRST, SECOND = "hunter2", "VERYsecret"


@pytest.mark.parametrize("between", ["/", "?", "#", "@", ":", "'", "/?#@", "%2F"])
@pytest.mark.parametrize("scheme", ["redis", "rediss", "postgresql", "postgresql+psycopg"])
@pytest.mark.parametrize("user", ["", "mesh"])
def test_no_part_of_a_password_is_shown(scheme: str, user: str, between: str):
    url = f"{scheme}://{user}:{FIRST}{between}{SECOND}@db.example:6379/0"
    shown = shown_url(url)
    assert shown == f"{scheme}://{user}:***@db.example:6379/0"
    for hidden in (redact(url), redact(f"MESH_DATABASE_URL={url} x"), redact(f'{{"url":"{url}","a":"b@c"}}')):
        assert FIRST not in hidden
        assert SECOND not in hidden
        assert "db.example" in hidden


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("redis://[::1]:6379/0?db=1", "redis://[::1]:6379/0"),
        ("redis://redis:6379", "redis://redis:6379"),
        (f"redis://:{FIRST}", "redis://:***"),
    ],
)
def test_an_address_without_a_password_is_shown_as_it_is(url: str, shown: str):
    assert shown_url(url) == shown


@pytest.mark.parametrize(
    "text", ["http://127.0.0.1:8080/users/a@b.example", "redis://a:1,redis://b:2 by me@b.example"]
)
def test_a_port_is_no_password(text: str):
    assert redact(text) == text


@pytest.mark.parametrize("name", ["password", "sslpassword"])
def test_a_database_that_is_away_is_named_without_its_password(name: str):
    database = late_database(f"postgresql://db.example/records?user=mesh&{name}={FIRST}&sslmode=require")
    assert database.shown == "postgresql+psycopg://db.example/records?sslmode=require&user=mesh"
    database.close()


@pytest.mark.parametrize(
    "client",
    [
        lambda url: bounded_client(url, answer_s=1.0),
        RedisAddress.from_url,
        RedisRulesStore,
        lambda url: Log(Settings.from_environ({"REDIS_URL": url})),
    ],
)
@pytest.mark.parametrize("between", ["/", "?", "#"])
def test_an_address_that_cannot_be_read_is_refused_without_its_password(client, between: str):
    with pytest.raises(InvalidConfig, match=r"REDIS_URL.*%2F") as told:
        client(f"redis://mesh:{FIRST}{between}{SECOND}@redis.example:6379/0")
    assert FIRST not in str(told.value)
    assert SECOND not in str(told.value)
