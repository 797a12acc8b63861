"""What each frame becomes in bytes, and what is refused; round trips over everything are in tests/property."""

import struct

import numpy as np
import pytest

from mesh.routing.types import Scored
from mesh.wire import (
    Failure,
    Frame,
    GoAway,
    Hello,
    Ping,
    Pong,
    Reply,
    Request,
    Welcome,
    WireError,
    decode,
    encode,
    pack,
    unpack,
)
from mesh.wire.frames import PROTOCOL
from mesh.wire.texts import MAX_TEXT_BYTES

ONE_ROW = Request(7, {"x": np.arange(16, dtype=np.float32).reshape(1, 16)}, 1, 500, 3)


def test_a_request_has_the_documented_bytes() -> None:
    head = struct.pack("<IBBHQIIII", 112, 3, 0, 0, 7, 1, 500, 3, 16)
    schema = struct.pack("<HH", 0, 1) + struct.pack("<BBHI", 10, 2, 1, 16) + b"x" + bytes(3)
    data = np.arange(16, dtype="<f4").tobytes()
    assert pack(ONE_ROW) == head + schema + data


def test_a_reply_has_the_documented_bytes() -> None:
    scored = Scored({"s": np.ones((3, 1), np.uint8)}, np.full(3, 0.5, np.float32), "v2", {1: "boom"})
    schema = struct.pack("<HH", 2, 1) + b"v2" + struct.pack("<BBHI", 1, 2, 1, 1) + b"s" + bytes(1)
    body = b"\x01\x01\x01" + bytes(5) + np.full(3, 0.5, "<f4").tobytes() + bytes(4)
    failed = struct.pack("<IH", 1, 4) + b"boom"
    size = 32 + len(schema) + len(body) + len(failed)
    head = struct.pack("<IBBHQIIII", size, 4, 1, 0, 9, 3, 11, 1, len(schema))
    assert pack(Reply(9, scored, 11)) == head + schema + body + failed


@pytest.mark.parametrize(
    "frame",
    [
        Hello(PROTOCOL, "anomaly", "s3cret", 1000),
        Welcome(PROTOCOL, "anomaly", "2", "anomaly#abc", 5000, 9),
        Failure(3, "unavailable", "grüße", 1.5),
        GoAway("draining"),
        Ping(2**63),
        Pong(5),
    ],
    ids=lambda frame: type(frame).__name__,
)
def test_frames_without_rows_come_back_as_they_were(frame: Frame) -> None:
    assert unpack(pack(frame)) == frame


def test_arrays_of_an_owned_frame_are_aligned_writable_views() -> None:
    request = Request(1, {"a": np.ones((3, 1), np.uint8), "b": np.ones((3, 5), np.float64)}, 3)
    received = bytearray(pack(request))
    decoded = decode(received)
    assert isinstance(decoded, Request)
    for array in decoded.tensors.values():
        assert array.flags.aligned
        assert array.flags.writeable
        assert np.shares_memory(array, np.frombuffer(received, np.uint8))


def test_large_tensors_are_not_copied() -> None:
    large = np.random.default_rng(0).random((3, 640, 640), np.float32)
    buffers = encode(Request(1, {"small": np.ones(3, np.int8), "large": large}, 3))
    views = [buffer for buffer in buffers if isinstance(buffer, memoryview)]
    assert len(views) == 1
    assert np.shares_memory(np.frombuffer(views[0], np.uint8), large)
    decoded = decode(b"".join(buffers))
    assert isinstance(decoded, Request)
    np.testing.assert_array_equal(decoded.tensors["large"], large)


def test_small_frames_are_one_write() -> None:
    many = {f"t{index}": np.ones((2, 4), np.float32) for index in range(10)}
    (only,) = encode(Request(1, many, 2))
    assert isinstance(only, bytes)


def test_a_reply_whose_rows_all_failed_has_no_outputs() -> None:
    scored = Scored({}, None, "1", {0: "ValueError: a", 1: "ValueError: b"})
    back = unpack(pack(Reply(1, scored)))
    assert isinstance(back, Reply)
    assert back.scored == scored


def test_long_messages_are_cut_at_a_whole_character() -> None:
    back = unpack(pack(Failure(1, "internal", "é" * 5000)))
    assert isinstance(back, Failure)
    assert back.message == "é" * (MAX_TEXT_BYTES // 2)


@pytest.mark.parametrize(
    ("frame", "complaint"),
    [
        (Request(1, {"x": np.ones((2, 3), np.float32)}, 3), r"'x' has shape \(2, 3\), not 3 rows"),
        (Request(1, {"x": np.float32(1)}, 1), "not 1 rows"),  # type: ignore[dict-item]
        (Request(1, {"x": np.ones((1, 2), np.complex64)}, 1), "tensor 'x': dtype complex64"),
        (Request(1, {"x": np.ones((1, 2), ">f4")}, 1), "tensor 'x': dtype >f4"),
        (Request(1, {"": np.ones(1)}, 1), "name of 0 bytes"),
        (Request(1, {"n" * 257: np.ones(1)}, 1), "name of 257 bytes"),
        (Request(1, {"\ud800": np.ones(1)}, 1), "surrogates"),
        (Request(1, {"x": np.ones((1,) * 9)}, 1), "rank 9; the limit is 8"),
        (Request(1, {f"x{i}": np.ones(1) for i in range(65)}, 1), "65 tensors; the limit is 64"),
        (Request(1, {"x": np.array(["text"], object)}, 1), "holds str; its elements are bytes"),
        (Request(1, {}, -1), "a Request that the wire cannot carry"),
        (Request(2**64, {}, 1), "a Request that the wire cannot carry"),
        (Reply(1, Scored({}, np.ones(2), "1")), "confidence is float64"),
        (Reply(1, Scored({"x": np.ones(3)}, np.ones(2, np.float32), "1")), r"not float32 \(3,\)"),
        (Reply(1, Scored({"x": np.ones(3)}, None, "1", {3: "no such row"})), "row 3 failed of 3 rows"),
        (Reply(1, Scored({}, None, "v" * 300)), "version of 300 bytes"),
        (Hello(1, "m", "s" * 2001), "text of 2001 bytes"),
    ],
)
def test_what_cannot_be_sent_says_why(frame: Frame, complaint: str) -> None:
    with pytest.raises(WireError, match=complaint):
        encode(frame)


def test_a_frame_beyond_the_limit_is_not_written() -> None:
    assert len(encode(ONE_ROW, 112)) == 1
    with pytest.raises(WireError, match="a frame of 112 bytes; the limit is 111"):
        encode(ONE_ROW, 111)


def _patched(offset: int, code: str, value: float) -> bytes:
    data = bytearray(pack(ONE_ROW))
    struct.pack_into("<" + code, data, offset, value)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "cannot be read"),
        (pack(ONE_ROW)[:-1], "no frame"),
        (pack(ONE_ROW) + b"\0", "no frame"),
        (_patched(4, "B", 99), "kind 99"),
        (_patched(6, "H", 1), "no frame"),
        (_patched(16, "I", 2), "2 rows do not fit"),
        (_patched(16, "I", 0), "whose contents take"),
        (_patched(16, "I", 2**32 - 1), "do not fit"),
        (_patched(28, "I", 2**32 - 1), "tensor header"),
        (_patched(34, "H", 65), "65 tensors"),
        (_patched(34, "H", 2), "tensor header that cannot be read"),
        (_patched(37, "B", 0), "of datatype code 10, rank 0"),
        (_patched(36, "B", 13), "code 13"),
        (_patched(37, "B", 9), "rank 9"),
        (_patched(40, "I", 2**32 - 1), "beyond 4294967295 bytes"),
        (_patched(38, "H", 200), "ends within a name"),
        (_patched(44, "B", 0xFF), "utf-8"),
    ],
)
def test_a_request_that_lies_is_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(WireError, match=complaint):
        decode(data)


def test_a_tensor_may_not_be_named_twice() -> None:
    data = bytearray(pack(Request(1, {"a": np.ones(1), "b": np.ones(1)}, 1)))
    data[data.index(b"b")] = ord("a")
    with pytest.raises(WireError, match="names a tensor twice"):
        decode(data)


def test_a_bool_is_zero_or_one() -> None:
    data = bytearray(pack(Request(1, {"a": np.ones((1, 8), np.bool_)}, 1)))
    data[-1] = 2
    with pytest.raises(WireError, match="neither 0 nor 1"):
        decode(data)


def test_bytes_cannot_promise_more_elements_than_they_hold() -> None:
    data = bytearray(pack(Request(1, {"t": np.array([b"ab", b"c"], object)}, 2)))
    struct.pack_into("<I", data, 16, 2**32 - 1)
    with pytest.raises(WireError, match="4294967295 elements in 11 bytes"):
        decode(data)


def test_an_element_stays_within_its_tensor() -> None:
    data = bytearray(pack(Request(1, {"t": np.array([b"ab", b"c"], object)}, 2)))
    struct.pack_into("<I", data, data.index(b"ab") - 4, 100)
    with pytest.raises(WireError, match="element 0 ends beyond its tensor"):
        decode(data)


def test_a_failure_asks_for_a_possible_wait() -> None:
    data = bytearray(pack(Failure(1, "overloaded", "m", 1.0)))
    struct.pack_into("<d", data, 16, float("nan"))
    with pytest.raises(WireError, match="retry after nan"):
        decode(data)


def test_of_a_hello_in_another_protocol_only_the_version_is_read() -> None:
    data = bytearray(pack(Hello(PROTOCOL + 1, "m", "s")))
    data[20:] = b"\xff" * (len(data) - 20)
    hello = decode(data)
    assert isinstance(hello, Hello)
    assert hello.protocol == PROTOCOL + 1


def test_time_beyond_what_fits_is_a_very_long_time() -> None:
    back = unpack(pack(Request(1, {}, 0, 10**12)))
    assert isinstance(back, Request)
    assert back.time_left_ms == 2**32 - 1


def test_secrets_are_not_in_the_text_of_a_hello() -> None:
    assert "s3cret" not in repr(Hello(1, "m", "s3cret"))
