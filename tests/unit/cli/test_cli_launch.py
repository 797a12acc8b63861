from contextlib import ExitStack

import pytest

from mesh.cli import console
from mesh.cli.addresses import addresses, ports, serve_ports
from mesh.cli.metrics import own_metrics
from mesh.cli.predictions import Log, begins, one_line, parse
from mesh.cli.ray_variables import RAY_VARIABLES, missing_from
from mesh.errors import InvalidConfig, InvalidInput
from mesh.security.tls import TlsFiles
from mesh.settings import Settings

HAPROXY = {"RAY_SERVE_ENABLE_HA_PROXY": "1", "RAY_SERVE_HAPROXY_STATS_PORT": "8405"}
DOCUMENT = {"http_options": {"port": 8001}, "applications": []}


def test_ray_variables_that_the_user_set_stand():
    added = missing_from({"RAY_worker_niceness": "5", "HOME": "/"}, "/run/own")
    assert "RAY_worker_niceness" not in added
    assert set(added) >= set(RAY_VARIABLES) - {"RAY_worker_niceness"}
    assert added["RAY_SERVE_HAPROXY_SOCKET_PATH"] == "/run/own/admin.sock"
    assert added["RAY_SERVE_HAPROXY_SERVER_STATE_BASE"] == "/run/own"
    assert added["RAY_ADDRESS"] == "local"
    assert added["RAY_SERVE_ENABLE_HA_PROXY"] == "1"


def test_every_port_is_known_with_what_moves_it():
    serve = serve_ports("serve_config.yaml", DOCUMENT, {"RAY_DASHBOARD_PORT": "8266"})
    found = {
        port.number: port.variable
        for port in ports(Settings(prometheus_port=9464), serve, "serve_config.yaml", HAPROXY)
    }
    assert found == {
        8001: "http_options.port in serve_config.yaml",
        9000: "grpc_options.port in serve_config.yaml",
        8266: "RAY_DASHBOARD_PORT",
        8080: "MESH_HTTP_PORT",
        9001: "MESH_GRPC_PORT",
        9464: "ML_PROMETHEUS_PORT",
        8405: "RAY_SERVE_HAPROXY_STATS_PORT",
        9101: "RAY_SERVE_HAPROXY_METRICS_PORT",
        8500: "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT",
        9500: "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT",
    }


def test_a_listener_that_is_off_takes_no_port_and_has_no_address():
    serve = serve_ports("f", {}, {})
    settings = Settings(http_port=None, grpc_port=None)
    assert {port.number for port in ports(settings, serve, "f", {})} == {8000, 9000, 8265}
    shown = dict(addresses(settings, serve, stream=False, environ={}))
    assert shown["docs"] == "http://127.0.0.1:8000/docs"
    assert shown["gRPC"] == "127.0.0.1:9000"
    assert "metrics" not in shown
    assert "Redis" not in shown


def test_addresses_hold_everything_that_a_user_needs():
    shown = dict(
        addresses(
            Settings(prometheus_port=9464),
            serve_ports("f", {}, {}),
            stream=True,
            environ={"RAY_TMPDIR": "/t"},
        )
    )
    assert shown["HTTP"].startswith("http://127.0.0.1:8080")
    assert "127.0.0.1:8000" in shown["HTTP"]
    assert shown["metrics"] == "http://127.0.0.1:9464/metrics"
    assert "ml.inference" in shown["Kafka"]
    assert "ml:stream:inference" in shown["Redis"]
    assert shown["logs"] == "/t/ray/session_latest/logs/serve"


def test_ports_with_a_certificate_are_told_and_asked_as_such():
    settings = Settings(tls=TlsFiles("c.pem", "k.pem"), prometheus_port=9464)
    shown = dict(addresses(settings, serve_ports("f", {}, {}), stream=False, environ={}))
    assert shown["HTTP"] == "https://127.0.0.1:8080   through Serve http://127.0.0.1:8000"
    assert shown["docs"] == "https://127.0.0.1:8080/docs"
    assert shown["metrics"] == own_metrics(settings) == "https://127.0.0.1:9464/metrics"
    assert own_metrics(Settings(mesh_host="0.0.0.0")) == "http://127.0.0.1:9464/metrics"


def test_the_console_of_a_mesh_with_a_certificate_asks_it_over_tls(monkeypatch, tmp_path):
    started = []
    monkeypatch.setattr(console, "missing", lambda: None)
    monkeypatch.setattr(console, "check_free", lambda _: None)

    class Started:
        def stop(self, timeout_s):
            del timeout_s

    def start(host, port, api, log):
        started.append(api)
        return Started()

    monkeypatch.setattr(console, "start", start)
    with ExitStack() as owned:
        console.beside(Settings(tls=TlsFiles("c.pem", "k.pem")), tmp_path / "log", owned)
    assert started == ["https://127.0.0.1:8080"]


@pytest.mark.parametrize("environ", [{"RAY_DASHBOARD_PORT": "x"}, {"RAY_DASHBOARD_PORT": "70000"}])
def test_a_wrong_port_is_named(environ):
    with pytest.raises(InvalidConfig, match="RAY_DASHBOARD_PORT"):
        serve_ports("f", {}, environ)


def test_a_prediction_in_one_line():
    payload = (
        b'{"inference_id": "t-0-7", "model_id": "default", "input_id": "event-42", "predictions": [[0.1, 0.9]],'
        b' "confidence": [0.93], "answered_by": [{"model": "anomaly", "version": "1", "route": "hybrid", "role": "primary"}],'
        b' "latency_ms": 4.125, "degraded": true, "rules_version": "abc", "received_at": "x", "metadata": {}}'
    )
    line = one_line("17-0", parse(payload))
    assert line == (
        "17-0  event-42  default  anomaly (hybrid, primary)  confidence 0.93  4.1 ms  [[0.1, 0.9]]  degraded"
    )


def test_a_prediction_without_confidence_or_with_many_rows():
    line = one_line("1-0", parse(b'{"inference_id": "t-0-7", "model_id": "m", "confidence": null}'))
    assert line == "1-0  t-0-7  m  -  confidence -  -  null"
    many = parse(b'{"inference_id": "i", "model_id": "m", "confidence": [0.1,0.2,0.3,0.4,null]}')
    assert "confidence 0.10, 0.20, 0.30, … 1 more" in one_line("1-0", many)


def test_the_log_reads_from_where_it_is_told():
    assert Log(Settings(), since="5-0").last == "5-0"


def test_tail_begins_after_an_id_or_so_long_ago():
    assert begins("1764000000000-3", 5) == "1764000000000-3"
    assert begins("0", 5) == "0"
    assert begins("10m", 1_764_000_600_001) == "1764000000001-0"
    assert begins("30d", 1) == "0-0"
    with pytest.raises(InvalidInput, match=r"--since: must be a time .*'yesterday', or the id of a line"):
        begins("yesterday", 5)
