"""Errors keep their kind, and what the caller needs of them, across the wire."""

import pickle

import pytest

from mesh.engine.direct.link import LinkLost
from mesh.errors import (
    DeadlineExceeded,
    InvalidInput,
    MeshError,
    NotFound,
    Overloaded,
    RowsFailed,
    Unavailable,
)
from mesh.wire import Failure
from mesh.wire.errors import error_of, failure_of


@pytest.mark.parametrize(
    "error",
    [
        InvalidInput("inputs[0].data", "row 3: has 2 values"),
        Unavailable("anomaly", "loading", 2.5),
        Overloaded("anomaly", "too many rows", 0.5),
        DeadlineExceeded("out of time"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_with_a_kind_come_back_as_they_were(error: MeshError) -> None:
    back = error_of(failure_of(5, error), "anomaly")
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)


@pytest.mark.parametrize(
    "error", [NotFound("no such"), RowsFailed("m", {0: "x"}), ZeroDivisionError("by zero")]
)
def test_others_are_internal_and_say_what_happened(error: Exception) -> None:
    failure = failure_of(5, error)
    assert (failure.id, failure.kind) == (5, "internal")
    back = error_of(failure, "m")
    assert type(back) is MeshError
    assert str(error) in str(back)


def test_an_unknown_kind_is_still_an_error() -> None:
    assert type(error_of(Failure(1, "from the future", "x"), "m")) is MeshError


def test_link_lost_survives_pickling() -> None:
    error = LinkLost("r1", "the peer closed the connection", may_have_run=True)
    back = pickle.loads(pickle.dumps(error))  # noqa: S301  our own bytes
    assert isinstance(back, LinkLost)
    assert (str(back), back.replica_id, back.may_have_run) == (str(error), "r1", True)
