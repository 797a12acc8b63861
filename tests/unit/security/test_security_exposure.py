"""Which ports may answer strangers, and what is said where they may not."""

import pytest

from mesh.cli.serve_tls import serve_host_of, with_tls
from mesh.errors import InvalidConfig
from mesh.security.own_ports import check_own_ports, check_serve_port
from mesh.security.tls import TlsFiles
from mesh.settings import Settings

OPEN = {"MESH_HOST": "0.0.0.0"}
TLS = {"MESH_TLS_CERT": "c.pem", "MESH_TLS_KEY": "k.pem"}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "mesh.example"])
@pytest.mark.parametrize("more", [{}, TLS, {"MESH_ACCESS": "changes"}, {"MESH_INSECURE": "0"}])
def test_off_the_loopback_the_mesh_does_not_start_unguarded(host, more):
    with pytest.raises(InvalidConfig) as told:
        check_own_ports(Settings.from_environ({"MESH_HOST": host, **more}))
    for part in (
        host,
        "HTTP on port 8080",
        "MESH_ACCESS=all",
        "MESH_TLS_CLIENT_CA",
        "--insecure",
        "without saying who",
    ):
        assert part in str(told.value)


@pytest.mark.parametrize(
    "more",
    [
        {"MESH_ACCESS": "all"},
        {**TLS, "MESH_TLS_CLIENT_CA": "ca.pem"},
        {"MESH_INSECURE": "1"},
        {"MESH_HOST": "127.0.0.1"},
        {"MESH_HTTP_PORT": "", "MESH_GRPC_PORT": ""},
    ],
)
def test_it_starts_with_tokens_with_certificates_or_on_the_users_word(more):
    check_own_ports(Settings.from_environ({**OPEN, **more}))


def test_rays_port_asks_nobody_for_a_certificate_so_it_needs_tokens():
    mutual = {**TLS, "MESH_TLS_CLIENT_CA": "ca.pem"}
    with pytest.raises(InvalidConfig, match="through Ray Serve"):
        check_serve_port(Settings.from_environ(mutual), "0.0.0.0")
    check_serve_port(Settings.from_environ({**mutual, "MESH_ACCESS": "all"}), "0.0.0.0")
    check_serve_port(Settings.from_environ(mutual), "127.0.0.1")
    check_serve_port(Settings.from_environ(mutual), "")


@pytest.mark.parametrize(
    ("environ", "key"),
    [
        ({"MESH_TLS_CERT": "c.pem"}, "MESH_TLS_KEY"),
        ({"MESH_TLS_KEY": "k.pem"}, "MESH_TLS_CERT"),
        ({"MESH_TLS_CLIENT_CA": "ca.pem"}, "MESH_TLS_CLIENT_CA"),
        ({"MESH_INSECURE": "perhaps"}, "MESH_INSECURE"),
        ({"MESH_RATE_LIMIT": "0"}, "MESH_RATE_LIMIT"),
        ({"MESH_RATE_LIMIT": "many"}, "MESH_RATE_LIMIT"),
    ],
)
def test_half_of_it_is_refused_by_name(environ, key):
    with pytest.raises(InvalidConfig) as told:
        Settings.from_environ(environ)
    assert told.value.key == key


def test_serves_http_port_gets_the_certificate_and_its_grpc_ends():
    document = {"http_options": {"host": "0.0.0.0", "port": 8000}, "grpc_options": {"port": 9000}}
    changed, variables = with_tls(document, TlsFiles("c.pem", "k.pem"))
    assert changed["http_options"] == {
        **document["http_options"],
        "ssl_certfile": "c.pem",
        "ssl_keyfile": "k.pem",
    }
    assert ("grpc_options" in changed, variables) == (False, {"RAY_SERVE_ENABLE_HA_PROXY": "0"})
    on_loopback = {"http_options": {"host": "127.0.0.1"}}
    assert with_tls(on_loopback, TlsFiles("c.pem", "k.pem")) == (on_loopback, {})
    assert (with_tls(document, None), serve_host_of({})) == ((document, {}), "127.0.0.1")
