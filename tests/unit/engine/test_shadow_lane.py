"""A shadow's answer is compared row by row, and its rows are keyed as routing keys them."""

from collections.abc import Mapping

import numpy as np

from mesh.engine.batcher import Done
from mesh.engine.compared import Compared, Offer, ShadowKey, keys_of
from mesh.engine.ports import Silent
from mesh.engine.shadows import ShadowLane
from mesh.routing.keys import Keys
from mesh.routing.steps import ShadowCall
from mesh.routing.table import RouteTable
from mesh.routing.types import MISSING, Batch, Origin, Scored, Tensors
from tests.fakes.waiting import turns


class Heard(Silent):
    """Remembers what was said of shadows."""

    def __init__(self) -> None:
        self.said: list[tuple[str, int, Compared | ShadowKey | None]] = []

    def shadowed(self, model: str, outcome: str, rows: int, what: Compared | ShadowKey | None) -> None:
        self.said.append((outcome, rows, what))


class Answering:
    """Replicas that answer at once: twice the input, and these rows failed."""

    def __init__(self, failed: Mapping[int, str]) -> None:
        self.failed = failed

    def send(self, tensors: Tensors, rows: int, deadline: float | None, queued_rows: int, done: Done) -> None:
        outputs = {} if len(self.failed) == rows else {"y": tensors["x"] * 2}
        done(Scored(outputs, None, "2", self.failed))


def offer_of(*values: float) -> tuple[Offer, Tensors]:
    """The primary has said the values themselves."""
    x = np.array([[value] for value in values], np.float32)
    call = ShadowCall("new", np.arange(len(x)) * 10, "r", {"y": x}, None, Origin("old", "1", "r", "primary"))
    names = [f"id-{value:g}" for value in values]
    keys = [f"key-{value:g}" for value in values]
    return Offer("e", call, names, keys, 0.1, None, None, None), {"x": x}


async def said_of(failed: Mapping[int, str], *offers: tuple[Offer, Tensors]) -> Heard:
    heard = Heard()
    lane = ShadowLane("new", Answering(failed), heard, max_rows=100, max_batch_rows=100)  # type: ignore[arg-type]
    for offer, tensors in offers:
        lane.offer(offer, tensors)
    await turns()
    return heard


async def test_a_row_that_fails_fails_alone():
    heard = await said_of({1: "ValueError: bad"}, offer_of(0, 1, 2))
    (failed, one, key), (compared, rows, what) = heard.said
    assert (failed, one, compared, rows) == ("failed", 1, "compared", 2)
    assert isinstance(what, Compared)
    assert what.key == key
    assert (what.ids, what.keys) == (["id-0", "id-2"], ["key-0", "key-2"])
    assert (what.comparison.rows, what.comparison.max_abs_difference) == (2, 2.0)
    assert len(what.disagree) == len(what.scores[0]) == len(what.labels[1]) == 2


async def test_an_answer_without_failures_is_compared_whole():
    heard = await said_of({}, offer_of(0, 1, 2))
    assert [(outcome, rows) for outcome, rows, _ in heard.said] == [("compared", 3)]


async def test_rows_that_all_failed_are_counted_so_beside_an_offer_that_did_not():
    heard = await said_of({0: "ValueError: bad", 1: "ValueError: bad"}, offer_of(0, 1), offer_of(2, 3))
    assert [(outcome, rows) for outcome, rows, _ in heard.said] == [("failed", 2), ("compared", 2)]
    heard = await said_of({0: "ValueError: bad", 1: "ValueError: bad"}, offer_of(0, 1))
    assert [(outcome, rows) for outcome, rows, _ in heard.said] == [("failed", 2)]


def test_rows_are_keyed_as_routing_keys_them():
    values = [42.0, True, None, [1], MISSING, "u7", 0.5]
    ids = [f"id-{n}" for n in range(len(values))]
    table = RouteTable("e", (), key="user")
    for batch in (
        Batch({}, ids, None, {"user": values}),
        Batch({}, ids, ids[::-1], {"user": values}),
        Batch({}, ids, None, {}),
    ):
        assert keys_of(table, batch, np.arange(len(ids))) == Keys(batch, "user").texts
    asked = keys_of(table, Batch({}, ids, None, {"user": values}), np.array([0, 2, 5]))
    assert asked == ["42", "id-2", "u7"]
