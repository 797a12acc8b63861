"""Cutting frames out of a stream: where they lie, and how much memory that may take."""

import struct
import tracemalloc

import numpy as np
import pytest

from mesh.wire import FrameReader, Ping, Request, WireError, decode, pack
from mesh.wire.reader import CHUNK_BYTES


def _receive(reader: FrameReader, data: bytes) -> int:
    """As a socket would: as much as fits, once."""
    room = reader.get_buffer()
    count = min(len(room), len(data))
    room[:count] = data[:count]
    reader.updated(count)
    return count


def test_frames_that_came_together_are_given_one_by_one() -> None:
    reader = FrameReader()
    _receive(reader, b"".join(pack(Ping(token)) for token in range(3)))
    tokens = []
    while (frame := reader.next_frame()) is not None:
        tokens.append(decode(frame))
    assert tokens == [Ping(0), Ping(1), Ping(2)]


def test_a_frame_outlives_the_chunk_it_came_in() -> None:
    reader = FrameReader()
    first = Request(1, {"x": np.full((1, 4), 7.0)}, 1)
    (received,) = reader.feed(pack(first))
    decoded = decode(received)
    for _ in reader.feed(pack(Request(2, {"x": np.zeros((1, 4))}, 1))):
        pass
    assert isinstance(decoded, Request)
    np.testing.assert_array_equal(decoded.tensors["x"], np.full((1, 4), 7.0))


def test_a_large_frame_is_received_where_it_stays() -> None:
    data = pack(Request(1, {"x": np.ones((1, 1_000_000), np.uint8)}, 1))
    reader = FrameReader()
    at = _receive(reader, data[:100])
    assert reader.next_frame() is None
    room = reader.get_buffer()
    assert len(room) == len(data) - 100  # exactly the rest: nothing of the next frame can land in it
    while at < len(data):
        at += _receive(reader, data[at : at + 65536])
    frame = reader.next_frame()
    assert frame is not None
    assert np.shares_memory(np.frombuffer(frame, np.uint8), np.frombuffer(room, np.uint8))
    assert bytes(frame) == data
    assert reader.next_frame() is None


@pytest.mark.parametrize("size", [0, 7, 1001, 2**32 - 1])
def test_sizes_beyond_the_limits_are_refused_before_anything_is_held(size: int) -> None:
    reader = FrameReader(max_frame_bytes=1000)
    _receive(reader, struct.pack("<IBBH", size, 7, 0, 0))
    with pytest.raises(WireError, match=f"a frame of {size} bytes; it takes 8 to 1000"):
        reader.next_frame()


def test_the_limit_itself_is_allowed() -> None:
    data = pack(Ping(1))
    assert [bytes(frame) for frame in FrameReader(len(data)).feed(data)] == [data]


def test_a_full_chunk_waits_for_its_frames_to_be_taken() -> None:
    reader = FrameReader()
    ping = pack(Ping(1))
    assert _receive(reader, ping * (1 + CHUNK_BYTES // len(ping))) == CHUNK_BYTES
    with pytest.raises(BufferError, match="take them"):
        reader.get_buffer()
    assert reader.next_frame() is not None
    assert len(reader.get_buffer()) >= len(ping)


def test_memory_is_the_chunk_and_one_frame() -> None:
    data = pack(Request(1, {"x": np.ones((1, 4_000_000), np.uint8)}, 1))
    reader = FrameReader()
    tracemalloc.start()
    for _ in range(5):
        for frame in reader.feed(data):
            assert len(frame) == len(data)
            del frame
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.5 * len(data)
