"""Who may read figures, of the mesh and of the writer of history: whoever may read the rest."""

import pytest

from mesh.cli.materializing import watched
from mesh.cli.stores import Place
from mesh.cluster.metrics_access import guarded_port
from mesh.errors import InvalidConfig
from mesh.settings import Settings
from mesh.telemetry.recorder import Recorder

ASK = b"GET /metrics HTTP/1.1\r\nHost: mesh\r\n"
WRONG = b"Authorization: Basic bWU6cGFzcw==\r\n"


def port_of(folder, **variables):
    environ = {"MESH_DATABASE_URL": f"sqlite:///{folder}/records.db", **variables}
    return guarded_port(Settings.from_environ(environ), "127.0.0.1", 9465, lambda: b"up 1\n")


async def test_where_all_calls_need_a_token_figures_do(tmp_path, monkeypatch):
    monkeypatch.setenv("MESH_CONFIG", str(tmp_path))
    port = port_of(tmp_path, MESH_ACCESS="all")
    for head in (ASK, ASK + WRONG):
        assert (await port._refusal(head + b"\r\n")).startswith(b"HTTP/1.1 401 ")


async def test_where_reading_is_free_figures_are(tmp_path):
    assert await port_of(tmp_path)._refusal(ASK + b"\r\n") is None


def test_the_writer_of_history_speaks_tls_where_the_mesh_does_or_does_not_begin(tmp_path):
    missing = {"MESH_TLS_CERT": str(tmp_path / "mesh.crt"), "MESH_TLS_KEY": str(tmp_path / "mesh.key")}
    place = Place(Settings.from_environ(missing), None, "", tmp_path)
    with pytest.raises(InvalidConfig, match=r"mesh\.crt"), watched(place, Recorder(), 9465):
        pass
