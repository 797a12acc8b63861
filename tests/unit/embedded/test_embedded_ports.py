import pytest

from mesh.embedded import kafka
from mesh.embedded.child import ServerFailed
from mesh.embedded.ports import Port, PortTaken


def test_a_taken_port_names_itself_and_the_variable():
    message = str(PortTaken(Port(9464, "metrics", "ML_PROMETHEUS_PORT")))
    assert "9464" in message
    assert "metrics" in message
    assert "ML_PROMETHEUS_PORT" in message


def test_a_folder_without_jars_is_no_release(tmp_path):
    with pytest.raises(ServerFailed, match="no Kafka release"):
        kafka.start_release(tmp_path, 1, tmp_path / "data")
