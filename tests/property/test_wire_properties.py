"""Every frame, cut anywhere, comes back; nothing else makes anything but a WireError."""

import contextlib
import math
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mesh.routing.datatypes import NUMPY_OF
from mesh.routing.types import Scored
from mesh.wire import (
    ClientConnection,
    Failure,
    Frame,
    FrameReader,
    GoAway,
    Hello,
    Ping,
    Pong,
    Reply,
    Request,
    ServerConnection,
    Welcome,
    WireError,
    decode,
    encode,
    pack,
    unpack,
)
from mesh.wire.connection import Connection
from mesh.wire.frames import PROTOCOL
from mesh.wire.reader import CHUNK_BYTES

u16, u32, u64 = (st.integers(0, 2**bits - 1) for bits in (16, 32, 64))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
names = texts.filter(bool)


def _arrays(rows: int) -> st.SearchStrategy[np.ndarray]:
    tails = st.lists(st.integers(0, 3), max_size=7).map(tuple)
    return st.sampled_from(list(NUMPY_OF.values())).flatmap(
        lambda dtype: tails.flatmap(
            lambda tail: hnp.arrays(
                dtype,
                (rows, *tail),
                elements=st.binary(max_size=9) if dtype is NUMPY_OF["BYTES"] else None,
                fill=None,
            )
        )
    )


def _tensors(rows: int) -> st.SearchStrategy[dict[str, np.ndarray]]:
    return st.dictionaries(names, _arrays(rows), max_size=4)


requests = st.integers(0, 5).flatmap(
    lambda rows: st.builds(Request, u64, _tensors(rows), st.just(rows), u32, u32)
)


@st.composite
def replies(draw: st.DrawFn) -> Reply:
    rows = draw(st.integers(0, 5))
    outputs = draw(_tensors(rows))
    confidence = draw(st.none() | hnp.arrays(np.float32, rows))
    counted = bool(outputs) or confidence is not None
    failed = draw(st.dictionaries(st.integers(0, rows - 1), texts)) if rows and counted else {}
    if not counted:
        failed = {row: draw(texts) for row in range(rows)}
    return Reply(draw(u64), Scored(outputs, confidence, draw(texts), failed), draw(u32))


others = st.one_of(
    st.builds(Hello, st.just(PROTOCOL), texts, texts, u32),
    st.builds(Welcome, u16, texts, texts, texts, u32, u32),
    st.builds(Failure, u64, texts, texts, st.floats(0, 1e9)),
    st.builds(GoAway, texts),
    st.builds(Ping, u64),
    st.builds(Pong, u64),
)
frames = st.one_of(requests, replies(), others)


def _same_tensors(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> None:
    assert list(left) == list(right)
    for name, array in left.items():
        other = right[name]
        assert (array.dtype, array.shape) == (other.dtype, other.shape)
        if array.dtype == object:
            assert array.tolist() == other.tolist()
        else:
            assert array.tobytes() == other.tobytes()  # NaN payloads included


def _same(left: Frame, right: Frame) -> None:
    assert type(left) is type(right)
    if isinstance(left, Request) and isinstance(right, Request):
        _same_tensors(dict(left.tensors), dict(right.tensors))
        assert (left.id, left.rows, left.time_left_ms) == (right.id, right.rows, right.time_left_ms)
        assert left.queued_rows == right.queued_rows
    elif isinstance(left, Reply) and isinstance(right, Reply):
        _same_tensors(dict(left.scored.outputs), dict(right.scored.outputs))
        assert (left.id, left.rows_waiting) == (right.id, right.rows_waiting)
        assert (left.scored.version, dict(left.scored.failed)) == (
            right.scored.version,
            dict(right.scored.failed),
        )
        one, two = left.scored.confidence, right.scored.confidence
        assert (one is None) == (two is None)
        assert one is None or two is None or one.tobytes() == two.tobytes()
    else:
        assert left == right


@given(frames)
def test_every_frame_comes_back(frame: Frame) -> None:
    _same(unpack(pack(frame)), frame)
    _same(decode(bytearray().join(encode(frame))), frame)


@given(st.lists(frames, min_size=1, max_size=4), st.data())
def test_however_the_stream_is_cut(sent: list[Frame], data: st.DataObject) -> None:
    stream = b"".join(map(pack, sent))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    reader = FrameReader()
    came = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        came += [decode(frame) for frame in reader.feed(stream[start:end])]
    assert len(came) == len(sent)
    for left, right in zip(came, sent, strict=True):
        _same(left, right)


@pytest.mark.parametrize("step", [1, 2, 3, 7, 8, 9, 63])
def test_byte_by_byte(step: int) -> None:
    request = Request(1, {"x": np.arange(6.0).reshape(2, 3), "t": np.array([b"", b"abc"], object)}, 2, 9, 4)
    stream = pack(request) * 3
    reader = FrameReader()
    came = [f for at in range(0, len(stream), step) for f in reader.feed(stream[at : at + step])]
    assert len(came) == 3
    for frame in came:
        _same(decode(frame), request)


@pytest.mark.parametrize("size", [16_383, 16_384, CHUNK_BYTES - 60, CHUNK_BYTES, CHUNK_BYTES + 1, 300_000])
@pytest.mark.parametrize("step", [1000, 4096, 65_536, 1_000_000])
def test_around_the_sizes_where_memory_changes_hands(size: int, step: int) -> None:
    rng = np.random.default_rng(size)
    sent = [Request(n, {"x": rng.integers(0, 255, (1, size), np.uint8)}, 1) for n in range(3)]
    stream = b"".join(pack(request) for request in sent)
    reader = FrameReader()
    came = [decode(f) for at in range(0, len(stream), step) for f in reader.feed(stream[at : at + step])]
    assert len(came) == 3
    for left, right in zip(came, sent, strict=True):
        _same(left, right)


def _decoded_or_refused(data: bytes) -> None:
    with contextlib.suppress(WireError):
        decode(bytearray(data))


@given(st.binary(max_size=300))
def test_garbage_is_a_wire_error(garbage: bytes) -> None:
    _decoded_or_refused(garbage)
    for kind in range(10):  # garbage behind a prefix that is right
        _decoded_or_refused(struct.pack("<IBBH", 8 + len(garbage), kind, kind & 1, 0) + garbage)


@settings(max_examples=300)
@given(st.one_of(requests, replies()), st.data())
def test_a_frame_with_bytes_changed_is_a_frame_or_a_wire_error(frame: Frame, data: st.DataObject) -> None:
    changed = bytearray(pack(frame))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(4, len(changed) - 1))
        changed[at] = data.draw(st.sampled_from([0, 1, 2, 127, 128, 254, 255]) | st.integers(0, 255))
    _decoded_or_refused(bytes(changed))


@given(frames, st.data())
def test_a_frame_cut_short_is_a_wire_error(frame: Frame, data: st.DataObject) -> None:
    whole = pack(frame)
    short = bytearray(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(WireError):
        decode(short)
    if len(short) >= 8:
        struct.pack_into("<I", short, 0, len(short))  # and even if it says so itself
        with pytest.raises(WireError):
            decode(short)


@given(st.sampled_from([16, 28, 40, 42, 44, 46, 50]), u32)
def test_counts_that_lie_never_cost_memory(offset: int, count: int) -> None:
    texts_tensor = np.array([[b"ab"], [b"c"]], object)
    changed = bytearray(pack(Request(1, {"t": texts_tensor, "x": np.ones((2, 0, 3), np.float64)}, 2)))
    struct.pack_into("<I", changed, offset, count)
    tracemalloc.start()
    try:
        _decoded_or_refused(bytes(changed))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


def _drain(connection: Connection, data: bytes) -> None:
    view = memoryview(data)
    while view:
        room = connection.reader.get_buffer()
        count = min(len(room), len(view))
        room[:count] = view[:count]
        connection.reader.updated(count)
        view = view[count:]
        while connection.next_frame() is not None:
            pass


@given(st.lists(st.one_of(st.binary(max_size=40), frames.map(pack)), max_size=6))
def test_no_peer_can_make_a_connection_fail_otherwise(pieces: list[bytes]) -> None:
    greeting = pack(Hello(PROTOCOL, "m", "s"))
    identity = Welcome(PROTOCOL, "m", "1", "r")
    client = ClientConnection(1_000_000)
    client.send(Hello(PROTOCOL, "m", "s"))
    for connection, first in (
        (ServerConnection(identity, "s"), b""),
        (client, b""),
        (ServerConnection(identity, "s"), greeting),
    ):
        try:
            _drain(connection, first + b"".join(pieces))
        except WireError as error:
            connection.farewell(error)


@given(hnp.arrays(np.float32, st.tuples(st.integers(2, 40), st.integers(2, 40))), st.sampled_from("TFS"))
def test_arrays_in_any_order_in_memory(array: np.ndarray, layout: str) -> None:
    odd = {"T": array.T, "F": np.asfortranarray(array), "S": array[::2, ::-1]}[layout]
    back = unpack(pack(Request(1, {"x": odd}, len(odd))))
    assert isinstance(back, Request)
    np.testing.assert_array_equal(back.tensors["x"], odd)


def test_large_arrays_in_any_order_in_memory() -> None:
    array = np.random.default_rng(1).random((300, 200))
    for odd in (array.T, array[::2, ::-1], np.asfortranarray(array)):
        back = unpack(pack(Request(1, {"x": odd}, len(odd))))
        assert isinstance(back, Request)
        np.testing.assert_array_equal(back.tensors["x"], odd)
        assert math.prod(odd.shape) == back.tensors["x"].size
