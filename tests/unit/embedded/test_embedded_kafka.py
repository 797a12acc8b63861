"""What an embedded Kafka is called by."""

from mesh.embedded.kafka import cluster_id


def test_no_cluster_id_begins_with_what_tools_take_for_an_option():
    drawn = iter([b"\xf8" + bytes(15), b"\xfb" + bytes(15), b"\x04" + bytes(15)])
    assert cluster_id(lambda: next(drawn)) == "BAAAAAAAAAAAAAAAAAAAAA"
    assert list(drawn) == []
